"""What a caretaker does with decisions: it carries out what fits the robot, and turns down what no longer does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.clock import ManualClock
from core.errors import Refused, RobotFault
from core.ports import Ports
from core.status import PatchStatus
from remend.healing import Healing
from remend.service.caretaker import Caretaker
from remend.service.freeze import freeze
from remend.store import Store
from remend.versions import Versions

P = PatchStatus
LAW = Path(__file__).parents[3] / "controllers" / "laws" / "joint_pd"
DAY_NS = 24 * 3600 * 10**9


class FakePipeline:
    """A robot that is committed to one controller, and writes down what is deployed; only for these tests."""

    def __init__(self, store: Store, versions: Versions, clock: ManualClock, active_sha: str) -> None:
        self.store, self.versions, self.clock = store, versions, clock
        self.deployed: list[str] = []
        status = SimpleNamespace(
            active_sha=active_sha, stage=SimpleNamespace(value="committed"), share=0.0, missed_deadlines=0, notes=()
        )
        self.link = SimpleNamespace(robot_id="iiwa", status=lambda: status)
        self.incumbent = SimpleNamespace(sha256=active_sha, name="law")
        self.robot = SimpleNamespace(name="iiwa", ports=Ports(joints=1, actuators=1, output="tau"))
        self.seed = 1


@pytest.fixture
def caretaker(home: Path, store: Store, clock: ManualClock) -> Any:
    def of(active_sha: str) -> tuple[Caretaker, FakePipeline]:
        pipeline = FakePipeline(store, Versions.open(home, clock), clock, active_sha)
        clock.now_ns += 10**9
        return Caretaker(cast(Any, pipeline), home, lambda pulse: None, DAY_NS), pipeline

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
