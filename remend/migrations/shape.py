"""What revisions make tables from: the columns of a record, and rows that stay."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, String, Text, UniqueConstraint

from remend.append_only import statements


def create_records(name: str, *columns: Column[str] | Column[int] | UniqueConstraint) -> None:
    """A table of records that are written once."""
    op.create_table(
        name,
        Column("row", Integer, primary_key=True),
        *columns,
        Column("record", Text, nullable=False),
        Column("sha256", String(64), nullable=False, index=True),
    )
    keep_rows(name)


def keep_rows(name: str) -> None:
    """Make a table append-only."""
    for statement in statements(op.get_bind().dialect.name, name):
        op.execute(statement)


def own_id() -> Column[str]:
    """The id of a record."""
    return Column("id", String, nullable=False, unique=True)


def parent(name: str, table: str, *, unique: bool = False) -> Column[str]:
    """The id of the record that one is about; `unique` if there is at most one."""
    return Column(
        name, String, ForeignKey(f"{table}.id"), nullable=False, unique=unique or None, index=None if unique else True
    )
