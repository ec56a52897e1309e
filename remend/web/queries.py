"""What pages ask of the database beyond the ledger: counts and short lists, found by index as far as there is one."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, exists, func, select

from core.records import Outcome
from core.status import PatchStatus
from remend import ledger, tables
from remend.json_field import JsonField


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


def unhealed(connection: Connection, limit: int) -> tuple[str, ...]:
    """Ids of incidents that no patch has been active for, newest first."""
    incidents, candidates, moves = tables.incidents.c, tables.candidates.c, tables.moves.c
    healed = exists().where(
        candidates.incident_id == incidents.id,
        moves.patch_id == candidates.id,
        moves.after == PatchStatus.ACTIVE.value,
    )
    query = select(incidents.id).where(~healed).order_by(incidents.row.desc()).limit(limit)
    return tuple(connection.scalars(query))


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
    return tuple(ledger.records(connection, tables.outcomes, Outcome, patch_id=name)[-1] for name in names)


def record_of_promises(connection: Connection, of: int = 20) -> tuple[int, int]:
    """Of the last patches that were approved and came to a robot: how many held, and how many there were."""
    last = [outcome for outcome in outcomes(connection, of) if outcome.deployed or outcome.rolled_back]
    return sum(outcome.deployed and not outcome.rolled_back for outcome in last), len(last)


def actors(connection: Connection) -> Collection[str]:
    """Everybody whose name is in the audit log."""
    return tuple(connection.scalars(select(tables.audit.c.actor).distinct().order_by(tables.audit.c.actor)))
