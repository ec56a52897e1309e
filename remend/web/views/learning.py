"""What was kept of past healings, and how their promises held."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from core.records import Diagnosis, ValidationReport
from remend import ledger, tables, views
from remend.service.service import Service
from remend.web import queries
from remend.web.views.states import Pill, patch_pill
from remend.web.views.times import Moment, moment
from remend.web.views.wording import cause_words

_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonRow:
    """One patch that came to a robot."""

    patch_id: str
    robot_id: str
    cause: str
    what: str
    proposer: str
    rollouts: int  # that the search took
    promised: str
    pill: Pill
    since: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningPage:
    """Everything that the page shows."""

    rows: tuple[LessonRow, ...]
    kept: tuple[int, int]


def learning_page(service: Service, connection: Connection) -> LearningPage:
    """The page."""
    rows = []
    for outcome in queries.outcomes(connection, _SHOWN):
        candidate = ledger.candidate(connection, outcome.patch_id)
        incident = ledger.incident(connection, candidate.incident_id)
        known = ledger.records(connection, tables.diagnoses, Diagnosis, incident_id=incident.id)
        reports = ledger.records(connection, tables.reports, ValidationReport, patch_id=outcome.patch_id)
        last = ledger.last_move(connection, outcome.patch_id)
        assert last is not None
        rows.append(
            LessonRow(
                patch_id=outcome.patch_id,
                robot_id=incident.robot_id,
                cause=cause_words(known[-1].causes[0].cause if known else None),
                what=candidate.rationale,
                proposer=candidate.proposer,
                rollouts=candidate.search_rollouts,
                promised=_promised(reports[-1] if reports else None),
                pill=patch_pill(last.after),
                since=moment(last.at_ns, service.clock.wall_ns()),
            )
        )
    return LearningPage(rows=tuple(rows), kept=queries.record_of_promises(connection))


def _promised(report: ValidationReport | None) -> str:
    if report is None or not report.deltas:
        return "nothing"
    first = views.delta_row(report.deltas[0], report)
    return f"{first.metric} {first.change}"
