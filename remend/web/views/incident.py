"""One incident: what was seen, what explains it, what was tried, and what people say of it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from core.records import Diagnosis
from remend import ledger, numbers, tables, views
from remend.figures import Figure
from remend.service.handling import Handling
from remend.service.retention import why_dropped
from remend.service.service import Service
from remend.views import CauseRow
from remend.web.resources import IncidentShown, incident_shown, incidents_shown
from remend.web.views.states import Pill, patch_pill, severity_pill
from remend.web.views.times import Moment, moment
from remend.web.views.window import window_figures
from remend.web.views.wording import cause_words, trouble
from telemetry.incident_files import LAYOUT, RECORDING, TABLE

FILES = {
    RECORDING: ("application/octet-stream", "recording for Foxglove and bag readers"),
    TABLE: ("text/csv; charset=utf-8", "table for PlotJuggler and spreadsheets"),
    LAYOUT: ("application/json", "layout for Foxglove"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """One candidate, also one that was refused, and why."""

    id: str
    pill: Pill
    rationale: str
    proposer: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OccurrenceRow:
    """One time that the incident showed."""

    number: int
    at: Moment
    pill: Pill
    delay: str  # from onset to alarm
    ratio: str
    files: tuple[tuple[str, str], ...]  # (href, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlingRow:
    """What was said last."""

    word: str
    actor: str
    note: str
    at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """Everything that the page shows."""

    id: str
    title: str
    robot_id: str
    pill: Pill
    last: Moment
    first: Moment
    event: tuple[tuple[str, str], ...]
    ranking: tuple[tuple[str, str, float], ...]  # (channel, test ratio, width of a bar)
    summary: str
    advice: str
    is_controller_fault: bool
    fidelity: float
    causes: tuple[CauseRow, ...]
    unobservable: tuple[str, ...]
    diagnosed_by: str
    figures: tuple[Figure, ...]
    candidates: tuple[CandidateRow, ...]
    occurrences: tuple[OccurrenceRow, ...]
    handled: HandlingRow | None
    closed: bool
    files: tuple[tuple[str, str, str], ...]  # (href, name, what it is for)
    dropped: str  # why the recording is not there any more; empty if it was never dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """An incident in a list."""

    id: str
    title: str
    robot_id: str
    pill: Pill
    cause: str
    occurrences: int
    last: Moment
    patches: tuple[tuple[str, Pill], ...]
    handled: str


def incident_page(service: Service, connection: Connection, incident_id: str) -> IncidentPage:
    """The page of one incident.

    Raises:
        Missing: no such incident.
    """
    shown = incident_shown(connection, incident_id)
    incident = ledger.incident(connection, incident_id)
    diagnoses = ledger.records(connection, tables.diagnoses, Diagnosis, incident_id=incident_id)
    found = diagnoses[-1] if diagnoses else None
    now_ns, event = service.clock.wall_ns(), incident.event
    care = service.cares.get(incident.robot_id)
    layout = care.board.now().layout if care else None
    folder = service.home / "incidents"
    highest = max((ratio for _, ratio in event.ranking), default=1.0) or 1.0
    return IncidentPage(
        id=incident_id,
        title=trouble(event.channel, event.kind),
        robot_id=incident.robot_id,
        pill=severity_pill(shown.severity),
        last=moment(shown.last_ns, now_ns),
        first=moment(shown.first_ns, now_ns),
        event=(
            ("First channel", event.channel),
            ("Kind of change", event.kind.replace("_", " ")),
            ("Estimated onset", f"{numbers.moment(event.onset_s)} on the robot's clock"),
            ("Alarm", f"{numbers.quantity(event.alarm_s - event.onset_s, 's')} later"),
            ("Detector", event.detector),
        ),
        ranking=tuple((name, numbers.figure(r), min(max(r / highest, 0.0), 1.0)) for name, r in event.ranking[:6]),
        summary=found.summary if found else "",
        advice=found.advice if found else "",
        is_controller_fault=found.is_controller_fault if found else True,
        fidelity=found.fidelity if found else 0.0,
        causes=views.cause_rows(found) if found else (),
        unobservable=found.unobservable if found else (),
        diagnosed_by=found.author if found else "",
        figures=window_figures(folder / incident_id, event, layout.units if layout else ()),
        candidates=tuple(
            CandidateRow(
                id=each.id,
                pill=patch_pill(each.status),
                rationale=each.rationale,
                proposer=each.proposer,
                kind=each.kind,
                why=each.why,
            )
            for each in shown.patches
        ),
        occurrences=tuple(
            OccurrenceRow(
                number=each.number,
                at=moment(each.at_ns, now_ns),
                pill=severity_pill(each.severity),
                delay=numbers.quantity(each.event.alarm_s - each.event.onset_s, "s"),
                ratio=numbers.figure(each.event.test_ratio),
                files=tuple(
                    (f"/incidents/{incident_id}/files/{each.number}/{name}", name)
                    for name in FILES
                    if (folder / each.recording / name).is_file()
                ),
            )
            for each in reversed(ledger.occurrences(connection, incident_id))
        ),
        handled=_handled(shown, now_ns),
        closed=shown.handling is not None and shown.handling.handling is Handling.CLOSED,
        files=tuple(
            (f"/incidents/{incident_id}/files/1/{name}", name, what)
            for name, (_, what) in FILES.items()
            if (folder / incident_id / name).is_file()
        ),
        dropped=why_dropped(connection, incident_id),
    )


def incident_rows(service: Service, connection: Connection, names: tuple[str, ...]) -> tuple[IncidentRow, ...]:
    """Incidents for a list."""
    now_ns, found = service.clock.wall_ns(), []
    for shown in incidents_shown(connection, names):
        handling = shown.handling
        found.append(
            IncidentRow(
                id=shown.id,
                title=trouble(shown.channel, shown.kind),
                robot_id=shown.robot_id,
                pill=severity_pill(shown.severity),
                cause=cause_words(shown.cause),
                occurrences=shown.occurrences,
                last=moment(shown.last_ns, now_ns),
                patches=tuple((each.id, patch_pill(each.status)) for each in shown.patches[-3:]),
                handled="" if handling is None else f"{handling.handling.value} by {handling.actor}",
            )
        )
    return tuple(found)


def _handled(shown: IncidentShown, now_ns: int) -> HandlingRow | None:
    said = shown.handling
    if said is None:
        return None
    return HandlingRow(word=said.handling.value, actor=said.actor, note=said.note, at=moment(said.at_ns, now_ns))
