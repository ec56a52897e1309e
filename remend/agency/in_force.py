"""Which policy was in force when: every change of it is a row of the audit log, with what it says."""

from __future__ import annotations

from sqlalchemy import Connection

from core.errors import BadInput
from core.ids import canonical_json
from remend import ledger
from remend.agency.policy import AgencyPolicy
from remend.journal import Journal
from remend.ledger import Note

SUBJECT = "policy"
_VERB = "policy"


def put_in_force(journal: Journal, policy: AgencyPolicy, file: str) -> None:
    """Write a policy down, unless it is the one that is in force already. The defaults need no writing down.

    Raises:
        BadInput: it says something else than the one before, under the same version or an older one.
    """
    before = in_force(journal.connection)
    was, was_sha = (0, "") if before is None else (int(before.payload["version"]), before.payload["sha256"])
    if policy.sha256 == was_sha or (before is None and policy.version == 0):
        return
    if 0 < policy.version <= was:
        raise BadInput(
            f"{file}: version is {policy.version}, but the policy has changed since version {was}; count it up"
        )
    payload = {"version": str(policy.version), "sha256": policy.sha256, "policy": canonical_json(policy)}
    journal.note(SUBJECT, _VERB, payload)


def in_force(connection: Connection) -> Note | None:
    """The note on the policy that was put in force last."""
    notes = ledger.notes(connection, SUBJECT, _VERB)
    return notes[-1] if notes else None
