"""The freeze: while it lasts nothing is proposed, approved or promoted. Robots go on with what they have."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from core.errors import Refused
from remend import ledger, tables
from remend.journal import Journal
from remend.ledger import Note

SUBJECT = "patching"
_VERBS = ("freeze", "thaw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Who stopped patching, when and why."""

    actor: str
    reason: str
    at_ns: int  # UTC


def freeze(journal: Journal, reason: str) -> None:
    """Stop patching. A second freeze changes nothing."""
    if frozen(journal.connection) is None:
        journal.note(SUBJECT, "freeze", {"reason": reason})


def thaw(journal: Journal, reason: str) -> None:
    """Let patching go on."""
    if frozen(journal.connection) is not None:
        journal.note(SUBJECT, "thaw", {"reason": reason})


def frozen(connection: Connection) -> Freeze | None:
    """The freeze that is in force, if one is."""
    notes = [n for n in ledger.records(connection, tables.notes, Note, subject=SUBJECT) if n.verb in _VERBS]
    if not notes or notes[-1].verb == "thaw":
        return None
    return Freeze(actor=notes[-1].actor, reason=notes[-1].payload["reason"], at_ns=notes[-1].at_ns)


def require_moving(connection: Connection) -> None:
    """Raises:
    Refused: patching is frozen.
    """
    if (now := frozen(connection)) is not None:
        raise Refused(f"patching is frozen by {now.actor} ({now.reason or 'no reason given'}); thaw it first")
