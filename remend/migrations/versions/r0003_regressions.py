"""Past incidents as scenarios, and results in them."""

from __future__ import annotations

from sqlalchemy import Column, String

from remend.migrations.shape import create_records, parent

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From 0002."""
    create_records(
        "regressions",
        parent("incident_id", "incidents", unique=True),
        Column("robot", String, nullable=False, index=True),
    )
    create_records(
        "runs",
        Column("artefact_sha", String(64), nullable=False, index=True),
        Column("world_sha", String(64), nullable=False),
    )
