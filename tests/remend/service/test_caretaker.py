"""What a caretaker does with decisions: it carries out what fits the robot, and turns down what no longer does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controllers.artefact import load_artefact
from core.clock import ManualClock
from core.errors import Conflict, Refused, RobotFault
from core.ports import Ports
from core.status import PatchStatus
from patcher.llm.settings import LlmSettings
from remend.agency.leash import Leash
from remend.agency.limit import SearchLimit
from remend.agency.policy import ACTOR, AgencyPolicy, Budget, KindRule, Rules
from remend.audit import Head
from remend.healing import Healing
from remend.keys import KeyRing
from remend.service.caretaker import Caretaker
from remend.service.freeze import freeze
from remend.service.pulse import FalseAlarms, Intake, Said
from remend.store import Store
from remend.versions import Versions
from sim.workers.progress import Progress
from telemetry.alarm_rate import RateSoFar

P = PatchStatus
LAW = Path(__file__).parents[3] / "controllers" / "laws" / "joint_pd"
DAY_NS = 24 * 3600 * 10**9


class FakePipeline:
    """A robot that is committed to one controller, and writes down what is deployed; only for these tests."""

    def __init__(self, store: Store, versions: Versions, clock: ManualClock, active_sha: str) -> None:
        self.store, self.versions, self.clock = store, versions, clock
        self.deployed: list[str] = []
        status = SimpleNamespace(
            active_sha=active_sha,
            stage=SimpleNamespace(value="committed"),
            share=0.0,
            missed_deadlines=0,
            notes=(),
            held=None,
            audit_head="",
        )
        self.link = SimpleNamespace(robot_id="iiwa", status=lambda: status, keep_head=lambda head: None)
        self.incumbent = SimpleNamespace(sha256=active_sha, name="law")
        self.robot = SimpleNamespace(name="iiwa", ports=Ports(joints=1, actuators=1, output="tau"))
        self.seed = 1
        self.said: list[Any] = []
        self.tape = SimpleNamespace(hold=lambda: None, release=lambda: None)
        self.answered: list[Healing] = []
        self.complete = self.answered.append
        self.workers = SimpleNamespace(progress=Progress())
        self.monitor = SimpleNamespace(
            alarm_rate=RateSoFar(admitted_per_hour=0.1, false_alarms=0, healthy_h=1.0, basis="x")
        )


@pytest.fixture
def caretaker(home: Path, store: Store, clock: ManualClock) -> Any:
    def of(active_sha: str, agency: AgencyPolicy = AgencyPolicy()) -> tuple[Caretaker, FakePipeline]:  # noqa: B008
        pipeline = FakePipeline(store, Versions.open(home, clock), clock, active_sha)
        clock.now_ns += 10**9
        said: list[Any] = []
        leash = Leash(policy=agency, robot_id="iiwa", simulated=True, store=store, clock=clock, alpha_each=0.025)
        limit = SearchLimit(leash=leash, wanted=300, llm=LlmSettings(), choose=lambda _: ())
        pipeline.said = said
        return Caretaker(cast(Any, pipeline), home, said.append, DAY_NS, leash, limit), pipeline

    return of


def test_a_patch_for_another_controller_than_the_one_that_runs_is_stale(
    store: Store, stored: Any, caretaker: Any
) -> None:
    stored(store, P.APPROVED)
    caretaker("d" * 64)[0].look()
    patch = store.patch("pat_1")
    assert patch.status is P.REJECTED
    assert patch.moves[-1].why.startswith("stale: the robot runs another controller")


@pytest.fixture
def approved(store: Store, stored: Any, home: Path, clock: ManualClock) -> str:
    """An approved patch with a real controller, on top of another one; the sha256 of that."""
    versions = Versions.open(home, clock)
    files = {name: (LAW / name).read_bytes() for name in ("law.py", "params.toml", "manifest.toml")}
    base = versions.keep({**files, "params.toml": files["params.toml"] + b"# before\n"})
    stored(store, P.APPROVED, base=base, result=versions.keep(files))
    return base


def test_a_patch_whose_telemetry_is_gone_is_turned_down_in_words(store: Store, caretaker: Any, approved: str) -> None:
    caretaker(approved)[0].look()
    patch = store.patch("pat_1")
    assert patch.status is P.REJECTED
    assert "that inc_1 was explained with is gone" in patch.moves[-1].why


def test_a_patch_whose_files_are_damaged_ends_nobody(store: Store, stored: Any, caretaker: Any) -> None:
    stored(store, P.APPROVED)  # its sha names nothing
    caretaker("b" * 64)[0].look()
    assert store.patch("pat_1").status is P.REJECTED


def test_a_patch_that_ends_its_caretaker_again_and_again_is_turned_down(
    store: Store, caretaker: Any, approved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise RobotFault("the robot is gone")

    monkeypatch.setattr(Caretaker, "_twin", die)
    for _ in range(3):
        with pytest.raises(RobotFault):
            caretaker(approved)[0].look()
        assert store.patch("pat_1").status is P.APPROVED
    caretaker(approved)[0].look()
    patch = store.patch("pat_1")
    assert patch.status is P.REJECTED
    assert patch.moves[-1].why.startswith("3 times its deployment ended the caretaker")


def test_nothing_is_carried_out_while_patching_is_frozen(store: Store, stored: Any, caretaker: Any) -> None:
    stored(store, P.APPROVED)
    with store.journal("vera") as journal:
        freeze(journal, "visitors")
    caretaker("d" * 64)[0].look()
    assert store.patch("pat_1").status is P.APPROVED


def test_what_was_approved_waits_while_the_robot_is_held(store: Store, stored: Any, caretaker: Any) -> None:
    stored(store, P.APPROVED)
    looking, pipeline = caretaker("d" * 64)
    status = pipeline.link.status()
    status.held = "held by ada"
    looking.look()
    assert store.patch("pat_1").status is P.APPROVED
    status.held = None
    pipeline.clock.now_ns += 10**10
    looking.look()
    assert store.patch("pat_1").status is P.REJECTED, "it fits no more, which is looked at once the robot goes on"


def test_a_patch_that_waits_for_a_controller_that_is_gone_waits_no_more(
    store: Store, stored: Any, caretaker: Any
) -> None:
    stored(store, P.AWAITING_APPROVAL)
    caretaker("d" * 64)[0].look()
    patch = store.patch("pat_1")
    assert patch.status is P.REJECTED
    assert patch.moves[-1].why.startswith("stale")


def test_an_answer_that_cannot_be_had_ends_nobody_and_leaves_nothing_half_done(
    store: Store, stored: Any, caretaker: Any, samples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(store, P.VALIDATING, 1)
    stored(store, P.AWAITING_APPROVAL, 2)

    def refuse(*_: object) -> None:
        raise Refused("on this machine nothing would keep a new law from the network")

    looks_after, pipeline = caretaker("b" * 64)
    pipeline.tape = SimpleNamespace(hold=lambda: None, release=lambda: None)
    pipeline.answer = refuse
    looks_after._answer(Healing(robot="iiwa", fault="", seed=1, incident=samples.incident()))
    rejected = store.patch("pat_1")
    assert rejected.status is P.REJECTED
    assert "keep a new law from the network" in rejected.moves[-1].why
    assert store.patch("pat_2").status is P.AWAITING_APPROVAL


@pytest.mark.parametrize(("age_ns", "after"), [(DAY_NS - 2 * 10**9, P.AWAITING_APPROVAL), (DAY_NS, P.EXPIRED)])
def test_evidence_ages(
    store: Store, stored: Any, caretaker: Any, clock: ManualClock, age_ns: int, after: PatchStatus
) -> None:
    stored(store, P.AWAITING_APPROVAL)
    clock.now_ns += age_ns
    caretaker("b" * 64)[0].look()
    patch = store.patch("pat_1")
    assert patch.status is after
    if after is P.EXPIRED:
        assert patch.moves[-1].why == "nobody decided within 24 h"


def test_a_clock_that_was_set_back_revives_nothing(
    store: Store, stored: Any, caretaker: Any, clock: ManualClock, samples: Any
) -> None:
    stored(store, P.AWAITING_APPROVAL)
    report = store.patch("pat_1").report
    clock.now_ns += DAY_NS
    caretaker("b" * 64)[0].look()
    clock.now_ns -= 2 * DAY_NS
    caretaker("b" * 64)[0].look()
    with pytest.raises(Conflict, match="expired"):
        store.decide(samples.decision(report, "app_1", "approve", "otto"))
    assert store.patch("pat_1").status is P.EXPIRED


def healing_of(samples: Any, number: int) -> Healing:
    return Healing(robot="iiwa", fault="", seed=1, incident=samples.incident(f"inc_{number}"))


def test_an_incident_waits_while_the_policy_leaves_nothing_and_is_answered_when_it_does(
    caretaker: Any, samples: Any, clock: ManualClock, store: Store
) -> None:
    policy = AgencyPolicy(default=Rules(budget=Budget(simulations=10)))
    looks_after, pipeline = caretaker("b" * 64, policy)
    first, second = healing_of(samples, 1), healing_of(samples, 2)

    def answer(healing: Healing) -> None:
        healing.search_rollouts = 10

    pipeline.answer = answer
    looks_after._answer(first)
    looks_after._postponed.append(second)
    looks_after.look()
    assert pipeline.answered == [first]
    assert [pulse.text for pulse in pipeline.said if getattr(pulse, "grave", False)] == [
        "no search for a patch: iiwa has used 10 of 10 simulations within 24 h; the policy allows no more"
    ]
    clock.now_ns += DAY_NS
    looks_after.look()
    assert pipeline.answered == [first, second]


def test_what_the_policy_approves_is_approved_once_the_evidence_is_there(
    store: Store, stored: Any, caretaker: Any, samples: Any
) -> None:
    stored(store, P.AWAITING_APPROVAL)
    patch = store.patch("pat_1")
    policy = AgencyPolicy(version=3, default=Rules(params=KindRule(auto_approved_per_day=1)))
    looks_after, pipeline = caretaker("b" * 64, policy)
    healing = healing_of(samples, 1)

    def answer(found: Healing) -> None:
        found.patch, found.report = patch.candidate, patch.report

    pipeline.answer = answer
    looks_after._answer(healing)
    approved = store.patch("pat_1")
    assert approved.status is P.APPROVED
    assert approved.approval is not None
    assert approved.approval.actor == ACTOR
    assert "policy version 3" in approved.approval.reason


def test_a_search_that_is_cancelled_leaves_nothing_half_done_and_the_next_one_is_wanted(
    store: Store, stored: Any, caretaker: Any, samples: Any
) -> None:
    stored(store, P.VALIDATING, 1)
    stored(store, P.AWAITING_APPROVAL, 2)
    looks_after, pipeline = caretaker("b" * 64)
    completed: list[Healing] = []
    pipeline.complete = completed.append

    def work(*_: object) -> None:
        assert looks_after.cancel("cancelled by otto: the cell is needed")
        pipeline.workers.progress.check()

    pipeline.answer = work
    healing = Healing(robot="iiwa", fault="", seed=1, incident=samples.incident())
    assert not looks_after.cancel("nothing is at work")
    looks_after._answer(healing)
    rejected = store.patch("pat_1")
    assert rejected.status is P.REJECTED
    assert rejected.moves[-1].why == "cancelled by otto: the cell is needed"
    assert store.patch("pat_2").status is P.AWAITING_APPROVAL
    assert completed == [healing]

    pipeline.answer = lambda healing: pipeline.workers.progress.check()
    looks_after._answer(healing)
    assert completed == [healing, healing]


def test_an_alarm_that_proved_false_is_said_once_and_counted(caretaker: Any) -> None:
    looks_after, pipeline = caretaker("b" * 64)
    pipeline.monitor.alarm_rate = RateSoFar(admitted_per_hour=0.1, false_alarms=1, healthy_h=4.0, basis="extrapolated")
    for _ in range(2):
        looks_after._looked_ns = -(10**9)
        looks_after.look()
    counted = [pulse for pulse in pipeline.said if isinstance(pulse, FalseAlarms)]
    assert [(each.count, each.healthy_h, each.basis) for each in counted] == [(1, 4.0, "extrapolated")] * 2
    lines = [pulse.text for pulse in pipeline.said if isinstance(pulse, Said)]
    assert lines == ["an alarm ended by itself and nothing confirmed it: 1 in 4 h, 0.1 per hour were admitted"]


def test_a_patch_that_the_robot_took_back_is_written_down_and_trouble_that_is_left_alarms_anew(
    home: Path, store: Store, clock: ManualClock, stored: Any, caretaker: Any
) -> None:
    versions = Versions.open(home, clock)
    before = load_artefact(LAW).files
    after = {**before, "law.py": before["law.py"] + b"# another\n"}
    base, result = versions.keep(before), versions.keep(after)
    versions.commit("iiwa", before, None, "baseline", "service")
    versions.commit("iiwa", after, base, "a patch", "ada")
    stored(store, P.ACTIVE, base=base, result=result)
    looking, pipeline = caretaker(result)
    known: list[object] = []
    pipeline.know, pipeline.head = known.append, "how it was when it was healthy"
    looking.look()
    assert known == []
    status = pipeline.link.status()
    status.active_sha, status.rollback_reason, status.killed = base, "revert trigger: tracking error", None
    clock.now_ns += 10**9
    looking.look()
    assert store.patch("pat_1").status is P.ROLLED_BACK
    assert known == [pipeline.head]
    assert pipeline.incumbent.sha256 == base
    clock.now_ns += 10**9
    looking.look()
    assert len(known) == 1


def test_how_far_behind_the_telemetry_it_is_is_said_when_it_changes(caretaker: Any) -> None:
    looks_after, pipeline = caretaker("b" * 64)
    for behind_s, lost_rows in ((0.0, 0), (12.5, 0), (12.5, 0), (600.0, 40)):
        pipeline.link.behind_s, pipeline.link.lost_rows = behind_s, lost_rows
        looks_after.say_intake()
    said = [(pulse.behind_s, pulse.lost_rows) for pulse in pipeline.said if isinstance(pulse, Intake)]
    assert said == [(0.0, 0), (12.5, 0), (600.0, 40)]


def test_nothing_is_brought_onto_a_robot_that_has_kept_another_audit_log(
    store: Store, stored: Any, caretaker: Any, home: Path, samples: Any
) -> None:
    stored(store, P.APPROVED)
    looks_after, pipeline = caretaker("b" * 64)
    (home / "robots" / "iiwa").mkdir(parents=True)
    key = KeyRing.load(home).service
    pipeline.link.status().audit_head = Head.signed(10_000, "f" * 64, key).to_json().decode()
    carried: list[Any] = []
    looks_after._carry_out = carried.append
    looks_after.look()
    looks_after._looked_ns = -DAY_NS
    looks_after.look()
    assert carried == []
    (said,) = [pulse.text for pulse in pipeline.said if getattr(pulse, "grave", False)]
    assert said.startswith("iiwa has kept another audit log")
    pipeline.link.status().audit_head = Head.signed(0, "0" * 64, key).to_json().decode()
    looks_after._looked_ns = -DAY_NS
    looks_after.look()
    assert len(carried) == 1
