"""The SQLite file of a home folder: opening it, checking it, and transactions that are all or nothing."""

from __future__ import annotations

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

from core.errors import BadInput, Conflict, Refused
from remend import tables

FILE = "remend.db"
_MID_REPAIR = "locking protocol"  # SQLITE_PROTOCOL: whoever repairs the index of the log was killed, or is very slow
BUSY_TIMEOUT_MS = 10_000  # decisions take milliseconds; who waits longer than this meets a process that hangs


def open_database(home: Path) -> Engine:
    """The engine of `<home>/remend.db`, created with its tables if it is not there. Hold the home folder meanwhile.

    Raises:
        BadInput: the file is damaged.
        Refused: the file was written by a newer Remend, or cannot be written.
    """
    path = home / FILE
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        with translated(path):
            _require_sound(engine, path)
            _set_up(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction. It owns the database from its start, so what it read cannot change before it writes.

    Raises:
        BadInput: the file is damaged.
        Conflict: another process held the database for too long.
        Refused: the file cannot be written.
    """
    path = Path(engine.url.database or FILE)
    with (
        translated(path),
        engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: everything in it is from the same moment.

    Raises:
        BadInput: the file is damaged.
        Refused: the file cannot be read.
    """
    with translated(Path(engine.url.database or FILE)), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def read_only(home: Path) -> Iterator[Connection]:
    """Read the database without a service and without creating or changing any file in `home`.

    Raises:
        BadInput: there is no database, or it is empty or damaged.
        Refused: the file was written by a newer Remend.
    """
    path = home / FILE
    if not path.is_file():
        raise BadInput(f"there is no database at {path}; set REMEND_HOME to the folder of the service")
    with tempfile.TemporaryDirectory() as aside, translated(path):
        wal, index = (path.with_name(f"{FILE}-{end}") for end in ("wal", "shm"))
        if index.exists():
            # somebody is writing, or was killed: read along without touching
            engine = _reader(path, "mode=ro&readonly_shm=1")
            try:
                with engine.connect() as connection:
                    _schema_version(connection, path)
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
                if not _schema_version(connection, path):
                    raise BadInput(f"{path} has no tables; start the service once, or restore the home folder")
                yield connection
        finally:
            engine.dispose()


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


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite says into errors that say who has to act."""
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig)
        if "locked" in reason or "busy" in reason:
            raise Conflict(f"{path} is held by another process; try again") from error
        if "decode" in reason:
            raise BadInput(_damaged(path, reason)) from error
        raise Refused(f"{path} cannot be used ({reason}); free the disk or repair the folder's permissions") from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a constraint: a programming error, or handled nearer to the question
            raise
        raise BadInput(_damaged(path, str(error.orig))) from error


def _damaged(path: Path, reason: str) -> str:
    return f"{path} is damaged ({reason}); move it away and restore the home folder from a backup"


def _require_sound(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if verdict != "ok":
        raise BadInput(_damaged(path, str(verdict)))


def _set_up(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        version = _schema_version(connection, path)
    if version == tables.SCHEMA_VERSION:
        return
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA journal_mode=WAL")  # kept in the file; not allowed inside a transaction
    with writing(engine) as connection:  # tables and version in one transaction: both or none survive a kill
        tables.metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version={tables.SCHEMA_VERSION}")


def _schema_version(connection: Connection, path: Path) -> int:
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if version > tables.SCHEMA_VERSION:
        raise Refused(
            f"{path} has schema version {version}, this Remend knows {tables.SCHEMA_VERSION}; install the newer Remend"
        )
    return version


def _take_over_transactions(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin late and never before a SELECT; `_begin` does it


def _prepare(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    _take_over_transactions(connection, entry)
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


__all__ = ["FILE", "open_database", "read_only", "reading", "translated", "writing"]
