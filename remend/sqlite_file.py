"""SQLite: the file `remend.db` of a home folder, opened, checked, and read without leaving a trace."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from core.durable import sync_folder
from core.errors import Conflict, Damaged, Refused, RemendError, Unavailable

FILE = "remend.db"
REMEDY = "stop the service, move the home folder away, and run `remend restore` with the last backup"
BUSY_TIMEOUT_MS = 10_000  # decisions take milliseconds; who waits longer than this meets a process that hangs
_MID_REPAIR = "locking protocol"  # SQLITE_PROTOCOL: whoever repairs the index of the log was killed, or is very slow


def engine_of(path: Path) -> Engine:
    """An engine whose commits survive a power cut. The file is made at the first use."""
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def require_sound(engine: Engine, path: Path) -> None:
    """Read the whole file once.

    Raises:
        Damaged: its pages are not what was written.
    """
    with engine.connect() as connection:
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if verdict != "ok":
        raise damaged(path, str(verdict))


def use_log(engine: Engine) -> None:
    """Write ahead; kept in the file, and not allowed inside a transaction."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA journal_mode=WAL")


def copy_to(engine: Engine, file: Path) -> None:
    """A copy of the database as of one moment, whole on the disk before this returns."""
    draft = file.with_name(f".{file.name}.tmp")
    draft.unlink(missing_ok=True)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("VACUUM INTO ?", (str(draft),))
    publish(draft, file)


def publish(draft: Path, file: Path) -> None:
    """Give a closed database its name, once it is on the disk."""
    draft.chmod(0o600)
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(file)
    sync_folder(file.parent)


@contextmanager
def untouched(path: Path) -> Iterator[Connection]:
    """Read a database without a service and without creating or changing any file next to it.

    Raises:
        Damaged: the file is.
    """
    with tempfile.TemporaryDirectory() as aside, translated(path):
        wal, index = (path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
        if index.exists():
            # somebody is writing, or was killed: read along without touching
            engine = _reader(path, "mode=ro&readonly_shm=1")
            try:
                with engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            except OperationalError as error:
                if _MID_REPAIR not in str(error.orig):
                    raise
                engine.dispose()
                engine = _reader(_copied(path, wal, aside), "mode=ro")
        elif wal.exists():
            # a log without its index: nobody can be writing. SQLite would build the index next to it, so use a copy
            engine = _reader(_copied(path, wal, aside), "mode=ro")
        else:
            engine = _reader(path, "immutable=1")  # closed properly; any other mode would create a log
        try:
            with engine.connect() as connection, connection.begin():
                yield connection
        finally:
            engine.dispose()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite says into errors that say who has to act."""
    try:
        yield
    except DatabaseError as error:
        known = _known(error, path)
        if known is None:  # a constraint: a programming error, or handled nearer to the question
            raise
        raise known from error


def _known(error: DatabaseError, path: Path) -> RemendError | None:
    reason = str(error.orig)
    if isinstance(error, OperationalError):
        if "locked" in reason or "busy" in reason:
            return Conflict(f"{path} is held by another process; try again")
        if "decode" in reason:
            return damaged(path, reason)
        if "full" in reason or "disk I/O" in reason:
            return Unavailable(f"{path} cannot be written ({reason}); free the disk, then ask again: nothing was done")
        return Refused(f"{path} cannot be used ({reason}); free the disk or repair the folder's permissions")
    return damaged(path, reason) if type(error) is DatabaseError else None


def damaged(path: Path, reason: str) -> Damaged:
    """The complaint about a file whose content is not what was written."""
    return Damaged(f"{path} is damaged ({reason}); {REMEDY}")


def _reader(path: Path, options: str) -> Engine:
    uri = f"file:{quote(str(path))}?{options}"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
    event.listen(engine, "connect", _take_over_transactions)
    event.listen(engine, "begin", _begin)
    return engine


def _copied(path: Path, wal: Path, folder: str) -> Path:
    """Database and log in another folder, without the index, which SQLite then builds anew."""
    shutil.copy(wal, folder)
    return Path(shutil.copy(path, folder))


def _take_over_transactions(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin late and never before a SELECT; `_begin` does it


def _prepare(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    _take_over_transactions(connection, entry)
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
