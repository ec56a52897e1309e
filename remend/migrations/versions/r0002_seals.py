"""Commitments to sealed scenarios."""

from __future__ import annotations

from sqlalchemy import Column, String, UniqueConstraint

from remend.migrations.shape import create_records, parent

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From 0001."""
    create_records(
        "seals",
        parent("patch_id", "candidates"),
        parent("incident_id", "incidents"),
        Column("robot_id", String, nullable=False, index=True),
        Column("base_sha", String(64), nullable=False),
        Column("result_sha", String(64), nullable=False),
        Column("policy_sha", String(64), nullable=False),
        UniqueConstraint("incident_id", "base_sha", "result_sha", "policy_sha"),
    )
