"""How people handle an incident: they are on it, silence it, or close it as no matter for a controller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from core.errors import BadInput, Conflict
from remend import ledger, tables
from remend.journal import Journal
from remend.ledger import Note


class Handling(StrEnum):
    """What can be said of an incident."""

    ACKNOWLEDGED = "acknowledged"  # a person has it; others need not look
    MUTED = "muted"  # it stays out of the inbox until it shows again
    CLOSED = "closed"  # it is not the controller's business; the note says whose
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """The last thing that was said of an incident."""

    handling: Handling
    actor: str
    note: str
    at_ns: int  # UTC


def handle(journal: Journal, incident_id: str, handling: Handling, note: str) -> None:
    """Say something of a stored incident.

    Raises:
        BadInput: there is no such incident, or it is closed without a note.
        Conflict: it is closed already.
    """
    ledger.digest(journal.connection, tables.incidents, incident_id)
    now = handled(journal.connection, incident_id)
    closed = now is not None and now.handling is Handling.CLOSED
    if closed and handling is not Handling.REOPENED:
        assert now is not None
        raise Conflict(f"{incident_id} was closed by {now.actor}; reopen it first")
    if handling is Handling.CLOSED and not note.strip():
        raise BadInput("closing an incident needs a note: what is it, and who sees to it")
    journal.note(incident_id, handling.value, {"note": note})


def handled(connection: Connection, incident_id: str) -> Handled | None:
    """What was said last of an incident; None if nothing was, or it has shown again since it was muted."""
    return handled_by(ledger.records(connection, tables.notes, Note, subject=incident_id))


def handled_by(notes: Sequence[Note]) -> Handled | None:
    """The same, of the notes on an incident."""
    last: Handled | None = None
    for note in notes:
        if note.verb in set(Handling):
            last = Handled(
                handling=Handling(note.verb), actor=note.actor, note=note.payload.get("note", ""), at_ns=note.at_ns
            )
        elif note.verb == ledger.OCCURRENCE and last is not None and last.handling is Handling.MUTED:
            last = None
    return None if last is not None and last.handling is Handling.REOPENED else last
