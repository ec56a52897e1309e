"""What a model is told: the law, the rules, the diagnosis, what the failure looks like, and what was tried.

The text is a versioned file. Words that come from outside (names, telemetry) are quoted and cut; keys and paths have no
way in, since nothing here reads an environment or a file but that text.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

import numpy as np

from controllers.controller import Controller
from core.ids import sha256_of
from core.robot import FIXED_BASE
from core.signals import SIGNALS
from patcher.curves import Curves
from patcher.diagnose import diagnose, in_words
from patcher.propose.base import Ranked, Situation
from sim.effect import FIELDS, Effect, touched

_FILE = Path(__file__).parent / "prompts" / "law.md"
VERSION = 1
_WORST = 3  # coordinates whose errors are shown
_TRIED = 4
_POINTS = 12  # of a curve


def prompt_id() -> str:
    """Version and hash of the prompt's text, for the record."""
    return f"law@{VERSION}:{sha256_of(_FILE.read_text())[:12]}"


def brief(situation: Situation, curves: Curves | None, refused: tuple[str, ...] = ()) -> str:
    """The prompt for an incident."""
    robot, top = situation.twin.robot, situation.twin.causes[0]
    base = Controller.from_artefact(situation.incumbent, robot.ports)
    signals = [s for s in SIGNALS if SIGNALS[s].source != "model" or robot.kind == FIXED_BASE]
    named = [
        f"{name} [{spec.unit}]" + (f" x{spec.size}" if spec.size else "") for name, spec in base.manifest.params.items()
    ]
    return Template(_FILE.read_text()).substitute(
        signals=", ".join(f"{name} [{SIGNALS[name].unit or 'of the coordinate'}]" for name in signals),
        robot=_quoted(f"{robot.title}; coordinates {', '.join(robot.joints)}"),
        output=robot.command_name,
        outputs=len(robot.actuators),
        unit=robot.command_unit,
        law=situation.incumbent.files["law.py"].decode(),
        params=", ".join(named),
        short=_quoted(in_words(top, robot)),
        diagnosis=_quoted(diagnose(situation.incident_id, situation.twin, 1.0).summary),
        effect=_measured(top.effect(top.theta)),
        curves="" if curves is None else _curves(curves),
        tried=_tried(situation.tried),
        refused=_refused(refused),
    )


def _quoted(text: str) -> str:
    return json.dumps(" ".join(text.split())[:600])


def _measured(effect: Effect) -> str:
    """The fault in numbers, entry by entry."""
    there = touched(effect)
    parts = []
    for name in (field for field in FIELDS if field in there):
        value = getattr(effect, name)
        shown = [float(f"{v:.3g}") for v in value] if isinstance(value, tuple) else float(f"{value:.3g}")
        parts.append(f"{name} = {shown}")
    return "; ".join(parts) or "none"


def _curves(curves: Curves) -> str:
    """The worst coordinates along the way, thinned out, and which signal the error goes with."""
    rms = np.sqrt(np.mean(np.square(curves.error), axis=0))
    lines = ["", "What the failure looks like (simulated, quoted data):"]
    chosen = np.linspace(0, len(curves.t_s) - 1, _POINTS).astype(int)
    for joint in np.argsort(-rms)[:_WORST]:
        if not rms[joint] > 0.0:
            continue
        error, place, rate = (a[:, joint] for a in (curves.error, curves.q_ref, curves.qd_ref))
        goes = ", ".join(
            f"{name} {_correlation(error, other):+.2f}"
            for name, other in (
                (f"q_ref[{joint}]", place),
                (f"qd_ref[{joint}]", rate),
                (f"sign(qd_ref[{joint}])", np.sign(rate)),
            )
        )
        lines.append(f"- error[{joint}]: rms {rms[joint]:.3g}, correlation with {goes}")
        lines.append(f"  error[{joint}] = {_numbers(error[chosen])}")
        lines.append(f"  q_ref[{joint}] = {_numbers(place[chosen])}")
    return "\n".join([*lines, ""])


def _tried(tried: tuple[Ranked, ...]) -> str:
    """What came before: the optimiser's state is in the values it ended at."""
    if not tried:
        return ""
    lines = ["", "Tried already (score 1 is the law above, less is better):"]
    for each in tried[:_TRIED]:
        candidate = each.proposal.candidate
        at = ", ".join(
            f"{c.name}={c.new:.3g}" + (" (at its bound)" if c.new in (c.low, c.high) else "")
            for c in candidate.changes[:6]
        )
        lines.append(f"- {candidate.proposer}: score {each.score:.2f}; {_quoted(candidate.rationale)} {at}")
    return "\n".join([*lines, ""])


def _refused(refused: tuple[str, ...]) -> str:
    return "" if not refused else "\n".join(["", "Refused answers:", *(f"- {_quoted(why)}" for why in refused), ""])


def _numbers(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.3g}" for value in values) + "]"


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    spread = float(np.std(a) * np.std(b))
    return float(np.mean((a - a.mean()) * (b - b.mean()))) / spread if spread > 0.0 else 0.0
