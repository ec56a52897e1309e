"""All rows of a database in another one: how a server's records come into a file, and back."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, MetaData, insert, select

from remend import sqlite_file

_AT_A_TIME = 500  # rows


def copy_rows(source: Connection, target: Connection, tables: MetaData) -> int:
    """Add every row of `tables` to the same tables of `target`, parents first; how many they were."""
    count = 0
    for table in tables.sorted_tables:
        found = source.execute(select(table).order_by(*table.primary_key))
        while rows := [dict(row._mapping) for row in found.fetchmany(_AT_A_TIME)]:
            target.execute(insert(table), rows)
            count += len(rows)
    return count


def copy_to_file(source: Connection, file: Path) -> None:
    """Every table of a server's database, of whatever version, as an SQLite file, on the disk before this returns.

    It has the rows, and not what keeps them from being changed.
    """
    there = MetaData()
    there.reflect(source)
    for table in there.tables.values():
        for column in table.columns:
            column.type = column.type.as_generic()
            column.server_default = None  # a sequence of the server's
        table.indexes.clear()
    draft = file.with_name(f".{file.name}.tmp")
    draft.unlink(missing_ok=True)
    engine = sqlite_file.engine_of(draft)
    try:
        with engine.connect() as connection, connection.begin():
            there.create_all(connection)
            copy_rows(source, connection, there)
    finally:
        engine.dispose()
    sqlite_file.publish(draft, file)
