"""A person's decision on a patch: whether it may be made, by whom, and on exactly what.

A decision names what was on the page: the incumbent, the patch and the report. If any of them is another one by now,
the answer says what changed, and nothing happened. The same decision sent twice is one decision.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.clock import Clock
from core.errors import BadInput, Conflict, Refused
from core.ids import new_id
from core.records import Approval
from core.status import PatchStatus
from remend.decision import VALID_NS
from remend.ledger import Patch
from remend.second_person import FIRST, first_approval
from remend.service.freeze import require_moving
from remend.service.risk import Level, Risk, risk_of
from remend.store import Store

MAX_REASON = 2000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was on the page, as sha256."""

    base_sha: str
    result_sha: str
    report_sha: str
    first_id: str | None = None  # of the first of two approvals; "" if there was none; None if that is not said


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks for."""

    decision: str  # "approve" or "reject"
    actor: str
    reason: str
    robot_name: str  # typed, where the risk asks for it
    assured: bool = False  # the password was given just now, or the token is made for high risk


def decide(
    store: Store, clock: Clock, patch_id: str, wish: Wish, shown: Shown, *, simulated: bool, persons: int = 1
) -> Approval:
    """Decide on a patch.

    Args:
        persons: who have to approve the same hashes: 1 or 2.

    Returns:
        The decision; where two people have to approve, the first approval says so in its `decision`.

    Raises:
        BadInput: no such patch, or a reason or the robot's name is missing.
        Conflict: something else was shown than there is, somebody else has decided, or the person has given the first
            of two approvals.
        Refused: patching is frozen, the evidence does not allow it, or the risk is high and nobody gave the password
            just now.
    """
    patch = store.patch(patch_id)
    if patch.approval is not None:
        if _same(patch.approval, wish, shown):
            return patch.approval
        was = "approved" if patch.approval.decision == "approve" else "rejected"
        raise Conflict(f"{patch_id} was {was} by {patch.approval.actor}; a patch is decided once")
    _require_current(patch, shown)
    if wish.decision == "approve" and persons > 1:
        with store.reading() as connection:
            first = first_approval(connection, patch, clock.wall_ns())
        if first is not None and shown.first_id == "" and _same(first, wish, shown):
            return first  # the same request once more
    if len(wish.reason) > MAX_REASON:
        raise BadInput(f"a reason has at most {MAX_REASON} characters")
    if wish.decision == "approve":
        with store.reading() as connection:
            require_moving(connection)
        robot_id = store.incident(patch.candidate.incident_id).robot_id
        _require_care(risk_of(patch.candidate, patch.report, simulated=simulated), wish, robot_id)
    elif not wish.reason.strip():
        raise BadInput("a rejection needs a reason; whoever looks for the next patch reads it")
    now_ns = clock.wall_ns()
    approval = Approval(
        id=new_id("app", clock),
        patch_id=patch_id,
        decision=wish.decision,
        actor=wish.actor,
        reason=wish.reason.strip(),
        base_sha=shown.base_sha,
        result_sha=shown.result_sha,
        report_sha=shown.report_sha,
        at_ns=now_ns,
        expires_ns=now_ns + VALID_NS,
    )
    return store.decide(approval, persons=persons, seen=shown.first_id)


def _same(approval: Approval, wish: Wish, shown: Shown) -> bool:
    decision = "approve" if approval.decision == FIRST else approval.decision
    then = (decision, approval.actor, approval.base_sha, approval.result_sha, approval.report_sha)
    return then == (wish.decision, wish.actor, shown.base_sha, shown.result_sha, shown.report_sha)


def _require_current(patch: Patch, shown: Shown) -> None:
    if patch.status not in (PatchStatus.AWAITING_APPROVAL, PatchStatus.INCONCLUSIVE):
        raise Conflict(f"{patch.id} is {patch.status.value} by now ({patch.moves[-1].why}); there is nothing to decide")
    there = {
        "the controller that it changes": (patch.candidate.base_sha, shown.base_sha),
        "the patch": (patch.candidate.result_sha, shown.result_sha),
        "the report": (patch.report.sha256 if patch.report else "", shown.report_sha),
    }
    changed = [what for what, (now, then) in there.items() if now != then]
    if changed:
        raise Conflict(f"{' and '.join(changed)} changed since the page was opened; look at {patch.id} again")


def _require_care(risk: Risk, wish: Wish, robot_id: str) -> None:
    if risk.level.rank >= Level.MEDIUM.rank and not wish.reason.strip():
        raise BadInput(f"the risk is {risk.level.value}: an approval needs a reason")
    if risk.level is Level.HIGH and wish.robot_name.strip() != robot_id:
        raise BadInput(f"the risk is high: type the robot's name, {robot_id}, to approve")
    if risk.level is Level.HIGH and not wish.assured:
        raise Refused("the risk is high: give your password again to approve, or use a token with the scope high_risk")
