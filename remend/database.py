"""The database of a home folder, and transactions that are all or nothing.

It is the file `remend.db` in the folder, or, where the folder's settings name a URL, a database on a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select

from core.errors import BadInput
from remend import database_server, schema, sqlite_file, table_copy, tables
from remend.sqlite_file import FILE
from remend.store_settings import stored_at

BACKUPS = "backups"  # folder of the copies that are made before a migration


def open_database(home: Path) -> Engine:
    """The engine of a home folder's database, with the tables of today. Hold the home folder meanwhile.

    A database of an earlier version is copied to `backups` and migrated.

    Raises:
        Damaged: the file is.
        Refused: a newer Remend wrote it, or it cannot be written.
        Unavailable: the disk is full, or the server does not answer.
    """
    url = stored_at(home)
    engine = database_server.engine_of(url) if url else sqlite_file.engine_of(home / FILE)
    try:
        with translated(engine):
            if not url:
                sqlite_file.require_sound(engine, home / FILE)
            _set_up(engine, home)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction. It owns the database from its start, so what it read cannot change before it writes.

    Raises:
        Damaged: the file is.
        Conflict: another process held the database for too long.
        Refused: the file cannot be written.
        Unavailable: the disk is full, or the server does not answer.
    """
    with translated(engine):
        if not _is_file(engine):
            with database_server.writing(engine) as connection:
                yield connection
            return
        with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: everything in it is from the same moment.

    Raises:
        Damaged: the file is.
        Refused: the file cannot be read.
        Unavailable: the server does not answer.
    """
    with translated(engine):
        if not _is_file(engine):
            with database_server.reading(engine) as connection:
                yield connection
            return
        with engine.connect() as connection, connection.begin():
            yield connection


@contextmanager
def read_only(home: Path) -> Iterator[Connection]:
    """Read the database without a service and without creating or changing any file in `home`.

    Raises:
        BadInput: there is no database, or it is empty.
        Damaged: the file is.
        Refused: a newer Remend wrote it.
    """
    if url := stored_at(home):
        engine = database_server.engine_of(url)
        try:
            with reading(engine) as connection:
                _require_tables(connection, database_server.place_of(engine))
                yield connection
        finally:
            engine.dispose()
        return
    path = home / FILE
    if not path.is_file():
        raise BadInput(f"there is no database at {path}; set REMEND_HOME to the folder of the service")
    with sqlite_file.untouched(path) as connection:
        _require_tables(connection, str(path))
        yield connection


def is_kept(home: Path) -> bool:
    """Whether a home folder has records: in its own file, or on the server that its settings name.

    Raises:
        BadInput: the settings cannot be read.
    """
    return (home / FILE).is_file() or bool(stored_at(home))


def place_of(engine: Engine) -> str:
    """Where a database is, in words."""
    return str(engine.url.database) if _is_file(engine) else database_server.place_of(engine)


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn what the database says into errors that say who has to act."""
    if _is_file(engine):
        with sqlite_file.translated(Path(place_of(engine))):
            yield
    else:
        with database_server.translated(place_of(engine)):
            yield


def _is_file(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _require_tables(connection: Connection, place: str) -> None:
    if not schema.version_of(connection, place):
        raise BadInput(f"{place} has no tables; start the service once, or restore the home folder")


def _set_up(engine: Engine, home: Path) -> None:
    with reading(engine) as connection:
        version = schema.version_of(connection, place_of(engine))
        row = connection.execute(select(func.max(tables.audit.c.seq))).scalar_one() or 0 if version else 0
    if version == tables.SCHEMA_VERSION:
        return
    if version:
        folder = home / BACKUPS
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"schema-{version}-row-{row}.db"
        if _is_file(engine):
            sqlite_file.copy_to(engine, file)
        else:
            with reading(engine) as connection:
                table_copy.copy_to_file(connection, file)
    if _is_file(engine):
        sqlite_file.use_log(engine)
    with writing(engine) as connection:  # tables and version in one transaction: both or none survive a kill
        if (now := schema.version_of(connection, place_of(engine))) != tables.SCHEMA_VERSION:  # nobody was quicker
            schema.bring_up(connection, now)


__all__ = ["BACKUPS", "FILE", "is_kept", "open_database", "place_of", "read_only", "reading", "translated", "writing"]
