"""What the database knows of an incident or a patch: its records and its way through the states."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, exists, select

from core.errors import Missing
from core.ids import plain
from core.records import Approval, Candidate, Diagnosis, Incident, Outcome, ValidationReport
from core.status import PatchStatus
from remend import tables
from remend.codec import read_record
from telemetry.incidents import Occurrence, standing

R = TypeVar("R")
OCCURRENCE = "occurrence"  # verb of the notes that count how often an incident showed


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One status transition. The last move of a patch holds its status."""

    patch_id: str
    rev: int  # 0, 1, 2, ... for each patch
    before: PatchStatus | None  # None: the patch was proposed
    after: PatchStatus
    actor: str
    why: str
    at_ns: int  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth an audit row that is no record of its own, such as a kill or a freeze."""

    subject: str  # id of an incident, patch or robot
    actor: str
    verb: str
    payload: dict[str, str]
    at_ns: int  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A candidate with everything that was added to it, oldest first."""

    candidate: Candidate
    moves: tuple[Move, ...]
    reports: tuple[ValidationReport, ...]
    approval: Approval | None
    outcomes: tuple[Outcome, ...]

    @property
    def id(self) -> str:
        return self.candidate.id

    @property
    def status(self) -> PatchStatus:
        return self.moves[-1].after

    @property
    def report(self) -> ValidationReport | None:
        """The last report: the one a decision must name."""
        return self.reports[-1] if self.reports else None


def records(connection: Connection, table: Table, kind: type[R], **where: str) -> tuple[R, ...]:
    """Records of a table, oldest first; `where` is column = value.

    Raises:
        BadInput: a stored record is not readable.
    """
    query = select(table.c.record).filter_by(**where).order_by(table.c.row)
    return tuple(read_record(kind, record) for record in connection.scalars(query))


def candidate(connection: Connection, patch_id: str) -> Candidate:
    """The candidate of a patch.

    Raises:
        Missing: no such patch.
    """
    digest(connection, tables.candidates, patch_id)
    return records(connection, tables.candidates, Candidate, id=patch_id)[0]


def patch(connection: Connection, patch_id: str) -> Patch:
    """One patch with everything that was added to it.

    Raises:
        Missing: no such patch.
    """
    approvals = records(connection, tables.approvals, Approval, patch_id=patch_id)
    return Patch(
        candidate=candidate(connection, patch_id),
        moves=records(connection, tables.moves, Move, patch_id=patch_id),
        reports=records(connection, tables.reports, ValidationReport, patch_id=patch_id),
        approval=approvals[0] if approvals else None,
        outcomes=records(connection, tables.outcomes, Outcome, patch_id=patch_id),
    )


def notes(connection: Connection, subject: str, verb: str) -> tuple[Note, ...]:
    """Notes of one kind on a subject, oldest first."""
    return tuple(note for note in records(connection, tables.notes, Note, subject=subject) if note.verb == verb)


def occurrences(connection: Connection, incident_id: str) -> tuple[Occurrence, ...]:
    """Every time that an incident showed, oldest first."""
    return occurrences_in(records(connection, tables.notes, Note, subject=incident_id))


def occurrences_in(notes: Sequence[Note]) -> tuple[Occurrence, ...]:
    """What the notes on an incident say of when it showed."""
    return tuple(read_record(Occurrence, note.payload["record"]) for note in notes if note.verb == OCCURRENCE)


def open_incident(connection: Connection, fingerprint: str) -> str | None:
    """Id of the newest incident with this fingerprint, unless one of its patches was active on the robot."""
    query = select(tables.incidents.c.id).order_by(tables.incidents.c.row.desc())
    for incident_id in connection.scalars(query).all():
        times = occurrences(connection, incident_id)
        if times and times[0].fingerprint == fingerprint:
            patches = connection.scalars(select(tables.candidates.c.id).filter_by(incident_id=incident_id)).all()
            query = select(tables.moves.c.row).where(
                tables.moves.c.patch_id.in_(patches), tables.moves.c.after == PatchStatus.ACTIVE.value
            )
            return None if connection.execute(query).first() else str(incident_id)
    return None


def kept(connection: Connection, base_sha: str) -> tuple[tuple[str, Candidate], ...]:
    """Patches of a controller that a robot has kept, newest first, with the cause that was diagnosed."""
    found = []
    last = {outcome.patch_id: outcome for outcome in records(connection, tables.outcomes, Outcome)}
    for outcome in reversed(last.values()):
        if not outcome.deployed or outcome.rolled_back:
            continue
        chosen = candidate(connection, outcome.patch_id)
        known = records(connection, tables.diagnoses, Diagnosis, incident_id=chosen.incident_id)
        if chosen.base_sha == base_sha and known:
            found.append((known[-1].causes[0].cause, chosen))
    return tuple(found)


def newest(connection: Connection, table: Table, limit: int, before: str | None = None) -> tuple[str, ...]:
    """Ids of a table's records, newest first, of those that came before the record `before`.

    Raises:
        Missing: there is no record `before`.
    """
    query = select(table.c.id).order_by(table.c.row.desc()).limit(limit)
    if before is not None:
        digest(connection, table, before)
        query = query.where(table.c.row < select(table.c.row).where(table.c.id == before).scalar_subquery())
    return tuple(connection.scalars(query))


def newest_patches(
    connection: Connection, limit: int, before: str | None, statuses: Collection[PatchStatus]
) -> tuple[str, ...]:
    """Ids of patches, newest first, of those that came before `before`; in one of some statuses now, or in any.

    Raises:
        Missing: there is no patch `before`.
    """
    if not statuses:
        return newest(connection, tables.candidates, limit, before)
    candidates, moves, later = tables.candidates.c, tables.moves.c, tables.moves.alias()
    query = (
        select(candidates.id)
        .join(tables.moves, moves.patch_id == candidates.id)
        .where(moves.after.in_([status.value for status in statuses]))
        .where(~exists().where(later.c.patch_id == moves.patch_id, later.c.rev > moves.rev))
        .order_by(candidates.row.desc())
        .limit(limit)
    )
    if before is not None:
        digest(connection, tables.candidates, before)
        query = query.where(candidates.row < select(candidates.row).where(candidates.id == before).scalar_subquery())
    return tuple(connection.scalars(query))


def incident(connection: Connection, incident_id: str) -> Incident:
    """One incident.

    Raises:
        Missing: no such incident.
    """
    digest(connection, tables.incidents, incident_id)
    return records(connection, tables.incidents, Incident, id=incident_id)[0]


def audit_rows(
    connection: Connection, limit: int, before_seq: int | None = None, **where: str | None
) -> list[dict[str, Any]]:
    """Rows of the audit log, newest first; `where` is column = value, None for any."""
    wanted = {name: value for name, value in where.items() if value is not None}
    query = select(tables.audit).filter_by(**wanted).order_by(tables.audit.c.seq.desc()).limit(limit)
    if before_seq is not None:
        query = query.where(tables.audit.c.seq < before_seq)
    return [dict(row._mapping) for row in connection.execute(query)]


def audit_after(connection: Connection, seq: int, limit: int = 200) -> list[dict[str, Any]]:
    """Rows of the audit log after row `seq`, oldest first."""
    query = select(tables.audit).where(tables.audit.c.seq > seq).order_by(tables.audit.c.seq).limit(limit)
    return [dict(row._mapping) for row in connection.execute(query)]


def patches_of(connection: Connection, incident_id: str) -> tuple[str, ...]:
    """Ids of the patches that were proposed for an incident, oldest first."""
    query = select(tables.candidates.c.id).filter_by(incident_id=incident_id).order_by(tables.candidates.c.row)
    return tuple(connection.scalars(query))


def in_status(connection: Connection, robot_id: str, statuses: Collection[PatchStatus]) -> tuple[str, ...]:
    """Ids of a robot's patches that are in one of some statuses now, oldest first."""
    moves = tables.moves.c
    later = tables.moves.alias()
    query = (
        select(moves.patch_id, tables.incidents.c.record)
        .join(tables.candidates, tables.candidates.c.id == moves.patch_id)
        .join(tables.incidents, tables.incidents.c.id == tables.candidates.c.incident_id)
        .where(moves.after.in_([status.value for status in statuses]))
        .where(~exists().where(later.c.patch_id == moves.patch_id, later.c.rev > moves.rev))
        .order_by(tables.candidates.c.row)
    )
    return tuple(name for name, record in connection.execute(query) if json.loads(record)["robot_id"] == robot_id)


def last_move(connection: Connection, patch_id: str) -> Move | None:
    """The move that holds the status of a patch; None before it is proposed."""
    moves = tables.moves.c
    query = select(moves.record).where(moves.patch_id == patch_id).order_by(moves.rev.desc()).limit(1)
    record = connection.scalars(query).first()
    return read_record(Move, record) if record else None


def digest(connection: Connection, table: Table, name: str) -> str:
    """Sha256 of the record with the id `name`.

    Raises:
        Missing: there is none; the sentence suggests ids that look like it.
    """
    sha256 = connection.execute(select(table.c.sha256).where(table.c.id == name)).scalar_one_or_none()
    if sha256 is None:
        raise Missing(_unknown(connection, name, table))
    return str(sha256)


def show(connection: Connection, name: str) -> dict[str, Any]:
    """Everything known of an incident or a patch, as JSON types: `kind`, `status` of a patch, records, audit rows.

    Raises:
        Missing: there is none; the sentence suggests ids that look like it.
    """
    move = last_move(connection, name)
    shown: dict[str, Any] = {"id": name, "kind": "patch" if move else "incident"}
    if move:
        shown["status"] = move.after.value
    else:
        if connection.execute(select(tables.incidents.c.id).where(tables.incidents.c.id == name)).first() is None:
            raise Missing(_unknown(connection, name, tables.incidents, tables.candidates))
        patches = connection.scalars(select(tables.candidates.c.id).filter_by(incident_id=name))
        shown["patches"] = [{"id": each, "status": status(connection, each).value} for each in patches]
        if times := occurrences(connection, name):
            shown["standing"] = plain(standing(times))
    for table in tables.RECORDS:
        if table is tables.candidates and not move:
            continue  # an incident lists its patches by id; ask for them
        for column in set(table.c.keys()) & {"id", "incident_id", "patch_id", "subject"}:
            query = select(table.c.record).where(table.c[column] == name).order_by(table.c.row)
            if rows := [json.loads(record) for record in connection.scalars(query)]:
                shown[table.name] = rows
    audit_rows = connection.execute(select(tables.audit).where(tables.audit.c.subject == name).order_by("seq"))
    shown["audit"] = [dict(row._mapping) for row in audit_rows]
    return shown


def status(connection: Connection, patch_id: str) -> PatchStatus:
    """Where a patch is now.

    Raises:
        Missing: no such patch.
    """
    if (move := last_move(connection, patch_id)) is None:
        raise Missing(_unknown(connection, patch_id, tables.candidates))
    return move.after


def _unknown(connection: Connection, name: str, *places: Table) -> str:
    known = [each for table in places for each in connection.scalars(select(table.c.id))]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "ids are in the JSON of `remend heal` and in report.html"
    return f"there is no {' or '.join(_WORD[table.name] for table in places)} {name!r}; {hint}"


_WORD = {"incidents": "incident", "candidates": "patch", "orders": "order"}
