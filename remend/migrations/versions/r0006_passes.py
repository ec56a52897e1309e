"""What a token may besides its role, and when a password was given last, have columns of their own."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, String, text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """From 0005. Nobody has to sign in again; the table is made anew, so that it is the one that `tables` describes."""
    kept = op.get_bind().execute(text("SELECT * FROM passes")).mappings().all()
    op.drop_table("passes")
    made = op.create_table(
        "passes",
        Column("digest", String(64), primary_key=True),
        Column("id", String, nullable=False, unique=True),
        Column("user", String, ForeignKey("users.name"), nullable=False, index=True),
        Column("kind", String, nullable=False),
        Column("role", String, nullable=False),
        Column("scopes", String, nullable=False),
        Column("label", String, nullable=False),
        Column("created_ns", BigInteger, nullable=False),
        Column("confirmed_ns", BigInteger, nullable=False),
        Column("expires_ns", BigInteger, nullable=False),
    )
    rows = []
    for row in kept:
        role, _, scopes = str(row["role"]).partition(" ")
        rows.append({**row, "role": role, "scopes": scopes, "confirmed_ns": row["created_ns"]})
    if rows:
        op.bulk_insert(made, rows)
