"""The figures of a report: which arrays of a story become which chart, and what each says in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from core.block import Array
from remend import numbers
from remend.chart import Chart, Line, Mark, draw
from remend.chart_table import Rows, chart_table
from remend.story import Errors, Plots


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart with its caption. `legend` is (look, text) per line."""

    svg: Markup
    title: str
    caption: str
    legend: tuple[tuple[str, str], ...] = ()
    rows: Rows = ()  # the same as a table, headings first


def drawn(chart: Chart, title: str, caption: str, legend: tuple[tuple[str, str], ...] = ()) -> Figure:
    """The figure of a chart."""
    return Figure(svg=draw(chart), title=title, caption=caption, legend=legend, rows=chart_table(chart, dict(legend)))


def ratio_figure(plots: Plots) -> Figure | None:
    """What the detector saw: its test ratio over time."""
    if not np.isfinite(plots.test_ratio).any():
        return None
    highest = numbers.figure(float(np.nanmax(plots.test_ratio)))
    alt = f"The test ratio reaches {highest}; at 1 it alarms."
    lines = (Line(look="plain", x=plots.t_s, y=plots.test_ratio),)
    chart = Chart(alt=alt, y_label="test ratio", unit="1", lines=lines, marks=_marks(plots), level=1.0, log=True)
    legend = (("plain", "test ratio"), ("limit", "alarm at 1"))
    return drawn(chart, "Test ratio of the detector", alt, legend)


def course_figure(plots: Plots) -> Figure:
    """The worst joint's tracking error over the whole run."""
    joint = plots.joints[plots.worst]
    unit = plots.units[plots.worst]
    error = np.abs(plots.error[:, plots.worst])
    alt = f"The tracking error of {joint} reaches {numbers.quantity(float(np.nanmax(error)), unit)}."
    lines = (Line(look="plain", x=plots.t_s, y=error),)
    chart = Chart(alt=alt, y_label="|error|", unit=unit, lines=lines, marks=_marks(plots), from_zero=True)
    return drawn(chart, f"Tracking error of {joint} over the run", alt)


def overlay_figure(plots: Plots) -> Figure | None:
    """Tracking error before and after, each from the start of its window; the band spans all joints."""
    if plots.before is None:
        return None
    joint, unit = plots.joints[plots.worst], plots.units[plots.worst]
    alike = [k for k, other in enumerate(plots.units) if other == unit]  # radians and metres make no band
    lines, said = [], []
    for look, window in (("before", plots.before), ("after", plots.after)):
        if window is None:
            continue
        size = np.abs(window.error)
        x = window.t_s - window.t_s[0]
        lines.append(Line(look=look, x=x, y=size[:, plots.worst], band=_range(size[:, alike])))
        said.append(f"{numbers.quantity(float(window.rms()[plots.worst]), unit)} {look}")
    alt = f"RMS tracking error of {joint}: {', '.join(said)}."
    chart = Chart(
        alt=alt,
        y_label="|error|",
        unit=unit,
        lines=tuple(lines),
        x_label="time since the start of the window [s]",
        from_zero=True,
    )
    legend = (("before", f"before, {joint}"), ("after", f"after, {joint}"))[: len(lines)]
    note = " Band: smallest to largest of all joints. The motions differ; the table above compares equal ones."
    return drawn(chart, "Measured tracking error, before and after", alt + note, legend)


def motion_figure(plots: Plots) -> Figure:
    """Reference and measured position of the worst joint."""
    joint = plots.joints[plots.worst]
    alt = f"Reference and measured position of {joint}, the joint with the largest error."
    lines = (
        Line(look="reference", x=plots.t_s, y=plots.reference),
        Line(look="plain", x=plots.t_s, y=plots.position),
    )
    chart = Chart(alt=alt, y_label="position", unit=plots.units[plots.worst], lines=lines, marks=_marks(plots))
    legend = (("reference", "reference"), ("plain", "measured"))
    return drawn(chart, f"Motion of {joint}", alt, legend)


def canary_figure(plots: Plots) -> Figure | None:
    """What the canary was judged by, against its limit."""
    track = plots.canary
    if track is None or not len(track.t_s):
        return None
    nearest = float(np.nanmax(np.abs(track.value) / track.limit))
    alt = f"The canary's {track.observable} came to {numbers.share(nearest)} of its limit at most."
    lines = (
        Line(look="limit", x=track.t_s, y=track.limit),
        Line(look="after", x=track.t_s, y=np.abs(track.value)),
    )
    chart = Chart(alt=alt, y_label="|error|", unit=track.unit, lines=lines, from_zero=True)
    legend = (("after", track.observable), ("limit", "limit"))
    return drawn(chart, "Canary against its limit", alt, legend)


def joint_rows(plots: Plots) -> tuple[str, tuple[tuple[str, str, str, str], ...]]:
    """Unit, and per joint: name, RMS error before, after, change. The overlay as a table."""
    before, after = _rms(plots.before, plots), _rms(plots.after, plots)
    texts, unit = numbers.in_one_unit([*before, *after], " or ".join(sorted(set(plots.units), key="m".__eq__)))
    n = len(plots.joints)
    rows = []
    for k, joint in enumerate(plots.joints):
        delta = after[k] - before[k]
        change = numbers.percent_change(delta, before[k]) or numbers.MISSING
        rows.append((joint, texts[k], texts[n + k], change))
    return unit, tuple(rows)


def _range(sizes: Array) -> tuple[Array, Array]:
    return sizes.min(axis=1), sizes.max(axis=1)


def _rms(window: Errors | None, plots: Plots) -> list[float]:
    missing: Array = np.full(len(plots.joints), np.nan)
    return [float(value) for value in (missing if window is None else window.rms())]


def _marks(plots: Plots) -> tuple[Mark, ...]:
    """The moments of a healing, in order."""
    named = (
        (plots.fault_s, "fault"),
        (plots.alarm_s, "alarm"),
        (plots.swap_s, "patch"),
        (plots.commit_s, "commit"),
        (plots.rollback_s, "rolled back"),
    )
    return tuple(Mark(x=at, label=label) for at, label in named if at is not None)
