"""Patches are found by their status, however many there are."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From 0004."""
    op.create_index("ix_moves_after", "moves", ["after"])
