"""The healing in one picture: test ratio and tracking error over time, with the moments that matter.

Colours are from Okabe and Ito's palette, which colour-blind people can tell apart; every colour also has a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from core.block import Array
from core.errors import BadInput
from remend import numbers, sentences, views
from remend.story import Plots, Story

_SIZE_IN, _DPI = (16.0, 7.0), 100  # 1600 x 700 pixels
_INK, _SOFT, _RULE = "#1b1f24", "#57606a", "#d0d7de"
_HEALTHY, _FAULTY, _PATCHED, _LIMIT = "#009e73", "#d55e00", "#0072b2", "#b3261e"
_DARK = {_HEALTHY: "#00694d", _FAULTY: "#9c4300", _PATCHED: "#00568a"}  # the same as text: contrast above 4.5
_WIDE = 0.3  # share of the time axis that a long name or two texts side by side need
_LINE = 130  # characters of the line below the title
_NARROW = 0.13  # share of the time axis in which a text needs two lines
_TINT = 0.09  # opacity of a phase's background


def write_picture(story: Story, path: Path) -> None:
    """Write a PNG of 1600 x 700 pixels.

    Raises:
        BadInput: the story carries no telemetry to draw.
    """
    plots = story.plots
    if plots is None or not len(plots.t_s):
        raise BadInput("this run kept no telemetry; a picture needs the plots of a story")
    figure = Figure(figsize=_SIZE_IN, dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={
            "height_ratios": [1, 2.1],
            "hspace": 0.12,
            "left": 0.065,
            "right": 0.985,
            "top": 0.8,
            "bottom": 0.1,
        },
    )
    phases = _phases(plots)
    for axes in (upper, lower):
        _plain(axes)
        for start, end, colour, _ in phases:
            axes.axvspan(start, end, color=colour, alpha=_TINT, linewidth=0)
    _draw_ratio(upper, plots)
    _draw_error(lower, plots, phases)
    _head(figure, story)
    for start, end, colour, name in phases:
        wide = end - start > _WIDE * (plots.t_s[-1] - plots.t_s[0])
        text = "degraded: detect, diagnose, prove, approve" if name == "degraded" and plots.swap_s and wide else name
        _name_phase(upper, 0.5 * (start + end), text, _DARK[colour])
    figure.savefig(path, facecolor="white", metadata={"Software": None})


def _phases(plots: Plots) -> list[tuple[float, float, str, str]]:
    """(start, end, colour, name) of each phase that took place, in order [s]."""
    first, last = float(plots.t_s[0]), float(plots.t_s[-1])
    end = plots.rollback_s if plots.rollback_s is not None else plots.commit_s
    held = plots.rollback_s is None
    cuts = [
        (plots.fault_s if plots.fault_s is not None else plots.onset_s, _HEALTHY, "healthy"),
        (plots.swap_s, _FAULTY, "degraded"),
        (end, _PATCHED, "canary"),
    ]
    phases, start = [], first
    for at, colour, name in cuts:
        if at is None:
            break
        phases.append((start, at, colour, name))
        start = at
    names = ("healthy", "degraded", "canary", "patched" if held else "rolled back")
    colours = (_HEALTHY, _FAULTY, _PATCHED, _PATCHED if held else _FAULTY)
    phases.append((start, last, colours[len(phases)], names[len(phases)]))
    return phases


def _draw_ratio(axes: Any, plots: Plots) -> None:
    """The detector's test ratio; the alarm is at 1."""
    axes.plot(plots.t_s, plots.test_ratio, color=_INK, linewidth=1.4)
    axes.axhline(1.0, color=_LIMIT, linewidth=1.3, linestyle=(0, (2, 2)))
    axes.annotate(
        "alarm at 1", (0.996, 1.0), xycoords=("axes fraction", "data"), xytext=(0, 4), textcoords="offset points",
        color=_LIMIT, fontsize=12, ha="right",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.minorticks_off()
    finite = plots.test_ratio[np.isfinite(plots.test_ratio)]
    top = float(finite.max()) if len(finite) else 1.0
    axes.set_ylim(0.1, max(10.0, 2.0 * top))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.figure(value)))
    axes.set_ylabel("test ratio", fontsize=13, color=_SOFT)


def _draw_error(axes: Any, plots: Plots, phases: list[tuple[float, float, str, str]]) -> None:
    """The worst joint's tracking error, its RMS per phase, and the moments."""
    error = np.abs(plots.error[:, plots.worst])
    top = float(np.nanmax(error)) or 1.0
    (shown,), unit = numbers.scaled([top], plots.units[plots.worst])
    factor = (shown or top) / top
    axes.plot(plots.t_s, error * factor, color=_INK, linewidth=0.9, alpha=0.55)
    for start, end, colour, _ in phases:
        inside = (plots.t_s >= start) & (plots.t_s <= end)
        axes.plot(plots.t_s[inside], _smooth(error[inside], plots.t_s) * factor, color=colour, linewidth=3.0)
    axes.set_ylim(0.0, 1.42 * top * factor)
    axes.set_xlim(float(plots.t_s[0]), float(plots.t_s[-1]))
    axes.set_ylabel(f"|tracking error|, {plots.joints[plots.worst]} [{unit}]", fontsize=13, color=_SOFT)
    axes.set_xlabel("time on the robot's clock [s]", fontsize=13, color=_SOFT)
    height = 1.38 * top * factor
    span = float(plots.t_s[-1] - plots.t_s[0])
    crowded = plots.swap_s is not None and plots.swap_s - (plots.alarm_s or plots.t_s[0]) < 0.8 * _WIDE * span
    for at, text, side in _moments(plots):
        text = f"\n\n\n{text}" if crowded and at == plots.swap_s else text  # below the alarm's  # noqa: PLW2901
        axes.axvline(at, color=_INK, linewidth=1.1, linestyle=(0, (4, 3)))
        axes.annotate(
            text, (at, height), xytext=(7 if side == "left" else -7, 0), textcoords="offset points",
            ha=side, va="top", fontsize=13, color=_INK, linespacing=1.25,
        )  # fmt: skip
    for start, end, colour, name in phases:
        inside = (plots.t_s >= start) & (plots.t_s <= end)
        if name == "canary" or not inside.any() or end - start < 0.5 * _NARROW * span:
            continue
        rms = numbers.quantity(float(np.sqrt(np.nanmean(np.square(error[inside])))), plots.units[plots.worst])
        narrow = end - start < _NARROW * span
        axes.annotate(
            f"RMS\n{rms}" if narrow else f"RMS {rms}",
            (0.5 * (start + end), float(np.nanmax(error[inside])) * factor),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=12 if narrow else 15,
            fontweight="bold",
            color=_DARK[colour],
        )


def _moments(plots: Plots) -> list[tuple[float, str, str]]:
    """(time [s], text, alignment) of fault, alarm and swap; the fault's text stands left of it, where it is quiet."""
    found = []
    span, first = float(plots.t_s[-1] - plots.t_s[0]), float(plots.t_s[0])
    room = plots.fault_s is not None and plots.fault_s - first > _NARROW * span
    if plots.fault_s is not None:
        found.append((plots.fault_s, "fault sets in" if room else "", "right"))
    if plots.alarm_s is not None:
        since, word = (plots.onset_s, "after the onset") if plots.fault_s is None else (plots.fault_s, "later")
        late = "" if since is None else f"\n{numbers.quantity(plots.alarm_s - since, 's')} {word}"
        text = f"alarm{late}" if room or plots.fault_s is None else f"fault sets in,\nalarm{late.replace(chr(10), ' ')}"
        found.append((plots.alarm_s, text, "left"))
    if plots.swap_s is not None:
        found.append((plots.swap_s, "patch takes over,\nloop keeps running", "right"))
    if plots.commit_s is not None:
        found.append((plots.commit_s, "canary held:\ncommitted", "left"))
    if plots.rollback_s is not None:
        found.append((plots.rollback_s, "rolled back", "left"))
    return found


def _head(figure: Any, story: Story) -> None:
    """What happened, in one line and a half."""
    diagnosis, patch = story.diagnosis, story.patch
    says = [story.robot_title.partition(",")[0] or story.robot_id]
    if story.fault is not None:
        says.append(f"injected: {story.fault}")
    if diagnosis is not None and diagnosis.causes:
        top = diagnosis.causes[0]
        texts = views.estimates(top)
        found = f"diagnosed: {views.cause_title(top)} ({numbers.share(top.probability)})"
        says.append(found)
        says += texts[:1]
    if patch is not None:
        says.append(f"patch: {patch.kind} by {patch.proposer}")
    figure.text(0.065, 0.945, _title(story), fontsize=21, fontweight="bold", color=_INK, va="center")
    while len(says) > 1 and len("   ·   ".join(says)) > _LINE:
        says.pop()  # the least important comes last
    figure.text(0.065, 0.888, "   ·   ".join(says), fontsize=13, color=_SOFT, va="center")


def _title(story: Story) -> str:
    if story.recovery_ratio is not None and story.outcome is not None and story.outcome.deployed:
        return (
            f"Detected, diagnosed, proven, patched: {numbers.share(story.recovery_ratio)} of the lost tracking is back"
        )
    head = sentences.headline(story)
    return f"{head.status}: {head.sentence}"


def _name_phase(axes: Any, middle: float, name: str, colour: str) -> None:
    axes.annotate(
        name, (middle, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 5), textcoords="offset points",
        ha="center", fontsize=13, fontweight="bold", color=colour,
    )  # fmt: skip


def _smooth(values: Array, t_s: Array) -> Array:
    """Running RMS over half a second, so that the level is seen through the motion."""
    period_s = float(np.median(np.diff(t_s))) if len(t_s) > 1 else 1.0
    width = max(1, min(len(values), round(0.5 / period_s)))
    weights = np.convolve(np.ones(len(values)), np.ones(width), mode="same")
    return np.asarray(np.sqrt(np.convolve(np.square(values), np.ones(width), mode="same") / weights))


def _plain(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_RULE)
    axes.tick_params(colors=_SOFT, labelsize=12, length=0)
    axes.grid(axis="y", color=_RULE, linewidth=0.7)
    axes.set_axisbelow(True)
