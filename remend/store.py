"""The store: every record of a home folder, with its audit row, in the folder's database.

Each method that changes something is one transaction of records, status move and audit row, and owns the database from
its start: after a kill at any moment either all of it is there or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, select

from core.clock import Clock, SystemClock
from core.errors import BadInput, Conflict, Refused, Unavailable
from core.ids import canonical_json
from core.records import Approval, Candidate, Diagnosis, Incident, Outcome, Seal, ValidationReport
from core.status import PatchStatus
from remend import alpha, approvable, audit, ledger, second_person, tables
from remend.agency.policy import ACTOR
from remend.claim import claimed, keys_of
from remend.database import reading, writing
from remend.home import exclusive
from remend.journal import Journal
from remend.keys import KeyRing
from remend.ledger import Patch
from remend.runs import Runs
from sim.policy import Policy
from sim.regressions import Regression
from telemetry.incidents import Occurrence, Severity, fingerprint

HEAD_EVERY_ROWS = 64  # chosen: a signed head costs one more fsync
_UNDECIDED = frozenset(
    {
        PatchStatus.PROPOSED,
        PatchStatus.CHECKED,
        PatchStatus.VALIDATING,
        PatchStatus.AWAITING_APPROVAL,
        PatchStatus.INCONCLUSIVE,
    }
)


class Store:
    """Records, statuses and audit of one home folder. Create it with `open`; safe for several processes at once."""

    def __init__(
        self,
        home: Path,
        engine: Engine,
        keys: KeyRing,
        clock: Clock,
        head_every_rows: int = HEAD_EVERY_ROWS,
        read_only: str = "",
    ) -> None:
        self.home = home
        self.read_only = read_only  # why nothing can be changed; empty if it can
        self._engine = engine
        self._keys = keys
        self._clock = clock
        self._head_every_rows = head_every_rows

    @classmethod
    def open(
        cls,
        home: Path,
        clock: Clock | None = None,
        keys: KeyRing | None = None,
        *,
        head_every_rows: int = HEAD_EVERY_ROWS,
    ) -> Store:
        """Open the store in an existing home folder; database and keys are created if they are not there.

        Raises:
            BadInput: the database does not continue from the signed audit head, or has lost its keys.
            Damaged: the database is.
            Refused: the database was written by a newer Remend, or a key file can be read by others.
            Unavailable: the disk is full, or the database does not answer.
        """
        keys = keys or keys_of(home)
        with exclusive(home):
            engine = claimed(home, keys)
        store = cls(home, engine, keys, clock or SystemClock(), head_every_rows)
        try:
            with reading(engine) as connection:
                audit.require_continuation(connection, home)
        except BaseException:
            engine.dispose()
            raise
        return store

    def close(self) -> None:
        """Sign the head of the audit log and let go of the database.

        Raises:
            BadInput: somebody tampered with the audit log meanwhile.
            Refused: the head file cannot be written.
        """
        if self.read_only:
            self._engine.dispose()
            return
        try:
            with writing(self._engine) as connection:
                audit.require_continuation(connection, self.home)
                head = audit.sign_head(connection, self._keys.service)
            audit.publish(self.home, head)
        except OSError as error:
            raise Refused(f"{self.home / audit.FILE} cannot be written ({error.strerror}); free the disk") from error
        finally:
            self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- adding records; adding the same record again changes nothing -------------------------------------------------

    def add_incident(self, incident: Incident, *, actor: str = "service") -> None:
        """Store an incident.

        Raises:
            Conflict: another incident has this id.
        """
        with self.journal(actor) as journal:
            journal.record_root(tables.incidents, "incident", incident, id=incident.id)

    def add_occurrence(self, incident: Incident, severity: Severity, *, actor: str = "service") -> Occurrence:
        """Count up the open incident with the same fingerprint, or store `incident` as a new one: its first occurrence.

        An incident is open until one of its patches is active on the robot.

        Raises:
            Conflict: another incident has this id.
        """
        mark = fingerprint(incident.robot_id, incident.event)
        with self.journal(actor) as journal:
            same = ledger.open_incident(journal.connection, mark)
            if same is None:
                journal.record_root(tables.incidents, "incident", incident, id=incident.id)
            incident_id = incident.id if same is None else same
            occurrence = Occurrence(
                incident_id=incident_id,
                recording=incident.id,
                number=len(ledger.occurrences(journal.connection, incident_id)) + 1,
                fingerprint=mark,
                severity=severity,
                event=incident.event,
                window_s=incident.window_s,
                telemetry_sha=incident.telemetry_sha,
                at_ns=incident.created_ns,
            )
            journal.note(incident_id, ledger.OCCURRENCE, {"record": canonical_json(occurrence)})
            return occurrence

    def add_diagnosis(self, diagnosis: Diagnosis, *, actor: str = "service") -> None:
        """Store a diagnosis of a stored incident.

        Raises:
            BadInput: no such incident.
        """
        incident_id = diagnosis.incident_id
        with self.journal(actor) as journal:
            subject = (incident_id, ledger.digest(journal.connection, tables.incidents, incident_id))
            journal.record(tables.diagnoses, "diagnosis", subject, diagnosis, incident_id=incident_id)

    def add_candidate(self, candidate: Candidate, *, actor: str = "service") -> None:
        """Store a candidate of a stored incident; its patch is then PROPOSED. Keep its artefact in `Versions` before.

        Raises:
            BadInput: no such incident.
            Conflict: another candidate has this id.
        """
        columns = {"id": candidate.id, "incident_id": candidate.incident_id}
        with self.journal(actor) as journal:
            ledger.digest(journal.connection, tables.incidents, candidate.incident_id)
            if journal.record_root(tables.candidates, "candidate", candidate, **columns):
                journal.move(candidate.id, None, PatchStatus.PROPOSED, f"proposed by {candidate.proposer}")

    def add_report(self, report: ValidationReport, *, actor: str = "service") -> None:
        """Store a validation report; the last one is the one that a decision must name.

        Raises:
            BadInput: no such patch.
            Conflict: the report judged other artefacts, or the patch is past the decision.
        """
        columns = {"id": report.id, "patch_id": report.patch_id}
        with self.journal(actor) as journal:
            candidate = ledger.candidate(journal.connection, report.patch_id)
            if (report.base_sha, report.result_sha) != (candidate.base_sha, candidate.result_sha):
                raise Conflict(f"report {report.id} judged other artefacts than those of {report.patch_id}")
            added = journal.record(tables.reports, "report", (candidate.id, candidate.sha256), report, **columns)
            status = ledger.status(journal.connection, report.patch_id)
            if added and status not in _UNDECIDED:
                raise Conflict(f"{report.patch_id} is {status.value}; its evidence is closed")

    def seal(
        self,
        patch_id: str,
        *,
        telemetry_sha: str,
        policy: Policy,
        key: Ed25519PrivateKey,
        per_day: float = 1.0,
        actor: str = "service",
    ) -> Seal | alpha.Spent:
        """Commit to the sealed scenarios of a stored candidate and spend alpha on them, before the first is run.

        The same candidate against the same incumbent under the same policy is decided once for an incident: it gets the
        seal that it has.

        Args:
            telemetry_sha: of the incident as it showed this time.
            key: signs, and so draws.
            per_day: alpha that the robot may spend within 24 h, where the policy does not allow less.

        Raises:
            BadInput: no such patch.
        """
        with self.journal(actor) as journal:
            return alpha.commit(journal, patch_id, telemetry_sha, policy, key, per_day)

    def add_regression(self, regression: Regression, *, actor: str = "service") -> None:
        """Make a stored incident a scenario that later candidates meet. The first one of an incident stays.

        Raises:
            BadInput: no such incident.
        """
        incident_id = regression.incident_id
        with self.journal(actor) as journal:
            subject = (incident_id, ledger.digest(journal.connection, tables.incidents, incident_id))
            if not ledger.records(journal.connection, tables.regressions, Regression, incident_id=incident_id):
                columns = {"incident_id": incident_id, "robot": regression.robot}
                journal.record(tables.regressions, "regression", subject, regression, **columns)

    def add_runs(self, runs: Runs, *, actor: str = "service") -> None:
        """Keep results of a controller in past incidents."""
        with self.journal(actor) as journal:
            subject = (runs.artefact_sha, runs.artefact_sha)
            columns = {"artefact_sha": runs.artefact_sha, "world_sha": runs.world_sha}
            journal.record(tables.runs, "runs", subject, runs, **columns)

    def add_outcome(self, outcome: Outcome, *, actor: str = "service") -> None:
        """Store what happened on the robot.

        Raises:
            BadInput: no such patch.
            Conflict: the patch was deployed but nobody approved it.
        """
        with self.journal(actor) as journal:
            patch = ledger.patch(journal.connection, outcome.patch_id)
            if outcome.deployed and (patch.approval is None or patch.approval.decision != "approve"):
                raise Conflict(f"{patch.id} was deployed without an approval")
            subject = (patch.id, patch.candidate.sha256)
            journal.record(tables.outcomes, "outcome", subject, outcome, patch_id=patch.id)

    def add_note(self, subject: str, *, actor: str, verb: str, payload: dict[str, str] | None = None) -> None:
        """Put a step that is no record of its own into the audit log, such as a kill. `subject` is any id."""
        with self.journal(actor) as journal:
            journal.note(subject, verb, payload or {})

    # -- moving patches -----------------------------------------------------------------------------------------------

    def move(self, patch_id: str, before: PatchStatus, after: PatchStatus, actor: str, why: str) -> None:
        """Move a patch from one status to the next, if it still has the status `before`.

        Raises:
            BadInput: no such patch.
            Conflict: the patch has another status, or the move is not legal.
            Refused: APPROVED is reached by `decide` alone.
        """
        if after is PatchStatus.APPROVED:
            raise Refused(f"{patch_id} is approved by a decision, not by a move")
        with self.journal(actor) as journal:
            journal.move(patch_id, before, after, why)

    def decide(self, approval: Approval, *, persons: int = 1, seen: str | None = None) -> Approval:
        """Store a person's decision and move the patch to APPROVED or REJECTED. A patch is decided once.

        Args:
            persons: who have to approve the same; the first of two moves nothing.
            seen: id of the first of two approvals as it was shown, "" for none; None if that is not known.

        Returns:
            What was stored: the decision, or the first of two approvals.

        Raises:
            BadInput: no such patch, or the decision is neither "approve" nor "reject".
            Conflict: the patch does not wait for a decision, the decision names other artefacts or another report, or
                the second approval is the first person's.
            Refused: the evidence does not pass, the decision has expired, or the proposer approves itself.
        """
        if approval.decision not in ("approve", "reject"):
            raise BadInput(f"a decision is approve or reject, not {approval.decision!r}")
        approves = approval.decision == "approve"
        columns = {"id": approval.id, "patch_id": approval.patch_id}
        with self.journal(approval.actor, sign=True) as journal:
            patch = ledger.patch(journal.connection, approval.patch_id)
            held = patch.status is PatchStatus.INCONCLUSIVE and not approves
            if patch.status is not PatchStatus.AWAITING_APPROVAL and not held:
                raise Conflict(f"{patch.id} is {patch.status.value}; there is nothing to {approval.decision}")
            approvable.require_same(patch, approval)
            if approves:
                approvable.require_approvable(patch, approval, self._clock.wall_ns())
            if approves and persons > 1:
                approval = second_person.take(journal, patch, approval, seen)
                if approval.decision == second_person.FIRST:
                    return approval
            subject = (patch.id, patch.candidate.sha256)
            verb = "auto_approve" if approval.actor == ACTOR else approval.decision  # no person, and so it is said
            journal.record(tables.approvals, verb, subject, approval, **columns)
            after = PatchStatus.APPROVED if approves else PatchStatus.REJECTED
            journal.move(patch.id, patch.status, after, approval.reason)
            return approval

    # -- reading ------------------------------------------------------------------------------------------------------

    def incident(self, incident_id: str) -> Incident:
        """One incident.

        Raises:
            BadInput: no such incident.
        """
        with reading(self._engine) as connection:
            ledger.digest(connection, tables.incidents, incident_id)
            return ledger.records(connection, tables.incidents, Incident, id=incident_id)[0]

    def report_on(self, seal: Seal) -> ValidationReport | None:
        """What was decided on a seal; None if nothing was yet."""
        with reading(self._engine) as connection:
            found = ledger.records(connection, tables.reports, ValidationReport, patch_id=seal.patch_id)
            return next((report for report in found if report.seal == seal), None)

    def incidents(self) -> tuple[Incident, ...]:
        """All incidents, oldest first."""
        with reading(self._engine) as connection:
            return ledger.records(connection, tables.incidents, Incident)

    def occurrences(self, incident_id: str) -> tuple[Occurrence, ...]:
        """Every time that an incident showed, oldest first."""
        with reading(self._engine) as connection:
            return ledger.occurrences(connection, incident_id)

    def regressions(self, robot: str) -> tuple[Regression, ...]:
        """Past incidents of a robot model, oldest first."""
        with reading(self._engine) as connection:
            return ledger.records(connection, tables.regressions, Regression, robot=robot)

    def runs(self, artefact_sha: str, world_sha: str) -> tuple[Runs, ...]:
        """Results of a controller in past incidents, under one world."""
        with reading(self._engine) as connection:
            return ledger.records(connection, tables.runs, Runs, artefact_sha=artefact_sha, world_sha=world_sha)

    def diagnoses(self, incident_id: str) -> tuple[Diagnosis, ...]:
        """Diagnoses of an incident, oldest first."""
        with reading(self._engine) as connection:
            return ledger.records(connection, tables.diagnoses, Diagnosis, incident_id=incident_id)

    def kept(self, base_sha: str) -> tuple[tuple[str, Candidate], ...]:
        """Patches of a controller that a robot has kept, newest first, with the cause that was diagnosed."""
        with reading(self._engine) as connection:
            return ledger.kept(connection, base_sha)

    def patch(self, patch_id: str) -> Patch:
        """One patch with everything that was added to it.

        Raises:
            BadInput: no such patch.
        """
        with reading(self._engine) as connection:
            return ledger.patch(connection, patch_id)

    def patches(self) -> tuple[Patch, ...]:
        """All patches, oldest first."""
        with reading(self._engine) as connection:
            names = connection.scalars(select(tables.candidates.c.id).order_by(tables.candidates.c.row)).all()
            return tuple(ledger.patch(connection, name) for name in names)

    def in_status(self, robot_id: str, *statuses: PatchStatus) -> tuple[Patch, ...]:
        """Patches of a robot that are in one of some statuses now, oldest first."""
        with reading(self._engine) as connection:
            found = ledger.in_status(connection, robot_id, statuses)
            return tuple(ledger.patch(connection, name) for name in found)

    def show(self, name: str) -> dict[str, Any]:
        """Everything known of an incident or a patch, as JSON types: records, statuses, audit rows.

        Raises:
            BadInput: no such id.
        """
        with reading(self._engine) as connection:
            return ledger.show(connection, name)

    # -- transactions for rooms with records of their own -------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction: everything in it is from the same moment."""
        with reading(self._engine) as connection:
            yield connection

    @contextmanager
    def journal(self, actor: str, *, sign: bool = False, fleeting: bool = False) -> Iterator[Journal]:
        """One write transaction in the name of `actor`.

        Args:
            sign: have the audit head signed with it.
            fleeting: it may be forgotten, such as a session; a store for readers takes it too.

        Raises:
            Unavailable: the store is for readers.
        """
        if self.read_only and not fleeting:
            raise Unavailable(f"nothing can be changed now: {self.read_only}")
        head = None
        with writing(self._engine) as connection:
            yield Journal(connection=connection, actor=actor, at_ns=self._clock.wall_ns())
            if not self.read_only and (
                sign or audit.last_row(connection)[0] - audit.last_signed(connection) >= self._head_every_rows
            ):
                audit.require_continuation(connection, self.home)
                head = audit.sign_head(connection, self._keys.service)
        if head:
            # the step is done and its head is in the table; the next head brings the file along
            with suppress(OSError):
                audit.publish(self.home, head)
