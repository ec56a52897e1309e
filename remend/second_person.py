"""Two people for one approval: the first one is kept until another person approves the same hashes.

It is a note on the patch, and counts only as long as all of it still holds: the same artefacts and the same report, not
expired, and given by somebody who may still approve.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from core.errors import Conflict, Refused
from core.ids import canonical_json
from core.records import Approval
from core.status import PatchStatus
from remend import ledger
from remend.codec import read_record
from remend.journal import Journal
from remend.ledger import Patch
from remend.service.accounts import Role, user

FIRST = "first_approve"  # the decision of who comes first, and the verb of its row in the audit log


def first_approval(connection: Connection, patch: Patch, now_ns: int) -> Approval | None:
    """The approval that waits for another person's; None if there is none that still counts."""
    if patch.status is not PatchStatus.AWAITING_APPROVAL:
        return None
    given = ledger.notes(connection, patch.id, FIRST)
    if not given:
        return None
    first = read_record(Approval, given[-1].payload["record"])
    person = user(connection, first.actor)
    counts = (
        (first.base_sha, first.result_sha) == (patch.candidate.base_sha, patch.candidate.result_sha)
        and patch.report is not None
        and first.report_sha == patch.report.sha256
        and first.at_ns <= now_ns < first.expires_ns
        and person is not None
        and person.role.covers(Role.OPERATOR)
    )
    return first if counts else None


def take(journal: Journal, patch: Patch, approval: Approval, seen: str | None) -> Approval:
    """What an approval is where two are needed: the first of two, which is written down, or the whole of both.

    Args:
        seen: id of the first approval as it was shown, "" for none; None if that is not known.

    Raises:
        Conflict: the person has given the first one, or has not seen it as it is now.
        Refused: it is no person's.
    """
    if user(journal.connection, approval.actor) is None:
        raise Refused(f"the policy asks for two people to approve {patch.id}, and {approval.actor} is no user here")
    first = first_approval(journal.connection, patch, journal.at_ns)
    _require_seen(patch, first, seen)
    if first is None:
        given = replace(approval, decision=FIRST)
        journal.note(patch.id, FIRST, {"record": canonical_json(given)})
        return given
    if first.actor == approval.actor:
        raise Conflict(f"{first.actor} has approved {patch.id} already; the second approval is another person's")
    return replace(approval, first_actor=first.actor)


def _require_seen(patch: Patch, first: Approval | None, seen: str | None) -> None:
    """Whoever approves second has read what the first one said."""
    if seen is None or seen == ("" if first is None else first.id):
        return
    if first is None:
        raise Conflict(f"the first approval of {patch.id} counts no more; look at it again")
    raise Conflict(f"{first.actor} has approved {patch.id} meanwhile; look at it again, yours is the second approval")
