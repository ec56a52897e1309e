"""What pages ask of the database beyond the ledger: counts and short lists, found by index as far as there is one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, ScalarSelect, Table, exists, func, select

from core.records import Outcome
from core.status import PatchStatus
from remend import ledger, tables
from remend.codec import read_record
from remend.json_field import JsonField
from remend.service.handling import Handling
from telemetry.incidents import Severity

R = TypeVar("R")
_NAMES = 1000  # in one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """An incident that waits for somebody: no patch healed it or is on its way, and nobody has silenced it."""

    id: str
    has_somebody: bool  # it was acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchNow:
    """A patch with its status of this moment."""

    id: str
    incident_id: str
    status: PatchStatus
    since_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gravity:
    """How bad an incident is."""

    severity: Severity  # the worst
    last_ns: int  # when it showed last, UTC


def several(
    connection: Connection, table: Table, kind: type[R], column: str, names: Collection[str]
) -> dict[str, tuple[R, ...]]:
    """Records of several parents in one query, oldest first; a parent without any has no entry."""
    found: dict[str, list[R]] = {}
    for name, record in _rows(connection, table, column, names):
        found.setdefault(name, []).append(read_record(kind, record))
    return {name: tuple(rows) for name, rows in found.items()}


def _rows(connection: Connection, table: Table, column: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Name of the parent and text of the record, those of one parent oldest first; a statement takes some names."""
    every = sorted(set(names))
    for first in range(0, len(every), _NAMES):
        wanted = table.c[column].in_(every[first : first + _NAMES])
        query = select(table.c[column], table.c.record).where(wanted).order_by(table.c.row)
        for row in connection.execute(query):
            yield row[0], row[1]


def last_seq(connection: Connection) -> int:
    """Number of the last row of the audit log; 0 if there is none."""
    return connection.execute(select(func.max(tables.audit.c.seq))).scalar_one() or 0


def count_in_status(connection: Connection, *statuses: PatchStatus) -> int:
    """Patches that are in one of some statuses now."""
    moves, later = tables.moves.c, tables.moves.alias()
    query = (
        select(func.count())
        .select_from(tables.moves)
        .where(moves.after.in_([status.value for status in statuses]))
        .where(~exists().where(later.c.patch_id == moves.patch_id, later.c.rev > moves.rev))
    )
    return int(connection.execute(query).scalar_one())


def patches_in(connection: Connection, *statuses: PatchStatus) -> tuple[PatchNow, ...]:
    """Patches that are in one of some statuses now, in the order in which they came there."""
    moves, later = tables.moves.c, tables.moves.alias()
    query = (
        select(
            moves.patch_id,
            tables.candidates.c.incident_id,
            moves.after,
            JsonField(moves.record, "at_ns"),
        )
        .join(tables.candidates, tables.candidates.c.id == moves.patch_id)
        .where(moves.after.in_([status.value for status in statuses]))
        .where(~exists().where(later.c.patch_id == moves.patch_id, later.c.rev > moves.rev))
        .order_by(moves.row)
    )
    return tuple(
        PatchNow(id=patch_id, incident_id=incident_id, status=PatchStatus(after), since_ns=int(at_ns))
        for patch_id, incident_id, after, at_ns in connection.execute(query)
    )


def open_incidents(connection: Connection, busy: Sequence[PatchStatus]) -> tuple[OpenIncident, ...]:
    """Incidents that wait for somebody.

    Args:
        busy: statuses of a patch that answers its incident.
    """
    incidents, candidates, moves = tables.incidents.c, tables.candidates.c, tables.moves.c
    later = tables.moves.alias()
    moved = select(candidates.incident_id).join(tables.moves, moves.patch_id == candidates.id)
    healed = moved.where(moves.after == PatchStatus.ACTIVE.value)
    answered = moved.where(
        moves.after.in_([status.value for status in busy]),
        ~exists().where(later.c.patch_id == moves.patch_id, later.c.rev > moves.rev),
    )
    said = _last_verb([each.value for each in Handling])
    came = _last_verb([Handling.MUTED.value, Handling.REOPENED.value, ledger.OCCURRENCE])
    query = (
        select(incidents.id, said)
        .where(incidents.id.not_in(healed), incidents.id.not_in(answered))  # sets: asked once, not for each incident
        .where(func.coalesce(said, "") != Handling.CLOSED.value)
        .where(~((func.coalesce(said, "") == Handling.MUTED.value) & (came == Handling.MUTED.value)))
    )
    return tuple(
        OpenIncident(id=name, has_somebody=verb == Handling.ACKNOWLEDGED.value)
        for name, verb in connection.execute(query)
    )


def _last_verb(verbs: Sequence[str]) -> ScalarSelect[str]:
    """Which of some steps the audit log has last of an incident: its verbs need no reading of records."""
    rows = tables.audit.c
    query = select(rows.verb).where(rows.subject == tables.incidents.c.id, rows.verb.in_(verbs))
    return query.order_by(rows.seq.desc()).limit(1).scalar_subquery()


def gravity(connection: Connection, names: Collection[str]) -> dict[str, Gravity]:
    """How bad some incidents are; what never showed has no entry."""
    found: dict[str, Gravity] = {}
    for name, record in _rows(connection, tables.notes, "subject", names):
        note = json.loads(record)
        if note["verb"] != ledger.OCCURRENCE:
            continue
        times = json.loads(note["payload"]["record"])
        now, before = Severity(times["severity"]), found.get(name)
        worst = now if before is None else max(now, before.severity, key=lambda each: each.rank)
        found[name] = Gravity(severity=worst, last_ns=times["at_ns"])
    return found


def patches_of_robot(connection: Connection, robot_id: str, limit: int) -> tuple[str, ...]:
    """Ids of the newest patches of a robot, newest first."""
    robot = JsonField(tables.incidents.c.record, "robot_id")
    query = (
        select(tables.candidates.c.id)
        .join(tables.incidents, tables.incidents.c.id == tables.candidates.c.incident_id)
        .where(robot == robot_id)
        .order_by(tables.candidates.c.row.desc())
        .limit(limit)
    )
    return tuple(connection.scalars(query))


def outcomes(connection: Connection, limit: int) -> tuple[Outcome, ...]:
    """What became of the patches that came last to a robot, newest first; the last word on each."""
    query = select(tables.outcomes.c.patch_id).order_by(tables.outcomes.c.row.desc()).limit(3 * limit)
    names = tuple(dict.fromkeys(connection.scalars(query)))[:limit]
    found = several(connection, tables.outcomes, Outcome, "patch_id", names)
    return tuple(found[name][-1] for name in names)


def record_of_promises(connection: Connection, of: int = 20) -> tuple[int, int]:
    """Of the last patches that were approved and came to a robot: how many held, and how many there were."""
    last = [outcome for outcome in outcomes(connection, of) if outcome.deployed or outcome.rolled_back]
    return sum(outcome.deployed and not outcome.rolled_back for outcome in last), len(last)


def actors(connection: Connection) -> Collection[str]:
    """Everybody whose name is in the audit log."""
    return tuple(connection.scalars(select(tables.audit.c.actor).distinct().order_by(tables.audit.c.actor)))
