"""What a service needs: robots, orders, and who may sign in."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, String

from remend.migrations.shape import create_records, own_id, parent

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From 0003."""
    create_records("robots", Column("robot_id", String, nullable=False, index=True))
    create_records(
        "orders",
        own_id(),
        Column("robot_id", String, nullable=False, index=True),
        Column("key", String, nullable=False, unique=True),
    )
    create_records("order_results", parent("order_id", "orders", unique=True))
    op.create_table(
        "users",
        Column("name", String, primary_key=True),
        Column("role", String, nullable=False),
        Column("password_hash", String, nullable=False),
        Column("created_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "passes",
        Column("digest", String(64), primary_key=True),
        Column("id", String, nullable=False, unique=True),
        Column("user", String, ForeignKey("users.name"), nullable=False, index=True),
        Column("kind", String, nullable=False),
        Column("role", String, nullable=False),
        Column("label", String, nullable=False),
        Column("created_ns", BigInteger, nullable=False),
        Column("expires_ns", BigInteger, nullable=False),
    )
