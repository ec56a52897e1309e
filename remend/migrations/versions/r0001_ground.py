"""Incidents, patches, decisions and their audit log."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, UniqueConstraint

from remend.migrations.shape import create_records, keep_rows, own_id, parent

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    create_records("incidents", own_id())
    create_records("diagnoses", parent("incident_id", "incidents"))
    create_records("candidates", own_id(), parent("incident_id", "incidents"))
    create_records(
        "moves",
        parent("patch_id", "candidates"),
        Column("rev", Integer, nullable=False),
        Column("after", String, nullable=False),
        UniqueConstraint("patch_id", "rev"),
    )
    create_records("reports", own_id(), parent("patch_id", "candidates"))
    create_records("approvals", own_id(), parent("patch_id", "candidates", unique=True))
    create_records("outcomes", parent("patch_id", "candidates"))
    create_records("notes", Column("subject", String, nullable=False, index=True))
    op.create_table(
        "audit",
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("actor", String, nullable=False),
        Column("verb", String, nullable=False),
        Column("subject", String, nullable=False, index=True),
        Column("subject_sha", String(64), nullable=False),
        Column("payload_sha", String(64), nullable=False),
        Column("prev_sha", String(64), nullable=False),
        Column("sha256", String(64), nullable=False),
    )
    op.create_table(
        "audit_heads",
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("sha256", String(64), nullable=False),
        Column("key_id", String, nullable=False),
        Column("signature", LargeBinary, nullable=False),
    )
    keep_rows("audit")
    keep_rows("audit_heads")
