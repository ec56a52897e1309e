"""What a robot has used of what its policy allows, over the last 24 h: counted from the records, never kept aside.

A search writes down what it may cost before it begins, and what it did cost when it has ended. One that was killed in
between counts with all that it might have cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from core.records import Approval, Incident, Seal
from core.status import PatchStatus
from remend import ledger, tables
from remend.agency.policy import ACTOR, KINDS
from remend.codec import read_record
from remend.journal import Journal
from remend.ledger import Move, Note

DAY_NS = 24 * 3600 * 10**9
_BEGUN, _ENDED = "search_begun", "search_ended"  # verbs of notes on a robot


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a search costs."""

    simulations: int = 0
    tokens: int = 0
    usd: float = 0.0

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            simulations=self.simulations + other.simulations,
            tokens=self.tokens + other.tokens,
            usd=self.usd + other.usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What was used over the last 24 h."""

    proposed: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))  # by kind of patch
    auto_approved: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    alpha: float = 0.0
    cost: Cost = field(default_factory=Cost)


def uses(connection: Connection, robot_id: str, now_ns: int) -> Uses:
    """What a robot has used until now."""
    since_ns = now_ns - DAY_NS
    proposed, auto = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for kind in _proposed(connection, robot_id, since_ns):
        proposed[kind] = proposed.get(kind, 0) + 1
    for kind in _auto_approved(connection, robot_id, since_ns):
        auto[kind] = auto.get(kind, 0) + 1
    seals = ledger.records(connection, tables.seals, Seal, robot_id=robot_id)
    return Uses(
        proposed=proposed,
        auto_approved=auto,
        alpha=sum(seal.alpha for seal in seals if seal.at_ns > since_ns),
        cost=_cost(connection, robot_id, since_ns),
    )


def begin_search(journal: Journal, robot_id: str, search: str, may_cost: Cost) -> None:
    """Write down what a search may cost, before it costs anything."""
    journal.note(robot_id, _BEGUN, _payload(search, may_cost))


def end_search(journal: Journal, robot_id: str, search: str, cost: Cost) -> None:
    """Write down what it did cost."""
    journal.note(robot_id, _ENDED, _payload(search, cost))


def _payload(search: str, cost: Cost) -> dict[str, str]:
    return {
        "search": search,
        "simulations": str(cost.simulations),
        "tokens": str(cost.tokens),
        "usd": repr(cost.usd),
    }


def _cost(connection: Connection, robot_id: str, since_ns: int) -> Cost:
    notes, known, total = tables.notes.c, set[str](), Cost()
    for record in connection.scalars(select(notes.record).filter_by(subject=robot_id).order_by(notes.row.desc())):
        note = read_record(Note, record)
        if note.at_ns <= since_ns:
            break
        if note.verb in (_BEGUN, _ENDED) and note.payload["search"] not in known:  # the end comes first
            told = note.payload
            known.add(told["search"])
            total = total.plus(
                Cost(simulations=int(told["simulations"]), tokens=int(told["tokens"]), usd=float(told["usd"]))
            )
    return total


def _proposed(connection: Connection, robot_id: str, since_ns: int) -> list[str]:
    """Kinds of the patches that were put before the gates since then, newest first."""
    moves, kinds = tables.moves.c, []
    query = (
        select(moves.record, moves.patch_id).where(moves.after == PatchStatus.CHECKED.value).order_by(moves.row.desc())
    )
    for record, patch_id in connection.execute(query):
        if read_record(Move, record).at_ns <= since_ns:
            break
        kinds += _kind(connection, patch_id, robot_id)
    return kinds


def _auto_approved(connection: Connection, robot_id: str, since_ns: int) -> list[str]:
    approvals, kinds = tables.approvals.c, []
    for record in connection.scalars(select(approvals.record).order_by(approvals.row.desc())):
        approval = read_record(Approval, record)
        if approval.at_ns <= since_ns:
            break
        if approval.actor == ACTOR:
            kinds += _kind(connection, approval.patch_id, robot_id)
    return kinds


def _kind(connection: Connection, patch_id: str, robot_id: str) -> list[str]:
    """The kind of a patch, if it is for this robot."""
    candidate = ledger.candidate(connection, patch_id)
    incident = ledger.records(connection, tables.incidents, Incident, id=candidate.incident_id)[0]
    return [candidate.kind] if incident.robot_id == robot_id else []
