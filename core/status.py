"""Verdicts and the life of a patch as one transition table.

A state that is not named as a successor cannot be reached: `require_transition` is the only door.
"""

from __future__ import annotations

from enum import StrEnum

from core.errors import Conflict


class Verdict(StrEnum):
    """Outcome of a gate or a report. Inconclusive never promotes."""

    PASS = "pass"  # noqa: S105 a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class PatchStatus(StrEnum):
    """Where a patch is. See `SUCCESSORS` for the legal moves."""

    PROPOSED = "proposed"
    CHECKED = "checked"
    VALIDATING = "validating"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    STAGED = "staged"
    SHADOW = "shadow"
    CANARY = "canary"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    EXPIRED = "expired"
    INCONCLUSIVE = "inconclusive"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    KILLED = "killed"


_P = PatchStatus
_ON_ROBOT = frozenset({_P.ROLLING_BACK, _P.KILLED})

SUCCESSORS: dict[PatchStatus, frozenset[PatchStatus]] = {
    _P.PROPOSED: frozenset({_P.CHECKED, _P.REJECTED}),
    _P.CHECKED: frozenset({_P.VALIDATING, _P.REJECTED}),
    _P.VALIDATING: frozenset({_P.AWAITING_APPROVAL, _P.REJECTED, _P.INCONCLUSIVE}),
    _P.AWAITING_APPROVAL: frozenset({_P.APPROVED, _P.REJECTED, _P.EXPIRED}),
    _P.APPROVED: frozenset({_P.STAGED, _P.EXPIRED, _P.REJECTED}),
    _P.STAGED: frozenset({_P.SHADOW}) | _ON_ROBOT,
    _P.SHADOW: frozenset({_P.CANARY}) | _ON_ROBOT,
    _P.CANARY: frozenset({_P.ACTIVE}) | _ON_ROBOT,
    _P.ACTIVE: frozenset({_P.SUPERSEDED}) | _ON_ROBOT,
    _P.ROLLING_BACK: frozenset({_P.ROLLED_BACK, _P.ROLLBACK_FAILED, _P.KILLED}),
    _P.ROLLBACK_FAILED: frozenset({_P.KILLED}),
    _P.SUPERSEDED: frozenset(),
    _P.REJECTED: frozenset(),
    _P.EXPIRED: frozenset(),
    _P.INCONCLUSIVE: frozenset({_P.REJECTED}),
    _P.ROLLED_BACK: frozenset(),
    _P.KILLED: frozenset(),
}


def require_transition(before: PatchStatus, after: PatchStatus) -> None:
    """Raise `Conflict` unless `before -> after` is a legal move of a patch."""
    if after not in SUCCESSORS[before]:
        raise Conflict(f"a patch that is {before.value} cannot become {after.value}")
