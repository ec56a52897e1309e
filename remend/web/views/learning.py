"""What was kept of past healings, and how their promises held."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from core.records import Candidate, Diagnosis, ValidationReport
from remend import tables, views
from remend.service.service import Service
from remend.web import queries
from remend.web.resources import patches_shown
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
    last = {outcome.patch_id: outcome for outcome in queries.outcomes(connection, _SHOWN)}
    patches = patches_shown(service, connection, tuple(last))
    candidates = queries.several(connection, tables.candidates, Candidate, "id", last)
    reports = queries.several(connection, tables.reports, ValidationReport, "patch_id", last)
    known = queries.several(connection, tables.diagnoses, Diagnosis, "incident_id", [p.incident_id for p in patches])
    rows = []
    for patch in patches:
        diagnoses = known.get(patch.incident_id)
        rows.append(
            LessonRow(
                patch_id=patch.id,
                robot_id=patch.robot_id,
                cause=cause_words(diagnoses[-1].causes[0].cause if diagnoses else None),
                what=patch.rationale,
                proposer=patch.proposer,
                rollouts=candidates[patch.id][0].search_rollouts,
                promised=_promised(reports[patch.id][-1] if patch.id in reports else None),
                pill=patch_pill(patch.status),
                since=moment(patch.since_ns, service.clock.wall_ns()),
            )
        )
    return LearningPage(rows=tuple(rows), kept=queries.record_of_promises(connection))


def _promised(report: ValidationReport | None) -> str:
    if report is None or not report.deltas:
        return "nothing"
    first = views.delta_row(report.deltas[0], report)
    return f"{first.metric} {first.change}"
