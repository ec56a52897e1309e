"""Which version of the tables a database has, and how it comes to the version that this Remend knows.

A database without tables is made as it is today. An older one walks through the revisions in `migrations`; a test holds
that both ways lead to the same tables. Either happens in one transaction, so a kill leaves the old tables or the new.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from core.errors import Refused
from remend import tables
from remend.sqlite_file import engine_of

_TABLE = "alembic_version"
_REVISIONS = Path(__file__).parent / "migrations"


def version_of(connection: Connection, place: str) -> int:
    """Version of the tables; 0 if there are none.

    Args:
        place: of the database, for the sentence.

    Raises:
        Refused: a newer Remend wrote them.
    """
    found = 0
    if inspect(connection).has_table(_TABLE):
        named = connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar_one_or_none()  # noqa: S608 a constant
        found = int(named) if named and named.isdecimal() else tables.SCHEMA_VERSION + 1
    elif connection.dialect.name == "sqlite":  # before revisions had names, the file's header had the number
        found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if found > tables.SCHEMA_VERSION:
        raise Refused(
            f"{place} has schema version {found}, this Remend knows {tables.SCHEMA_VERSION}; install the newer Remend"
        )
    return found


def bring_up(connection: Connection, version: int) -> None:
    """Make the tables of today, in the caller's write transaction.

    Args:
        version: that the database has now.
    """
    if version:
        _migrate(connection, version)
    else:
        tables.metadata.create_all(connection)
        _make_table(connection)
        _name(connection, tables.SCHEMA_VERSION)
    if connection.dialect.name == "sqlite":  # what a Remend from before the revisions looks at
        connection.exec_driver_sql(f"PRAGMA user_version={tables.SCHEMA_VERSION}")


def revision(version: int) -> str:
    """Name of the revision that leads to a version."""
    return f"{version:04d}"


def made_by_revisions(file: Path, last: str) -> Path:
    """A new SQLite database that walked through every revision up to `last`, as none in use does."""
    engine = engine_of(file)
    with engine.connect() as connection, connection.begin():
        walk(connection, last)
    engine.dispose()
    return file


def _migrate(connection: Connection, version: int) -> None:
    if not inspect(connection).has_table(_TABLE):
        _make_table(connection)
        _name(connection, version)
    walk(connection, "head")


def walk(connection: Connection, last: str) -> None:
    """Run the revisions that a database lacks, in the caller's write transaction.

    Args:
        last: name of the revision to stop after; "head" is the last there is.
    """
    from alembic import command  # noqa: PLC0415 it takes longer to load than a database to open
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_REVISIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, last)


def _make_table(connection: Connection) -> None:
    connection.execute(text(f"CREATE TABLE {_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))


def _name(connection: Connection, version: int) -> None:
    connection.execute(
        text(f"INSERT INTO {_TABLE} (version_num) VALUES (:revision)"),  # noqa: S608 a constant
        {"revision": revision(version)},
    )
