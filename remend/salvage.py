"""A damaged database: set aside as it is, and what can still be read of it in a copy for readers.

Nothing is repaired: the copy may lack rows, so nobody can decide on it, and it goes with the service that made it.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, Table

from core.durable import sync_folder
from remend import tables
from remend.sqlite_file import FILE, engine_of

_BROKEN = ".broken-"
_SALVAGED = "salvaged.db"
_WITHOUT_STATES = "id NOT IN (SELECT patch_id FROM moves) OR incident_id NOT IN (SELECT id FROM incidents)"
_PRUNE = ("DROP TRIGGER candidates_no_delete", f"DELETE FROM candidates WHERE {_WITHOUT_STATES}")  # noqa: S608
_PARTS = ("", "-wal", "-shm")


def set_aside(home: Path, now_ns: int) -> Path:
    """Rename the database of a home folder, with its log, and return its new name. Hold the home folder meanwhile.

    Args:
        now_ns: UTC, for the name.
    """
    stamp = datetime.fromtimestamp(now_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
    target = home / f"{FILE}{_BROKEN}{stamp}"
    while target.exists():
        target = target.with_name(f"{target.name}+")
    for part in _PARTS:  # the log last: a database whose log is gone could pass for a whole one
        with suppress(FileNotFoundError):
            (home / f"{FILE}{part}").rename(f"{target}{part}")
    sync_folder(home)
    return target


def found_aside(home: Path) -> Path | None:
    """The damaged database that was set aside last, unless another one has taken its place."""
    if (home / FILE).exists():
        return None
    broken = sorted(path for path in home.glob(f"{FILE}{_BROKEN}*") if not path.name.endswith(_PARTS[1:]))
    return broken[-1] if broken else None


def salvaged(home: Path, broken: Path) -> Engine:
    """What can be read of a damaged database, as one of its own in the home folder. Throw it `away` afterwards."""
    away(home)
    file = home / _SALVAGED
    engine = engine_of(file)
    with engine.connect() as connection, connection.begin():
        tables.metadata.create_all(connection)
    file.chmod(0o600)
    with tempfile.TemporaryDirectory() as aside, closing(sqlite3.connect(file)) as target:
        source = Path(shutil.copy(broken, Path(aside) / FILE))
        with suppress(FileNotFoundError):
            shutil.copy(f"{broken}-wal", f"{source}-wal")
        with closing(sqlite3.connect(source)) as readable:
            for table in tables.metadata.sorted_tables:
                _copy(readable, target, table)
        for statement in _PRUNE:
            target.execute(statement)
        target.commit()
    return engine


def away(home: Path) -> None:
    """Delete what `salvaged` made."""
    for part in _PARTS:
        (home / f"{_SALVAGED}{part}").unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: Table) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    place = {column.name: number for number, column in enumerate(table.columns)}
    for order in ("ASC", "DESC"):  # from both ends towards the damage
        try:
            found = source.execute(f'SELECT {names} FROM "{table.name}" NOT INDEXED ORDER BY rowid {order}')  # noqa: S608
            for row in found:
                if "record" not in place or _is_whole(row[place["record"]], row[place["sha256"]]):
                    target.execute(f'INSERT OR IGNORE INTO "{table.name}" ({names}) VALUES ({marks})', row)  # noqa: S608
        except (sqlite3.DatabaseError, OverflowError):
            continue
        return


def _is_whole(record: object, sha256: object) -> bool:
    return isinstance(record, str) and hashlib.sha256(record.encode("utf-8", "replace")).hexdigest() == sha256
