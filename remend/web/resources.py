"""What the API shows: records as they are, and short forms of them for lists. Times are UTC in ns."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from core.records import Approval, Candidate, Diagnosis, Incident, Outcome, ValidationReport
from core.status import PatchStatus, Verdict
from remend import ledger, tables
from remend.ledger import Move, Patch
from remend.service.handling import Handled, handled
from remend.service.orders import Order, OrderResult, order_result
from remend.service.risk import Risk, risk_of
from remend.service.service import Service
from remend.service.supervision import Care
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
    doing: str | None  # what its caretaker does
    done: int  # of `total` steps; rollouts, of a search or a proof
    total: int  # at most; 0: not known
    doing_since_s: float
    left_s: float | None  # seconds until `total`, if it goes on as it did
    cancellable: bool  # whether an operator may end it
    silent_s: float | None  # since its last telemetry


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
        doing=doing.what if doing else None,
        done=doing.done if doing else 0,
        total=doing.total if doing else 0,
        doing_since_s=now.doing_since_s,
        left_s=now.left_s,
        cancellable=doing.cancellable if doing else False,
        silent_s=now.silent_s,
    )


def incident_shown(connection: Connection, incident_id: str) -> IncidentShown:
    """An incident for a list.

    Raises:
        Missing: no such incident.
    """
    ledger.digest(connection, tables.incidents, incident_id)
    incident = ledger.records(connection, tables.incidents, Incident, id=incident_id)[0]
    times = ledger.occurrences(connection, incident_id)
    whole = standing(times) if times else None
    diagnoses = ledger.records(connection, tables.diagnoses, Diagnosis, incident_id=incident_id)
    return IncidentShown(
        id=incident.id,
        robot_id=incident.robot_id,
        channel=incident.event.channel,
        kind=incident.event.kind,
        severity=whole.severity if whole else Severity.INFO,
        occurrences=whole.occurrences if whole else 1,
        first_ns=incident.created_ns,
        last_ns=whole.last_ns if whole else incident.created_ns,
        cause=diagnoses[-1].causes[0].cause if diagnoses else None,
        handling=handled(connection, incident_id),
        patches=tuple(_ref(connection, name) for name in ledger.patches_of(connection, incident_id)),
    )


def patch_shown(connection: Connection, patch: Patch, *, simulated: bool) -> PatchShown:
    """A patch for a list."""
    candidate, last = patch.candidate, patch.moves[-1]
    incident = ledger.records(connection, tables.incidents, Incident, id=candidate.incident_id)[0]
    return PatchShown(
        id=patch.id,
        incident_id=candidate.incident_id,
        robot_id=incident.robot_id,
        status=last.after,
        since_ns=last.at_ns,
        why=last.why,
        kind=candidate.kind,
        proposer=candidate.proposer,
        rationale=candidate.rationale,
        verdict=patch.report.verdict if patch.report else None,
        risk=risk_of(candidate, patch.report, simulated=simulated),
    )


def patch_summary(service: Service, connection: Connection, patch_id: str) -> PatchShown:
    """A patch for a list, by its id.

    Raises:
        Missing: no such patch.
    """
    patch = ledger.patch(connection, patch_id)
    incident = ledger.records(connection, tables.incidents, Incident, id=patch.candidate.incident_id)[0]
    return patch_shown(connection, patch, simulated=service.is_simulated(incident.robot_id))


def order_shown(connection: Connection, order: Order) -> OrderShown:
    """An order and its result."""
    return OrderShown(order=order, result=order_result(connection, order.id))


def _ref(connection: Connection, patch_id: str) -> PatchRef:
    candidate = ledger.candidate(connection, patch_id)
    move = ledger.last_move(connection, patch_id)
    assert move is not None
    return PatchRef(
        id=patch_id,
        status=move.after,
        proposer=candidate.proposer,
        kind=candidate.kind,
        rationale=candidate.rationale,
        why=move.why,
    )
