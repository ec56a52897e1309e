"""The tables of the database. Every row of a record is written once: triggers refuse to change or delete one.

A record is stored as canonical JSON with its sha256; the other columns only serve to find it again.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from remend.append_only import statements

SCHEMA_VERSION = 6  # that of the last revision in `migrations`: a change here needs one there

metadata = MetaData()


def _record(name: str, *columns: Column[str] | Column[int] | UniqueConstraint) -> Table:
    return Table(
        name,
        metadata,
        Column("row", Integer, primary_key=True),
        *columns,
        Column("record", Text, nullable=False),  # canonical JSON
        Column("sha256", String(64), nullable=False, index=True),
    )


def _parent(name: str, table: str) -> Column[str]:
    return Column(name, String, ForeignKey(f"{table}.id"), nullable=False, index=True)


def _id() -> Column[str]:
    return Column("id", String, nullable=False, unique=True)


incidents = _record("incidents", _id())
diagnoses = _record("diagnoses", _parent("incident_id", "incidents"))
candidates = _record("candidates", _id(), _parent("incident_id", "incidents"))
moves = _record(
    "moves",  # status transitions; the last one of a patch holds its status
    _parent("patch_id", "candidates"),
    Column("rev", Integer, nullable=False),  # 0, 1, 2, ... for each patch
    Column("after", String, nullable=False, index=True),
    UniqueConstraint("patch_id", "rev"),  # two writers cannot both make the next move
)
reports = _record("reports", _id(), _parent("patch_id", "candidates"))
approvals = _record(
    "approvals", _id(), Column("patch_id", String, ForeignKey("candidates.id"), nullable=False, unique=True)
)
seals = _record(
    "seals",  # commitments to sealed scenarios: what alpha was spent on
    _parent("patch_id", "candidates"),
    _parent("incident_id", "incidents"),
    Column("robot_id", String, nullable=False, index=True),
    Column("base_sha", String(64), nullable=False),
    Column("result_sha", String(64), nullable=False),
    Column("policy_sha", String(64), nullable=False),
    UniqueConstraint("incident_id", "base_sha", "result_sha", "policy_sha"),  # one question has one answer
)
regressions = _record(
    "regressions",  # past incidents as scenarios; one for each, for ever
    Column("incident_id", String, ForeignKey("incidents.id"), nullable=False, unique=True),
    Column("robot", String, nullable=False, index=True),  # name of the model
)
runs = _record(
    "runs",  # results in past incidents
    Column("artefact_sha", String(64), nullable=False, index=True),
    Column("world_sha", String(64), nullable=False),
)
outcomes = _record("outcomes", _parent("patch_id", "candidates"))
notes = _record("notes", Column("subject", String, nullable=False, index=True))
robots = _record("robots", Column("robot_id", String, nullable=False, index=True))  # the last row of a robot counts
orders = _record(
    "orders",  # what people ask of a robot: each is carried out once
    _id(),
    Column("robot_id", String, nullable=False, index=True),
    Column("key", String, nullable=False, unique=True),  # the same request twice is one order
)
order_results = _record(
    "order_results", Column("order_id", String, ForeignKey("orders.id"), nullable=False, unique=True)
)

RECORDS = (
    incidents,
    diagnoses,
    candidates,
    moves,
    reports,
    approvals,
    seals,
    regressions,
    runs,
    outcomes,
    notes,
    robots,
    orders,
    order_results,
)

# Who may sign in. These rows change; every change leaves a note in the audit log.
users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("password_hash", String, nullable=False),  # argon2id
    Column("created_ns", BigInteger, nullable=False),
)
passes = Table(
    "passes",  # sessions of browsers, tokens of programs; only digests of what their holders show
    metadata,
    Column("digest", String(64), primary_key=True),  # sha256
    Column("id", String, nullable=False, unique=True),
    Column("user", String, ForeignKey("users.name"), nullable=False, index=True),
    Column("kind", String, nullable=False),  # "session" or "token"
    Column("role", String, nullable=False),  # at most the user's
    Column("scopes", String, nullable=False),  # what a token may besides, by spaces
    Column("label", String, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("confirmed_ns", BigInteger, nullable=False),  # when the password was given last
    Column("expires_ns", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without gaps
    Column("at_ns", BigInteger, nullable=False),  # UTC
    Column("actor", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("subject", String, nullable=False, index=True),  # id of an incident or patch
    Column("subject_sha", String(64), nullable=False),
    Column("payload_sha", String(64), nullable=False),  # sha256 of the record that this step added
    Column("prev_sha", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
)
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("key_id", String, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)


def _keep(table: Table, connection: Connection, **_: object) -> None:
    for statement in statements(connection.dialect.name, table.name):
        connection.exec_driver_sql(statement)


for _table in (*RECORDS, audit, audit_heads):
    event.listen(_table, "after_create", _keep)
