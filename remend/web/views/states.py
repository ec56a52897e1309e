"""States as words, with a tone that is only ever drawn together with its word."""

from __future__ import annotations

from dataclasses import dataclass

from core.status import PatchStatus
from remend.web.resources import RobotShown
from remend.web.views.times import duration
from telemetry.incidents import Severity

STALE_S = 3.0  # telemetry that is older is not shown as what is so now

_PLAIN, _OPEN, _BAD = "plain", "open", "bad"
_S = PatchStatus
_PATCH = {
    _S.PROPOSED: ("proposed", _PLAIN),
    _S.CHECKED: ("checked", _PLAIN),
    _S.VALIDATING: ("being proven", _PLAIN),
    _S.AWAITING_APPROVAL: ("awaiting approval", _OPEN),
    _S.APPROVED: ("approved", _PLAIN),
    _S.STAGED: ("staged", _OPEN),
    _S.SHADOW: ("in shadow", _OPEN),
    _S.CANARY: ("on trial", _OPEN),
    _S.ACTIVE: ("active", _PLAIN),
    _S.SUPERSEDED: ("superseded", _PLAIN),
    _S.REJECTED: ("rejected", _PLAIN),
    _S.EXPIRED: ("expired", _PLAIN),
    _S.INCONCLUSIVE: ("inconclusive", _OPEN),
    _S.ROLLING_BACK: ("rolling back", _BAD),
    _S.ROLLED_BACK: ("rolled back", _BAD),
    _S.ROLLBACK_FAILED: ("rollback failed", _BAD),
    _S.KILLED: ("killed", _BAD),
}
IN_FLIGHT = (_S.APPROVED, _S.STAGED, _S.SHADOW, _S.CANARY, _S.ROLLING_BACK, _S.ROLLBACK_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pill:
    """A state: a word and its tone."""

    word: str
    tone: str  # "plain", "open" or "bad"


def patch_pill(status: PatchStatus) -> Pill:
    """The state of a patch."""
    word, tone = _PATCH[status]
    return Pill(word=word, tone=tone)


def severity_pill(severity: Severity) -> Pill:
    """How bad an incident is."""
    tone = {Severity.UNSAFE: _BAD, Severity.DEGRADED: _OPEN}.get(severity, _PLAIN)
    return Pill(word=severity.value, tone=tone)


def is_lost(robot: RobotShown) -> bool:
    """Whether a robot says nothing any more."""
    return robot.silent_s is not None and robot.silent_s > STALE_S


def robot_pill(robot: RobotShown) -> Pill:
    """What a robot is up to, the worst first."""
    if robot.silent_s is None:
        word = "no telemetry yet" if robot.doing in (None, "watching") else robot.doing
        return Pill(word=word, tone=_PLAIN)
    if is_lost(robot):
        return Pill(word=f"no data for {duration(robot.silent_s)}", tone=_BAD)
    if robot.held is not None:
        return Pill(word="held", tone=_OPEN)
    if robot.stage in ("shadow", "canary", "ready"):
        share = f", {100 * robot.share:.0f} %" if robot.share else ""
        return Pill(word=f"patch on trial{share}", tone=_OPEN)
    if robot.doing in (None, "watching"):
        alarmed = robot.test_ratio is not None and robot.test_ratio >= 1.0
        return Pill(word="alarm", tone=_OPEN) if alarmed else Pill(word="watching", tone=_PLAIN)
    done = f" {robot.done} of {robot.total}" if robot.total else ""
    return Pill(word=f"{robot.doing}{done}", tone=_PLAIN)
