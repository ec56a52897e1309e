"""A home in which what happened there has happened thousands of times: its incidents, copied under new names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from core.ids import sha256_of
from remend import audit, tables
from remend.database import open_database, writing

_OF_AN_INCIDENT = (
    tables.incidents,
    tables.diagnoses,
    tables.candidates,
    tables.moves,
    tables.reports,
    tables.approvals,
    tables.outcomes,
    tables.notes,
)
_ID = re.compile(r"\b((?:inc|pat|rep|app)_[A-Za-z0-9_]+)")
_SHA = re.compile(r"\b[0-9a-f]{64}\b")
_NAMED = {"id", "incident_id", "patch_id", "subject"}
_AT_A_TIME = 100  # copies

Row = dict[str, Any]
Family = dict[str, list[Row]]  # table -> rows


def multiply(home: Path, incidents: int) -> int:
    """Copy the incidents of a home with all that belongs to them, in turn, until there are `incidents`.

    A copy differs by the ids alone, and by the hashes that follow from them: its name is that of the original with `_c`
    and a number behind. The audit log grows by the rows of each copy and stays a chain; no head is signed.

    Args:
        home: of a service that is not running, with at least one incident.

    Returns:
        How many rows the audit log has now.
    """
    engine = open_database(home)
    try:
        with writing(engine) as connection:
            originals = tuple(connection.scalars(select(tables.incidents.c.id).order_by(tables.incidents.c.row)))
            families = [_family(connection, name) for name in originals]
            seq, prev_sha = audit.last_row(connection)
            for first in range(0, incidents - len(originals), _AT_A_TIME):
                numbers = range(first, min(first + _AT_A_TIME, incidents - len(originals)))
                copies = [_copy(families[k % len(families)], k) for k in numbers]
                for table in _OF_AN_INCIDENT:
                    if rows := [row for copy in copies for row in copy[table.name]]:
                        connection.execute(insert(table), rows)
                links = []
                for row in (row for copy in copies for row in copy[tables.audit.name]):
                    seq += 1
                    link = {**row, "seq": seq, "prev_sha": prev_sha}
                    prev_sha = sha256_of(link)
                    links.append({**link, "sha256": prev_sha})
                connection.execute(insert(tables.audit), links)
            return seq
    finally:
        engine.dispose()


def _family(connection: Connection, incident_id: str) -> Family:
    """Every row that belongs to an incident, by its table; parents before what names them."""
    patches = connection.scalars(select(tables.candidates.c.id).filter_by(incident_id=incident_id)).all()
    names = (incident_id, *patches)
    found = {}
    for table in (*_OF_AN_INCIDENT, tables.audit):
        column = next(table.c[name] for name in ("patch_id", "incident_id", "subject", "id") if name in table.c)
        order = table.c["seq" if table is tables.audit else "row"]
        rows = connection.execute(select(table).where(column.in_(names)).order_by(order))
        found[table.name] = [dict(row._mapping) for row in rows]
    return found


def _copy(family: Family, number: int) -> Family:
    shas: dict[str, str] = {}  # of an original record -> of its copy
    copied: Family = {}
    for table, rows in family.items():
        copied[table] = []
        for row in rows:
            new = {name: value for name, value in row.items() if name != "row"}
            for name in _NAMED & set(new):
                new[name] = f"{new[name]}_c{number}"
            if "record" in new:
                text = _ID.sub(rf"\1_c{number}", new["record"])
                new["record"] = _SHA.sub(lambda found: shas.get(found[0], found[0]), text)
                new["sha256"] = shas[row["sha256"]] = hashlib.sha256(new["record"].encode()).hexdigest()
            else:
                del new["sha256"]  # of a row of the audit log: it follows from the row before
                for name in ("subject_sha", "payload_sha"):
                    new[name] = shas.get(new[name], new[name])
            copied[table].append(new)
    return copied
