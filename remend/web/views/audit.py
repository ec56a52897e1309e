"""The audit log as rows, and as a table for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from remend import audit, ledger
from remend.audit import AuditVerdict
from remend.service.service import Service
from remend.web import queries
from remend.web.views.times import Moment, moment

ROWS = 100
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One row."""

    seq: int
    at: Moment
    actor: str
    verb: str
    subject: str
    href: str  # "" if the subject has no page
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Everything that the page shows."""

    rows: tuple[AuditLine, ...]
    older: int | None  # go on before this row
    actors: tuple[str, ...]
    wanted: dict[str, str]
    last: int
    signed: int
    verdict: AuditVerdict | None  # of a check that was asked for


def audit_page(
    service: Service, connection: Connection, before: int | None, wanted: dict[str, str], *, check: bool
) -> AuditPage:
    """A page of the log, newest first."""
    where: dict[str, str | None] = {name: value.strip() or None for name, value in wanted.items()}
    where["verb"] = (where["verb"] or "").replace(" ", "_") or None  # as the page writes it
    found = ledger.audit_rows(connection, ROWS + 1, before, **where)
    now_ns = service.clock.wall_ns()
    return AuditPage(
        rows=tuple(_line(row, now_ns) for row in found[:ROWS]),
        older=found[ROWS - 1]["seq"] if len(found) > ROWS else None,
        actors=tuple(queries.actors(connection)),
        wanted=wanted,
        last=queries.last_seq(connection),
        signed=audit.last_signed(connection),
        verdict=audit.verify_home(service.home) if check else None,
    )


def _line(row: dict[str, Any], now_ns: int) -> AuditLine:
    return AuditLine(
        seq=row["seq"],
        at=moment(row["at_ns"], now_ns),
        actor=row["actor"],
        verb=row["verb"],
        subject=row["subject"],
        href=page_of(row["subject"]),
        sha256=row["sha256"],
    )


def page_of(subject: str) -> str:
    """Address of the page of an id; "" if it has none."""
    kinds = {"pat": "/patches/", "inc": "/incidents/"}
    prefix = kinds.get(subject.partition("_")[0], "")
    return f"{prefix}{subject}" if prefix else ""


def csv_rows(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The log as lines of CSV. What a spreadsheet would take for a formula gets an apostrophe in front."""
    columns = ("seq", "at_ns", "actor", "verb", "subject", "subject_sha", "payload_sha", "prev_sha", "sha256")
    yield ",".join(columns) + "\r\n"
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow([_safe(row[column]) for column in columns])
        yield line.getvalue()


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
