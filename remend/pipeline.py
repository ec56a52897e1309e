"""Frame -> event -> incident -> diagnosis -> candidates -> report -> approval -> deployment -> outcome.

The only place where the stages are wired. No branch here is about a robot, a fault or a proposer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.artefact import Artefact
from core.block import Block
from core.clock import Clock
from core.errors import RobotFault
from core.ids import new_id, sha256_of
from core.records import Candidate, Event, Incident, ValidationReport
from core.robot import Robot
from core.status import PatchStatus, Verdict
from patcher.bandit import Bandit
from patcher.diagnose import diagnose
from patcher.llm.settings import LlmSettings
from patcher.llm.summary import in_words_of_a_model
from patcher.propose.base import Charging, Proposal, Proposer, Ranked, Situation
from patcher.search import brought, search, worth_proving
from remend.alpha import Spent
from remend.console import Console
from remend.decision import Decide, approval_of
from remend.deploy import Deployment
from remend.healing import Healing
from remend.keys import KeyRing
from remend.links.link import RobotLink
from remend.live import Viewer
from remend.memory import StoredRuns
from remend.recording import write_recording
from remend.remembered import remembered
from remend.store import Store
from remend.strips import film
from remend.tape import Tape
from remend.versions import Versions
from sim.canary_limits import canary_limits
from sim.drill import after_drill
from sim.gates.drill import NAME as DRILL
from sim.gates.replay import NAME as REPLAY
from sim.planned import planned_rollouts
from sim.policy import Policy
from sim.regressions import regression_of, world_sha
from sim.sealing import secret_seed
from sim.twin.expected import expected_with
from sim.twin.fidelity import fidelity
from sim.twin.kinds import twin_kind_of
from sim.twin.parts import Corrections
from sim.twin.twin import Twin, fit_twin
from sim.validate import held, validate
from sim.visited import stretch
from sim.workers.base import Workers
from telemetry.incidents import PRE_S, Severity, recording_window, severity
from telemetry.monitor import Monitor

HISTORY_S = 5.0  # telemetry from before an alarm that the twin is judged by
AFTERMATH_S = 3.0  # telemetry under the fault that the twin is fitted to
KEPT_S = 5.0  # how long a committed patch is watched before the healing is called done
_SETTLED_S = 0.05  # the first moments after an alarm may still belong to the change itself
# titles of stages
SEARCHING, PROVING, SWAPPING = "looking for a patch", "proving the patch in simulation", "swapping the patch in"
_LOOK_AGAIN = 4  # times that newer telemetry is tried when the twin does not repeat the incident


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """One robot with everything that is needed to heal it."""

    robot: Robot
    link: RobotLink
    incumbent: Artefact
    workers: Workers
    store: Store
    versions: Versions
    keys: KeyRing
    seal_key: Ed25519PrivateKey  # sealed scenarios are drawn with it
    policy: Policy
    clock: Clock
    console: Console
    proposers: tuple[Proposer, ...]
    decide: Decide
    budget: int  # search rollouts
    seed: int
    false_alarms_per_hour: float = 0.1
    view: Viewer | None = None
    llm: LlmSettings = field(default_factory=LlmSettings)
    barred: Callable[[Candidate], str] = lambda _: ""  # why a candidate may not be put before the gates; "": it may
    follow: Callable[[], object] = lambda: None  # makes `incumbent` what the robot runs, if it has gone back by itself
    alpha_per_day: float = 1.0  # of the robot; the policy may allow less
    tape: Tape = field(default_factory=lambda: Tape(PRE_S))
    monitor: Monitor = field(init=False)
    head: Block = field(init=False)
    calibration: Corrections = field(init=False)
    explained: Block = field(init=False)  # telemetry under the fault that the twin was fitted to last
    around: Block = field(init=False)  # and from before and across its onset

    def learn(self, seconds: float) -> None:
        """Learn the healthy robot from its first `seconds`."""
        self.versions.commit(self.link.robot_id, self.incumbent.files, None, "built-in controller", "remend")
        blocks = []
        with self.console.stage(f"learning {self.link.robot_id} from {seconds:.0f} s of healthy telemetry") as stage:
            done = 0.0
            for block in self.link.read(seconds):
                blocks.append(block)
                self.tape.add(block)  # an alarm right after learning has its history too
                if self.view is not None:
                    self.view.show(block)
                done += len(block) * self.robot.dt_s
                stage.update(round(done), round(seconds))
            self.know(Block.join(blocks))
            stage.finish(f"{len(self.monitor.channels)} channels, false-alarm rate {self.monitor.threshold_basis}")

    def know(self, head: Block) -> None:
        """Take `head` as how the healthy robot is."""
        self.head = head
        self.monitor = Monitor(self.robot, head, self.false_alarms_per_hour)
        self.calibration = twin_kind_of(self.robot).calibrate(self.robot, head)

    def wait_for_event(self, seconds: float) -> Event | None:
        """Watch for at most `seconds`; the first event, if one comes."""
        with self.console.stage("watching") as stage:
            done = 0.0
            for block in self.link.read(seconds):
                event = self.observe(block)
                done += len(block) * self.robot.dt_s
                stage.update(round(done), round(seconds))
                if event is not None:
                    stage.finish(f"{event.channel} alarms at {event.alarm_s:.2f} s ({event.kind})")
                    return event
            stage.finish(f"no event in {done:.0f} s")
        return None

    def observe(self, block: Block) -> Event | None:
        """Everything that arrives goes on the tape and through the detector."""
        self.tape.add(block)
        event = self.monitor.watch(block)
        self.tape.score(*self.monitor.scores)
        if self.view is not None:
            self.view.show(block)
            self.view.score(*self.monitor.scores)
            if event is not None:
                self.view.event(event)
        return event

    def open_incident(self, event: Event, healing: Healing) -> None:
        """Collect the telemetry after the alarm and store the incident, or count up the open one that it is again."""
        self.tape.hold()
        while self.tape.end_s < event.alarm_s + AFTERMATH_S:
            for block in self.link.read(event.alarm_s + AFTERMATH_S - self.tape.end_s + self.robot.dt_s):
                self.observe(block)
        healing.event = event = self.monitor.tracker.events[-1]  # its evidence has become clearer since the alarm
        start_s = event.alarm_s - HISTORY_S
        window = self.tape.all().between(start_s, event.alarm_s + AFTERMATH_S)
        incident = Incident(
            id=new_id("inc", self.clock),
            robot_id=self.link.robot_id,
            controller_sha=self.incumbent.sha256,
            event=event,
            window_s=(start_s, event.alarm_s + AFTERMATH_S),
            telemetry_sha=sha256_of(window.to_bytes()),
            created_ns=self.clock.wall_ns(),
        )
        how_bad = severity(self.robot, window, event)
        self._record(incident, how_bad)  # before the store names it: an incident always has its recording
        occurrence = self.store.add_occurrence(incident, how_bad)
        healing.occurrence, healing.incident = occurrence, replace(incident, id=occurrence.incident_id)
        if occurrence.number > 1:
            self.console.line(f"  occurrence {occurrence.number} of {occurrence.incident_id}")

    def _record(self, incident: Incident, how_bad: Severity) -> None:
        write_recording(self.store.home, self.robot, self.tape, incident, how_bad)

    def complete(self, healing: Healing) -> None:
        """Once the healing is over: the recording gets the telemetry from after the alarm that was still to come."""
        assert healing.incident is not None
        assert healing.occurrence is not None
        end_s = recording_window(healing.incident.event)[1]
        with suppress(RobotFault):  # a robot that is gone says no more; what it said is kept
            self.catch_up()
            while self.tape.end_s < end_s:
                for block in self.link.read(end_s - self.tape.end_s + self.robot.dt_s):
                    self.observe(block)
        self._record(replace(healing.incident, id=healing.occurrence.recording), healing.occurrence.severity)

    def explain(self, healing: Healing) -> Twin:
        """Fit the twin and diagnose; while the twin does not repeat the incident, look again at newer telemetry.

        A fault that is still growing fits no twin with a constant one; a few seconds later it may have settled.
        """
        incident = healing.incident
        assert incident is not None
        twin = self._explain(healing, incident, incident.event.alarm_s + _SETTLED_S)
        for _ in range(_LOOK_AGAIN):
            assert healing.diagnosis is not None
            if healing.diagnosis.fidelity >= self.policy.twin.fidelity:
                break
            self.catch_up()
            for block in self.link.read(AFTERMATH_S):
                self.observe(block)
            twin = self._explain(healing, incident, self.tape.end_s - AFTERMATH_S)
        assert healing.diagnosis is not None
        if healing.diagnosis.causes[0].cause != "none":
            self.monitor.confirm()
            if healing.diagnosis.fidelity >= self.policy.twin.fidelity:  # what is not repeated is no scenario
                self.store.add_regression(regression_of(twin, incident.id, incident.telemetry_sha))
        self.console.show_diagnosis(healing.diagnosis)
        return twin

    def _explain(self, healing: Healing, incident: Incident, start_s: float) -> Twin:
        """Fit and diagnose on the telemetry of `AFTERMATH_S` from `start_s` on."""
        with self.console.stage("fitting the twin") as stage:
            self.follow()
            self.explained = after_onset = self.tape.all().between(start_s, start_s + AFTERMATH_S)
            self.around = around_onset = self.tape.all().between(incident.window_s[0], start_s)
            twin = fit_twin(self.robot, self.head, after_onset, self.calibration, around_onset)
            repeated = fidelity(twin, self.incumbent, after_onset, around_onset)
            healing.diagnosis = in_words_of_a_model(
                diagnose(incident.id, twin, repeated), self.llm, charge=healing.charge
            )
            self.store.add_diagnosis(healing.diagnosis)
            stage.finish(f"{healing.diagnosis.causes[0].cause}, fidelity {healing.diagnosis.fidelity:.2f}")
        return twin

    def propose(self, twin: Twin, healing: Healing) -> list[Ranked]:
        """Candidates, best first, all of them stored."""
        assert healing.incident is not None
        situation = Situation(
            incident_id=healing.incident.id,
            twin=twin,
            incumbent=self.incumbent,
            budget=self.budget,
            seed=self.seed,
            remembered=remembered(self.store, self.versions, self.incumbent, twin.causes[0].cause),
        )
        with self.console.stage(SEARCHING) as stage, self.workers.progress.towards(self.budget, stage.update):
            before = self.workers.rollouts
            drawn = secret_seed(self.seal_key, "race", healing.incident.telemetry_sha, self.incumbent.sha256)
            bandit = Bandit(healing.asked)
            ranked = search(situation, self.proposers, self.workers, self.policy, drawn, bandit)
            healing.ranked = tuple(ranked)
            asked = {turn.proposer for turn in healing.asked}
            charging = [each for each in self.proposers if isinstance(each, Charging) and each.name in asked]
            healing.llm_calls += sum(each.spent.calls for each in charging)
            for each in charging:
                healing.charge(each.spent.tokens_in, each.spent.tokens_out)
            healing.search_rollouts = self.workers.rollouts - before
            self.versions.keep(self.incumbent.files)
            for candidate in ranked:
                self.versions.keep(candidate.proposal.artefact.files)
                self.store.add_candidate(candidate.proposal.candidate)
            healing.candidates = tuple(candidate.proposal.candidate for candidate in ranked)
            if not ranked:
                stage.finish("none: the fault costs too little tracking, or no remedy is known")
                return ranked
            stage.finish(f"{brought(ranked, twin)} from {healing.search_rollouts} rollouts")
        return ranked

    def prove(self, proposal: Proposal, twin: Twin, healing: Healing) -> ValidationReport:
        """Put a candidate before the gates and store the report; the patch then waits, is held, or is refused."""
        assert healing.incident is not None
        assert healing.diagnosis is not None
        candidate = proposal.candidate
        self._move(candidate.id, PatchStatus.PROPOSED, PatchStatus.CHECKED, "the law is inside the language")
        self._move(candidate.id, PatchStatus.CHECKED, PatchStatus.VALIDATING, "to be sealed")
        planned = planned_rollouts(
            self.policy, sum(each.fits(twin) for each in self.store.regressions(twin.robot.name))
        )
        with self.console.stage(PROVING) as stage, self.workers.progress.towards(planned, stage.update):
            report = self.validate(proposal, twin, healing)
            healing.evidence_rollouts += report.rollouts
            report = after_drill(self.workers, report, twin, self.incumbent, self.policy)
            stage.finish(f"{report.verdict.value} after {report.rollouts} rollouts")
        self.store.add_report(report)
        if report.gates[-1].name == DRILL and report.verdict is not Verdict.PASS:
            self._alarm(candidate.id, "drill", report.gates[-1].why)
        if forged := next(
            (gate for gate in report.gates if gate.name == REPLAY and gate.verdict is Verdict.FAIL), None
        ):
            self._alarm(candidate.id, "forged", forged.why)
        after = {
            Verdict.PASS: PatchStatus.AWAITING_APPROVAL,
            Verdict.FAIL: PatchStatus.REJECTED,
            Verdict.INCONCLUSIVE: PatchStatus.INCONCLUSIVE,
        }[report.verdict]
        self._move(candidate.id, PatchStatus.VALIDATING, after, f"gates: {report.verdict.value}")
        healing.patch, healing.report = candidate, report
        return report

    def _alarm(self, patch_id: str, verb: str, why: str) -> None:
        """A security event: into the audit log, and before whoever watches."""
        self.store.add_note(patch_id, actor="service", verb=verb, payload={"why": why})
        self.console.line(f"  SECURITY: {why}", "bold red")

    def validate(self, proposal: Proposal, twin: Twin, healing: Healing) -> ValidationReport:
        """Evidence for a candidate against the incumbent; sealed before the first run, and decided once."""
        assert healing.incident is not None
        assert healing.diagnosis is not None
        candidate, fidelity = proposal.candidate, healing.diagnosis.fidelity
        seal = self.store.seal(
            candidate.id,
            telemetry_sha=healing.incident.telemetry_sha,
            policy=self.policy,
            key=self.seal_key,
            per_day=self.alpha_per_day,
        )
        if isinstance(seal, Spent):
            return held(twin, seal.why, candidate=candidate, fidelity=fidelity, policy=self.policy)
        if earlier := self.store.report_on(seal):
            return replace(earlier, id=new_id("rep", self.clock), patch_id=candidate.id)
        return validate(
            self.workers,
            twin,
            incumbent=self.incumbent,
            candidate=proposal.artefact,
            fidelity=fidelity,
            policy=self.policy,
            patch_id=candidate.id,
            seal=seal,
            incident=stretch(self.robot, self.explained),
            past=[each for each in self.store.regressions(self.robot.name) if each.incident_id != healing.incident.id],
            memory=StoredRuns(self.store, world_sha(self.robot)),
        )

    def _film(self, proposal: Proposal, twin: Twin, healing: Healing) -> None:
        """Pictures for who reads the report."""
        assert healing.incident is not None
        assert healing.report is not None
        before, after = self.incumbent, proposal.artefact
        healing.strips = film(self.workers, twin, healing.report, healing.incident, before, after)

    def ask(self, proposal: Proposal, healing: Healing) -> bool:
        """Have the patch decided, and store the decision bound to what was shown. Whether it may be deployed now."""
        assert healing.diagnosis is not None
        assert healing.report is not None
        decision = self.decide(proposal, healing.diagnosis, healing.report)
        if decision is None:
            return False
        healing.approval = approval_of(decision, healing.report, self.clock)
        self.store.decide(healing.approval)
        return decision.approve

    def deploy(self, proposal: Proposal, twin: Twin, healing: Healing) -> None:
        """Swap the patch in, watch it, and store the outcome."""
        assert healing.approval is not None
        assert healing.report is not None
        deployment = Deployment(
            self.link,
            self.store,
            self.keys,
            self.clock,
            self.robot,
            observe=self.observe,
            keep=lambda: self._keep(proposal, healing),
            take_back=lambda: self._take_back(proposal),
        )
        armed = healing.report.needs_revert_trigger
        with self.console.stage(SWAPPING) as stage:
            self.catch_up()
            limits = canary_limits(healing.report, self.robot.dof)
            swap = deployment.run(healing.approval, proposal.artefact, limits, armed_revert=armed)
            stage.finish("rolled back" if swap.outcome.rolled_back else "committed")
        again = 0
        if not swap.outcome.rolled_back:
            with self.console.stage("watching the patched robot") as stage:
                self._expect(twin, healing)
                swap = deployment.watch(swap, KEPT_S)
                again = len(self.monitor.tracker.events)
                stage.finish(f"{again} events in {KEPT_S:.0f} s" if not swap.outcome.rolled_back else "reverted")
        outcome = replace(swap.outcome, observed={"events_after_commit": float(again)})
        healing.swap = replace(swap, outcome=outcome)
        self.store.add_outcome(outcome)

    def _keep(self, proposal: Proposal, healing: Healing) -> None:
        """The robot has committed: its branch says so before the database does."""
        assert healing.approval is not None
        candidate = proposal.candidate
        message = f"{candidate.rationale}\n\n{candidate.id} for {candidate.incident_id}"
        robot_id, base = self.link.robot_id, self.incumbent.sha256
        self.versions.commit(robot_id, proposal.artefact.files, base, message, healing.approval.actor)

    def _take_back(self, proposal: Proposal) -> None:
        """A committed patch was reverted on the robot: the branch follows."""
        robot_id, patch = self.link.robot_id, proposal.artefact.sha256
        self.versions.commit(robot_id, self.incumbent.files, patch, f"reverted {proposal.candidate.id}", "robot")

    def catch_up(self) -> None:
        """Take in what a robot in real time has said while the service was busy."""
        lost = self.link.lost_rows
        for block in self.link.drain():
            self.observe(block)
        if self.link.lost_rows > lost:
            self.console.line(f"  {self.link.lost_rows - lost} rows of telemetry were lost while the service was busy")

    def _expect(self, twin: Twin, healing: Healing) -> None:
        """The fault was answered: from now on it is normal, and its end would be news."""
        assert healing.incident is not None
        settled_s = healing.incident.event.alarm_s + _SETTLED_S
        expected = expected_with(self.robot, self.calibration, twin.effect)
        self.monitor.expect(expected, self.tape.all().between(settled_s, np.inf))

    def _move(self, patch_id: str, before: PatchStatus, after: PatchStatus, why: str) -> None:
        self.store.move(patch_id, before, after, "service", why)

    def _drop(self, ranked: Ranked, why: str) -> None:
        self._move(ranked.proposal.candidate.id, PatchStatus.PROPOSED, PatchStatus.REJECTED, why)

    def heal(self, event: Event, healing: Healing) -> None:
        """From an event to an outcome."""
        healing.event = event
        self.open_incident(event, healing)
        try:
            self.answer(healing)
            self.complete(healing)
        finally:
            self.tape.release()

    def answer(self, healing: Healing) -> Twin:
        """From an incident to an outcome, or to a patch that waits for a decision; what explains the incident."""
        twin = self.explain(healing)
        found = self.propose(twin, healing)
        allowed = [ranked for ranked in found if not self.barred(ranked.proposal.candidate)]
        chosen = worth_proving(allowed, self.policy.alpha.attempts)
        for ranked in found:
            if ranked not in chosen:
                why = "ranked behind others" if ranked.score < 1.0 and not ranked.dropped else "no better than before"
                self._drop(ranked, self.barred(ranked.proposal.candidate) or why)
        for ranked in chosen:
            if why := self.barred(ranked.proposal.candidate):
                self._drop(ranked, why)
                continue
            report = self.prove(ranked.proposal, twin, healing)
            self._film(ranked.proposal, twin, healing)
            self.console.show_patch(ranked.proposal.candidate, report)
            if report.verdict is not Verdict.PASS:
                continue
            for other in chosen[chosen.index(ranked) + 1 :]:
                self._drop(other, "another one passed")
            if self.ask(ranked.proposal, healing):
                self.deploy(ranked.proposal, twin, healing)
            break
        return twin
