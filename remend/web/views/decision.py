"""The block in which somebody decides, or why nobody can."""

from __future__ import annotations

from dataclasses import dataclass

from core.records import Approval
from core.status import PatchStatus, Verdict
from remend import views
from remend.ledger import Patch
from remend.service.accounts import Role, User
from remend.service.freeze import Freeze
from remend.service.risk import Level, Risk
from remend.web.identity import Identity
from remend.web.views.times import duration

_S = PatchStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A decision that did not come about: what was typed, and why nothing happened."""

    decision: str = ""
    reason: str = ""
    robot_name: str = ""
    why: str = ""
    changed: tuple[tuple[str, str, str], ...] = ()  # (what, then, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBlock:
    """What can be decided here, by this reader, now."""

    state: str  # "open", "held", "early", "done" or "no_role"
    says: str  # one or two sentences
    approve_off: str  # why approving is off; empty if it is not
    first: str  # who gave the first of two approvals, when and why; empty if nobody or one is enough
    persons: int  # who have to approve
    needs_reason: bool  # for an approval; a rejection always does
    needs_name: bool
    ask: tuple[str, ...]  # who could decide
    expires: str  # "in 3 h 10 min"; empty if it does not
    successor: str  # id of a patch to look at instead
    attempt: Attempt


def decision_block(
    patch: Patch,
    risk: Risk,
    who: Identity,
    users: tuple[User, ...],
    freeze: Freeze | None,
    expires_ns: int,
    now_ns: int,
    successor: str,
    attempt: Attempt,
    persons: int = 1,
    first: Approval | None = None,
) -> DecisionBlock:
    """The block for one reader."""
    given_by = "" if first is None else first.actor
    status = patch.status
    ask = tuple(user.name for user in users if user.role.covers(Role.OPERATOR) and user.name != given_by)
    state, says = _state(patch)
    if state in ("open", "held") and not who.may(Role.OPERATOR):
        state, says = "no_role", "You may read everything here; deciding takes an operator."
    return DecisionBlock(
        state=state,
        says=says,
        approve_off=_approve_off(patch, freeze) or _second_off(first, who),
        first=_first_words(first, now_ns),
        persons=persons,
        needs_reason=risk.level.rank >= Level.MEDIUM.rank,
        needs_name=risk.level is Level.HIGH,
        ask=ask,
        expires=_expires(expires_ns, now_ns) if status is _S.AWAITING_APPROVAL else "",
        successor=successor,
        attempt=attempt,
    )


def _state(patch: Patch) -> tuple[str, str]:
    match patch.status:
        case _S.AWAITING_APPROVAL:
            return "open", ""
        case _S.INCONCLUSIVE:
            return "held", "The evidence decides neither way. It cannot be approved; rejecting it puts it away."
        case _S.PROPOSED | _S.CHECKED | _S.VALIDATING:
            return "early", "The evidence is not complete. Nothing can be decided yet, and nothing of this patch runs."
        case _:
            return "done", _ending(patch)


def _ending(patch: Patch) -> str:
    """What became of a patch that nobody can decide on any more."""
    last, approval = patch.moves[-1], patch.approval
    if patch.status is _S.EXPIRED:
        return f"Expired: {last.why}. Nothing of it ran. If the trouble is still there, it is answered anew."
    if patch.status is _S.SUPERSEDED:
        return f"Superseded: {last.why}."
    if approval is not None:
        said = "approved" if approval.decision == "approve" else "rejected"
        says = f"{approval.approver} {said} this patch" + (f": {approval.reason}" if approval.reason else "")
        return says if says.endswith((".", "!", "?")) else f"{says}."
    return views.sentence(f"{patch.status.value.replace('_', ' ')}: {last.why}")


def _approve_off(patch: Patch, freeze: Freeze | None) -> str:
    if freeze is not None:
        return f"Patching is frozen by {freeze.actor}; an admin can thaw it."
    if patch.report is None:
        return "There is no report yet."
    if not views.reproduced(patch.report):
        return views.NOT_REPRODUCED
    if patch.report.verdict is not Verdict.PASS:
        return f"The evidence is {views.VERDICT_WORDS[patch.report.verdict]}; only a pass can be approved."
    return ""


def _first_words(first: Approval | None, now_ns: int) -> str:
    if first is None:
        return ""
    ago = duration(max(now_ns - first.at_ns, 0) * 1e-9)
    said = f"{first.actor} approved this {ago} ago" + (f": {first.reason}" if first.reason else "")
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _second_off(first: Approval | None, who: Identity) -> str:
    """Nobody is two people."""
    return "You gave the first approval; the second is another person's." if first and first.actor == who.name else ""


def _expires(expires_ns: int, now_ns: int) -> str:
    left_s = (expires_ns - now_ns) * 1e-9
    return f"in {duration(left_s)}" if left_s > 0 else "any moment"
