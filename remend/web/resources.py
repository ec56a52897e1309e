"""What the API shows: records as they are, and short forms of them for lists. Times are UTC in ns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from core.records import Approval, Candidate, Diagnosis, Incident, Outcome, ValidationReport
from core.status import PatchStatus, Verdict
from remend import ledger, tables
from remend.ledger import Move, Note
from remend.service.handling import Handled, handled_by
from remend.service.orders import Order, OrderResult, order_result
from remend.service.pulse import FalseAlarms
from remend.service.risk import Risk, risk_of
from remend.service.service import Service
from remend.service.supervision import Care
from remend.web import queries
from telemetry.incidents import Severity, standing


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotShown:
    """A robot as it is now. What nobody has said yet is null."""

    robot_id: str
    model: str
    title: str | None
    simulated: bool
    stage: str | None  # of its controllers: "committed", "shadow", "canary", "ready"
    share: float | None  # of the command that a candidate has
    active_sha: str | None  # artefact that it is committed to
    held: str | None  # why it is held; null while it is not
    missed_deadlines: int | None  # since the last patch came
    test_ratio: float | None  # 1 is an alarm
    false_alarms: FalseAlarms | None  # since the robot was learnt
    doing: str | None  # what its caretaker does
    done: int  # of `total` steps; rollouts, of a search or a proof
    total: int  # at most; 0: not known
    doing_since_s: float
    left_s: float | None  # seconds until `total`, if it goes on as it did
    cancellable: bool  # whether an operator may end it
    silent_s: float | None  # since its last telemetry
    behind_s: float | None  # telemetry that has arrived and was not looked at yet
    lost_rows: int | None  # of telemetry that nobody will look at, since its caretaker began


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRef:
    """A patch by its id."""

    id: str
    status: PatchStatus
    proposer: str
    kind: str
    rationale: str
    why: str  # of the status


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentShown:
    """An incident in a list."""

    id: str
    robot_id: str
    channel: str  # that alarmed first
    kind: str  # of the change
    severity: Severity
    occurrences: int
    first_ns: int
    last_ns: int
    cause: str | None  # most probable
    handling: Handled | None
    patches: tuple[PatchRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentWhole:
    """An incident with all that was found."""

    summary: IncidentShown
    incident: Incident
    diagnoses: tuple[Diagnosis, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchShown:
    """A patch in a list."""

    id: str
    incident_id: str
    robot_id: str
    status: PatchStatus
    since_ns: int  # of the status
    why: str  # of the status
    kind: str
    proposer: str
    rationale: str
    verdict: Verdict | None
    risk: Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchWhole:
    """A patch with everything that a decision needs."""

    summary: PatchShown
    candidate: Candidate
    moves: tuple[Move, ...]
    report: ValidationReport | None
    report_sha: str | None  # that a decision has to name
    approval: Approval | None
    persons: int  # who have to approve the same hashes
    first_approval: Approval | None  # of two, while it counts and the second is missing
    outcomes: tuple[Outcome, ...]
    diff: str  # between the controllers


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShown:
    """An order and what became of it; null while it waits."""

    order: Order
    result: OrderResult | None


def robot_shown(care: Care) -> RobotShown:
    """A robot as its board says."""
    now, entry = care.board.now(), care.entry
    condition, doing = now.condition, now.doing
    return RobotShown(
        robot_id=entry.robot_id,
        model=entry.model,
        title=now.layout.title if now.layout else None,
        simulated=entry.simulated,
        stage=condition.stage if condition else None,
        share=condition.share if condition else None,
        active_sha=condition.active_sha if condition else None,
        held=condition.held if condition else None,
        missed_deadlines=condition.missed_deadlines if condition else None,
        test_ratio=now.ratio,
        false_alarms=now.false_alarms,
        doing=doing.what if doing else None,
        done=doing.done if doing else 0,
        total=doing.total if doing else 0,
        doing_since_s=now.doing_since_s,
        left_s=now.left_s,
        cancellable=doing.cancellable if doing else False,
        silent_s=now.silent_s,
        behind_s=now.intake.behind_s if now.intake else None,
        lost_rows=now.intake.lost_rows if now.intake else None,
    )


def incident_shown(connection: Connection, incident_id: str) -> IncidentShown:
    """An incident for a list.

    Raises:
        Missing: no such incident.
    """
    ledger.digest(connection, tables.incidents, incident_id)
    return incidents_shown(connection, (incident_id,))[0]


def incidents_shown(connection: Connection, names: Sequence[str]) -> tuple[IncidentShown, ...]:
    """Stored incidents for a list, in the order of their names, in as many queries for many as for one."""
    incidents = queries.several(connection, tables.incidents, Incident, "id", names)
    notes = queries.several(connection, tables.notes, Note, "subject", names)
    diagnoses = queries.several(connection, tables.diagnoses, Diagnosis, "incident_id", names)
    candidates = queries.several(connection, tables.candidates, Candidate, "incident_id", names)
    every = [candidate.id for of_one in candidates.values() for candidate in of_one]
    moves = queries.several(connection, tables.moves, Move, "patch_id", every)
    found = []
    for name in names:
        incident, about = incidents[name][0], notes.get(name, ())
        times = ledger.occurrences_in(about)
        whole = standing(times) if times else None
        known = diagnoses.get(name)
        found.append(
            IncidentShown(
                id=name,
                robot_id=incident.robot_id,
                channel=incident.event.channel,
                kind=incident.event.kind,
                severity=whole.severity if whole else Severity.INFO,
                occurrences=whole.occurrences if whole else 1,
                first_ns=incident.created_ns,
                last_ns=whole.last_ns if whole else incident.created_ns,
                cause=known[-1].causes[0].cause if known else None,
                handling=handled_by(about),
                patches=tuple(_ref(each, moves[each.id][-1]) for each in candidates.get(name, ())),
            )
        )
    return tuple(found)


def patches_shown(service: Service, connection: Connection, names: Sequence[str]) -> tuple[PatchShown, ...]:
    """Stored patches for a list, in the order of their names, in as many queries for many as for one."""
    candidates = queries.several(connection, tables.candidates, Candidate, "id", names)
    moves = queries.several(connection, tables.moves, Move, "patch_id", names)
    reports = queries.several(connection, tables.reports, ValidationReport, "patch_id", names)
    parents = [of_one[0].incident_id for of_one in candidates.values()]
    incidents = queries.several(connection, tables.incidents, Incident, "id", parents)
    found = []
    for name in names:
        candidate, last = candidates[name][0], moves[name][-1]
        report = reports[name][-1] if name in reports else None
        robot_id = incidents[candidate.incident_id][0].robot_id
        found.append(
            PatchShown(
                id=name,
                incident_id=candidate.incident_id,
                robot_id=robot_id,
                status=last.after,
                since_ns=last.at_ns,
                why=last.why,
                kind=candidate.kind,
                proposer=candidate.proposer,
                rationale=candidate.rationale,
                verdict=report.verdict if report else None,
                risk=risk_of(candidate, report, simulated=service.is_simulated(robot_id)),
            )
        )
    return tuple(found)


def patch_summary(service: Service, connection: Connection, patch_id: str) -> PatchShown:
    """A patch for a list, by its id.

    Raises:
        Missing: no such patch.
    """
    ledger.digest(connection, tables.candidates, patch_id)
    return patches_shown(service, connection, (patch_id,))[0]


def order_shown(connection: Connection, order: Order) -> OrderShown:
    """An order and its result."""
    return OrderShown(order=order, result=order_result(connection, order.id))


def _ref(candidate: Candidate, last: Move) -> PatchRef:
    return PatchRef(
        id=candidate.id,
        status=last.after,
        proposer=candidate.proposer,
        kind=candidate.kind,
        rationale=candidate.rationale,
        why=last.why,
    )
