"""The process that looks after one robot: it watches, heals up to the decision, and carries out what was decided.

It may be killed at any moment. Everything that matters is in the store and on the robot before it counts, and the next
one finds there what is left to do: orders without an answer, patches that were approved, trouble that still shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event as Flag

from controllers.artefact import artefact_from_files
from controllers.host_status import HostStatus
from core.errors import BadInput, Cancelled, Conflict, Refused
from core.records import Candidate, Diagnosis, Event, ValidationReport
from core.status import PatchStatus
from patcher.propose.base import Proposal
from remend import ledger
from remend.agency.leash import Leash
from remend.agency.limit import Limit
from remend.decision import approval_of
from remend.healing import Healing
from remend.ledger import Patch
from remend.pipeline import Pipeline
from remend.service import casefile, exhibit
from remend.service.casefile import CaseFile
from remend.service.freeze import frozen
from remend.service.gone_back import follow_back
from remend.service.obedience import Obedience
from remend.service.pulse import Condition, FalseAlarms, Intake, Pulse, Said
from remend.service.reconcile import give_up, reconcile
from remend.service.shipping import Shipping
from remend.telling import story_of
from sim.twin.expected import expected_with
from sim.twin.twin import Twin, fit_twin
from telemetry.alarm_rate import RateSoFar

POLL_S = 0.1  # of telemetry that is taken in at a time
_SETTLE_S = 8.0  # telemetry that an incident needs from before its alarm
_STALE = "stale: the robot runs another controller than the one that the patch was made for"
_TRIES = 3  # deployments of one patch that may end a caretaker
_DEPLOYING = "deploying"  # verb of the note that counts them
_LOOK_S = 0.5  # how often the store is asked for decisions


class Caretaker:
    """Looks after the robot of a pipeline.

    Args:
        say: takes pulses.
        decision_ns: evidence older than this cannot be approved any more [ns].
        leash: the policy for the robot.
        limit: holds a search of the pipeline to what it may cost.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        home: Path,
        say: Callable[[Pulse], None],
        decision_ns: int,
        leash: Leash,
        limit: Limit,
    ) -> None:
        self._pipeline, self._home, self._say, self._decision_ns = pipeline, home, say, decision_ns
        self._leash, self._limit = leash, limit
        pipeline.follow = self._follow
        self._obedience = Obedience(
            pipeline.link, pipeline.store, pipeline.versions, pipeline.clock, self.cancel, self.say_intake
        )
        self._twins: dict[str, Twin] = {}  # incident -> what explains it
        self._healing: Healing | None = None  # the one at work
        self._postponed: list[Healing] = []  # incidents that came while patching was frozen, or the day was used up
        self._look_anew = False  # whether what is expected of the robot is out of date
        self._held = ""  # why they wait, as it was said last
        self._shipping = Shipping(pipeline.link, pipeline.store, home)
        self._objected = ""  # why nothing is brought onto the robot, as it was said last
        self._looked_ns = 0
        self._intake: Intake | None = None  # as it was said last
        self._false_alarms = 0  # as they were counted last

    # -- beginning ----------------------------------------------------------------------------------------------------

    def begin(self, learn_s: float) -> None:
        """Learn the robot, or take up what was learnt before, and bring the records in line with the robot."""
        pipeline = self._pipeline
        head = casefile.read_rows(self._head_file, pipeline.robot.ports)
        if head is None:
            pipeline.learn(learn_s)
            casefile.keep_rows(self._head_file, pipeline.head)
        else:
            pipeline.know(head)
        active = reconcile(pipeline.store, pipeline.link.robot_id, self._follow())
        if head is not None:
            for block in pipeline.link.read(_SETTLE_S):
                pipeline.tape.add(block)
            if active is not None:
                self._expect(active)

    def _follow(self) -> str:
        """The robot says what it runs: patches are made for that. Its sha256."""
        pipeline = self._pipeline
        status = pipeline.link.status()
        if status.active_sha != pipeline.incumbent.sha256:
            files = pipeline.versions.read(status.active_sha)
            pipeline.incumbent = artefact_from_files(pipeline.incumbent.name, files)
            self._went_back(status, files)
        return status.active_sha

    def _went_back(self, status: HostStatus, files: Mapping[str, bytes]) -> None:
        """A patch that ran is gone, and with it what was expected because of it: trouble that is left alarms anew."""
        pipeline = self._pipeline
        gone = follow_back(pipeline.store, pipeline.versions, pipeline.link.robot_id, status, files)
        if gone:
            self._say(Said(text=f"{', '.join(gone)} was taken back: {status.rollback_reason}", grave=True))
            self._look_anew = True

    def _expect(self, patch: Patch) -> None:
        """The fault that the active patch answers is normal by now."""
        incident = self._pipeline.store.incident(patch.candidate.incident_id)
        case = casefile.read_case(self._home / "incidents" / incident.id, self._pipeline.robot.ports)
        if case is not None:
            twin = self._twin(incident.id, case)
            expected = expected_with(self._pipeline.robot, self._pipeline.calibration, twin.effect)
            self._pipeline.monitor.expect(expected, case.after)

    @property
    def _head_file(self) -> Path:
        return self._home / "robots" / self._pipeline.link.robot_id / casefile.HEAD

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self, stop: Flag) -> None:
        """Look after the robot until `stop`.

        Raises:
            RobotFault: the robot or its link is gone.
        """
        with self._obedience.listening():
            while not stop.is_set():
                self.turn()

    def turn(self) -> None:
        """Take in a little telemetry, answer it if it alarms, and see to what was decided."""
        if (event := self._watch()) is not None:
            self._heal(event)
        self.look()

    def _watch(self) -> Event | None:
        found = None
        for block in self._pipeline.link.read(POLL_S):
            found = self._pipeline.observe(block) or found
        return found

    def look(self) -> None:
        """Now and then: what is the robot's condition, and what was decided?"""
        now_ns = self._pipeline.clock.monotonic_ns()
        if now_ns - self._looked_ns < _LOOK_S * 1e9:
            return
        self._looked_ns = now_ns
        status = self._pipeline.link.status()
        self._say_condition(status)
        self._say_false_alarms(self._pipeline.monitor.alarm_rate)
        self._follow()
        if self._look_anew and not self._awaited():
            self._look_anew = False
            self._pipeline.know(self._pipeline.head)
        with self._pipeline.store.reading() as connection:
            is_frozen = frozen(connection) is not None
        if self._is_another_log(status):
            return
        if is_frozen or status.held is not None:  # what was approved waits until the robot goes on
            return
        while self._postponed and self._may_search():
            self._answer(self._postponed.pop(0))
        for patch in self._pipeline.store.in_status(self._pipeline.link.robot_id, PatchStatus.APPROVED):
            self._carry_out(patch)
        for patch in self._pipeline.store.in_status(self._pipeline.link.robot_id, PatchStatus.AWAITING_APPROVAL):
            self._age(patch)

    def _awaited(self) -> bool:
        """Whether there is an answer to the trouble that shows, and only the decision or the swap is to come."""
        waiting = (PatchStatus.AWAITING_APPROVAL, PatchStatus.APPROVED)
        return bool(self._pipeline.store.in_status(self._pipeline.link.robot_id, *waiting))

    def _is_another_log(self, status: HostStatus) -> bool:
        """Whether the robot has kept the head of another audit log; says so once."""
        why = self._shipping.turn(status)
        if why and why != self._objected:
            self._say(Said(text=why, grave=True))
        self._objected = why
        return bool(why)

    def _say_condition(self, status: HostStatus) -> None:
        self._say(
            Condition(
                stage=status.stage.value,
                share=status.share,
                active_sha=status.active_sha,
                missed_deadlines=status.missed_deadlines,
                notes=tuple(note.what for note in status.notes),
                held=status.held,
            )
        )

    def say_intake(self) -> None:
        """How far behind the telemetry it is, and what was lost: a search takes minutes, in which nobody reads."""
        link = self._pipeline.link
        intake = Intake(behind_s=link.behind_s, lost_rows=link.lost_rows)
        if intake != self._intake:
            self._say(intake)
        self._intake = intake

    def _say_false_alarms(self, rate: RateSoFar) -> None:
        if rate.false_alarms > self._false_alarms:
            what = f"an alarm ended by itself and nothing confirmed it: {rate.false_alarms} in {rate.healthy_h:.2g} h"
            self._say(Said(text=f"{what}, {rate.admitted_per_hour:g} per hour were admitted"))
        self._false_alarms = rate.false_alarms
        self._say(
            FalseAlarms(
                count=rate.false_alarms,
                healthy_h=rate.healthy_h,
                admitted_per_hour=rate.admitted_per_hour,
                basis=rate.basis,
            )
        )

    # -- healing ------------------------------------------------------------------------------------------------------

    def _heal(self, event: Event) -> None:
        """From an alarm to patches that wait for a decision."""
        self._follow()
        healing = Healing(robot=self._pipeline.robot.name, fault="", seed=self._pipeline.seed)
        self._pipeline.open_incident(event, healing)
        with self._pipeline.store.reading() as connection:
            is_frozen = frozen(connection) is not None
        if is_frozen or self._objected or not self._may_search():
            self._pipeline.tape.release()
            self._postponed.append(healing)
        else:
            self._answer(healing)

    def _may_search(self) -> bool:
        """Whether the policy leaves anything for another search today; says once why not."""
        why = self._leash.why_no_search()
        if why and why != self._held:
            self._say(Said(text=f"no search for a patch: {why}", grave=True))
        self._held = why
        return not why

    def _answer(self, healing: Healing) -> None:
        pipeline = self._pipeline
        assert healing.incident is not None
        pipeline.tape.hold()
        pipeline.workers.progress.renew()
        self._healing = healing
        try:
            with self._limit(pipeline, healing):
                self._twins[healing.incident.id] = pipeline.answer(healing)
            self._approve_by_policy(healing)
            pipeline.complete(healing)
        except Cancelled as error:
            give_up(pipeline.store, pipeline.link.robot_id, str(error))
            self._say(Said(text=f"the search for a patch ended: {error}"))
            pipeline.complete(healing)
        except (Refused, BadInput) as error:  # a new start would meet it again; the robot is watched on
            give_up(pipeline.store, pipeline.link.robot_id, f"the search for a patch ended: {error}")
            self._say(Said(text=str(error), grave=True))
        finally:
            pipeline.tape.release()
            self._healing = None

    def _approve_by_policy(self, healing: Healing) -> None:
        """What the policy approves needs no person; everything else waits for one."""
        patch, report = healing.patch, healing.report
        if patch is None or report is None:
            return
        decision = self._leash.decide(patch, report)
        if decision is not None:
            with suppress(Conflict, Refused):  # a person was faster, or the evidence has aged
                self._pipeline.store.decide(approval_of(decision, report, self._pipeline.clock))
                self._say(Said(text=f"{patch.id} is {decision.reason}", grave=True))

    def cancel(self, why: str) -> bool:
        """End the search or the proof that is at work; whether there is one. Safe for threads."""
        if self._healing is None:
            return False
        self._pipeline.workers.progress.cancel(why)
        return True

    def deployed(self) -> None:
        """A patch was committed or taken back: whoever looks need not wait until it was watched."""
        self._say_condition(self._pipeline.link.status())

    def diagnosed(self, diagnosis: Diagnosis) -> None:
        """An incident was explained: keep what with, before anything is proposed on the strength of it."""
        case = CaseFile(around=self._pipeline.around, after=self._pipeline.explained)
        casefile.keep_case(self._home / "incidents" / diagnosis.incident_id, case)

    def judged(self, candidate: Candidate, report: ValidationReport) -> None:
        """A patch came out of its gates: keep what its page shows."""
        if (healing := self._healing) is not None:
            tape = self._pipeline.tape
            story = story_of(self._pipeline, healing, tape.all(), tape.ratio(), fault=None)
            exhibit.keep(self._home, candidate.id, story)

    # -- carrying out -------------------------------------------------------------------------------------------------

    def _carry_out(self, patch: Patch) -> None:
        """Bring an approved patch onto the robot."""
        pipeline, candidate = self._pipeline, patch.candidate
        if candidate.base_sha != pipeline.link.status().active_sha:
            self._turn_down(patch, _STALE)
            self._look_anew = True  # the trouble that it was made for may still be there
            return
        if self._tried(patch) >= _TRIES:
            self._turn_down(patch, f"{_TRIES} times its deployment ended the caretaker; something is wrong with it")
            return
        incident = pipeline.store.incident(candidate.incident_id)
        case = casefile.read_case(self._home / "incidents" / incident.id, pipeline.robot.ports)
        healing = Healing(
            robot=pipeline.robot.name,
            fault="",
            seed=pipeline.seed,
            incident=incident,
            event=incident.event,
            candidates=(candidate,),
            patch=candidate,
            report=patch.report,
            approval=patch.approval,
        )
        try:
            artefact = artefact_from_files(pipeline.incumbent.name, pipeline.versions.read(candidate.result_sha))
            twin = self._twin(incident.id, case)
            pipeline.deploy(Proposal(candidate=candidate, artefact=artefact), twin, healing)
        except (Refused, BadInput) as error:  # nothing of it runs
            self._turn_down(patch, str(error))
            return
        if healing.swap is not None and not healing.swap.outcome.rolled_back:
            self._supersede(patch.id)
            self._look_anew = False  # what is expected was set by the commit
        elif healing.swap is not None and "commit" in healing.swap.outcome.stages:
            self._look_anew = True  # it was, and then the patch was taken back

    def _tried(self, patch: Patch) -> int:
        """How often a deployment of a patch was begun before; this one is written down."""
        with self._pipeline.store.journal("service") as journal:
            begun = ledger.notes(journal.connection, patch.id, _DEPLOYING)
            journal.note(patch.id, _DEPLOYING, {"time": str(len(begun) + 1)})
        return len(begun)

    def _turn_down(self, patch: Patch, why: str) -> None:
        with suppress(Refused):  # it has gone on meanwhile
            self._pipeline.store.move(patch.id, PatchStatus.APPROVED, PatchStatus.REJECTED, "service", why)

    def _supersede(self, patch_id: str) -> None:
        """A patch was committed: the one before it is history."""
        store = self._pipeline.store
        for earlier in store.in_status(self._pipeline.link.robot_id, PatchStatus.ACTIVE):
            if earlier.id != patch_id:
                why = f"{patch_id} took its place"
                store.move(earlier.id, PatchStatus.ACTIVE, PatchStatus.SUPERSEDED, "service", why)

    def _twin(self, incident_id: str, case: CaseFile | None) -> Twin:
        """What explains an incident: as it was found, or found again from the same telemetry."""
        if incident_id not in self._twins:
            if case is None:
                raise Refused(f"the telemetry that {incident_id} was explained with is gone; let it be found again")
            p = self._pipeline
            self._twins[incident_id] = fit_twin(p.robot, p.head, case.after, p.calibration, case.around)
        return self._twins[incident_id]

    def _age(self, patch: Patch) -> None:
        """What nobody decided in time is decided no more, nor what was made for a controller that is gone."""
        store, base_sha = self._pipeline.store, patch.candidate.base_sha
        age_ns = self._pipeline.clock.wall_ns() - patch.moves[-1].at_ns
        with suppress(Refused):  # somebody has decided meanwhile
            if age_ns > self._decision_ns:
                why = f"nobody decided within {self._decision_ns / 3.6e12:.3g} h"
                store.move(patch.id, PatchStatus.AWAITING_APPROVAL, PatchStatus.EXPIRED, "service", why)
            elif base_sha != self._pipeline.link.status().active_sha:
                store.move(patch.id, PatchStatus.AWAITING_APPROVAL, PatchStatus.REJECTED, "service", _STALE)
