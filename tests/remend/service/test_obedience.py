"""Orders are carried out on the robot and in the records, and a freeze takes back what is on trial."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from controllers.runtime import Stage
from core.clock import ManualClock
from core.errors import Refused, RobotFault
from core.status import PatchStatus
from remend.service.freeze import freeze
from remend.service.obedience import Obedience
from remend.service.orders import Order, OrderResult, Verb, order_result, place, waiting
from remend.store import Store
from remend.versions import Versions

P = PatchStatus


@dataclass
class FakeLink:
    """A robot that does what it is told; only for these tests."""

    active_sha: str
    before_sha: str | None
    stage: Stage = Stage.COMMITTED
    robot_id: str = "iiwa"
    reasons: list[str] = field(default_factory=list)
    error: Exception | None = None
    held: str | None = None

    def status(self) -> Any:
        return SimpleNamespace(active_sha=self.active_sha, stage=self.stage, held=self.held)

    def hold(self, reason: str) -> None:
        if self.error is not None:
            raise self.error
        self.held, self.stage = reason, Stage.COMMITTED

    def resume(self) -> None:
        self.held = None

    def roll_back(self, reason: str) -> None:
        if self.error is not None:
            raise self.error
        self.reasons.append(reason)
        if self.stage is not Stage.COMMITTED:
            self.stage = Stage.COMMITTED
        elif self.before_sha is not None:
            self.active_sha, self.before_sha = self.before_sha, None


@pytest.fixture
def versions(home: Path, clock: ManualClock) -> Versions:
    return Versions.open(home, clock)


@pytest.fixture
def link(versions: Versions, samples: ModuleType) -> FakeLink:
    base, result = versions.keep(samples.BASE), versions.keep(samples.artefact(2))
    versions.commit("iiwa", samples.BASE, None, "baseline", "service")
    versions.commit("iiwa", samples.artefact(2), base, "a patch", "ada")
    return FakeLink(active_sha=result, before_sha=base)


@pytest.fixture
def obedience(link: FakeLink, store: Store, versions: Versions, clock: ManualClock) -> Obedience:
    return Obedience(cast(Any, link), store, versions, clock, lambda why: False)


def rolled_back(store: Store, obedience: Obedience, name: str = "ord_1") -> OrderResult:
    return ordered(store, obedience, Verb.ROLL_BACK, name)


def ordered(store: Store, obedience: Obedience, verb: Verb, name: str) -> OrderResult:
    order = Order(id=name, robot_id="iiwa", verb=verb, actor="otto", reason="odd noise", key=name, at_ns=1)
    with store.journal("otto") as journal:
        place(journal, order)
    obedience.obey(order)
    with store.reading() as connection:
        assert waiting(connection, "iiwa") == ()
        found = order_result(connection, name)
    assert found is not None
    return found


def test_an_active_patch_is_taken_back_on_the_robot_in_the_records_and_in_git(
    store: Store, obedience: Obedience, link: FakeLink, versions: Versions, stored: Any, samples: ModuleType
) -> None:
    base, result = link.before_sha, link.active_sha
    stored(store, P.ACTIVE, base=base, result=result)
    answer = rolled_back(store, obedience)
    assert (answer.done, answer.what) == (True, "the robot is back on the controller before")
    assert link.reasons == ["rolled back by otto: odd noise"]
    patch = store.patch("pat_1")
    assert patch.status is P.ROLLED_BACK
    assert (patch.moves[-2].actor, patch.moves[-1].actor) == ("otto", "robot")
    assert versions.history("iiwa")[0].artefact_sha == base
    again = rolled_back(store, obedience, "ord_2")
    assert "there is no patch to take back" in again.what


def test_a_patch_on_trial_is_left_to_whoever_watches_the_trial(
    store: Store, obedience: Obedience, link: FakeLink, stored: Any
) -> None:
    stored(store, P.CANARY)
    link.stage = Stage.CANARY
    assert "on trial was taken back" in rolled_back(store, obedience).what
    assert store.patch("pat_1").status is P.CANARY


@pytest.mark.parametrize("error", [RobotFault("the host does not answer"), Refused("no")])
def test_an_order_that_cannot_be_carried_out_says_so(
    store: Store, obedience: Obedience, link: FakeLink, error: Exception
) -> None:
    link.error = error
    answer = rolled_back(store, obedience)
    assert (answer.done, answer.what) == (False, str(error))


@pytest.mark.parametrize("status", [P.SHADOW, P.CANARY])
def test_a_freeze_takes_back_what_is_on_trial_and_nothing_else(
    store: Store, obedience: Obedience, link: FakeLink, stored: Any, status: PatchStatus
) -> None:
    stored(store, status)
    link.stage = Stage.CANARY
    obedience.look()
    assert link.reasons == []
    with store.journal("vera") as journal:
        freeze(journal, "visitors")
    obedience.look()
    obedience.look()
    assert link.reasons == ["patching was frozen by vera"]


def test_a_freeze_leaves_a_committed_patch_alone(
    store: Store, obedience: Obedience, link: FakeLink, stored: Any
) -> None:
    stored(store, P.ACTIVE)
    with store.journal("vera") as journal:
        freeze(journal, "visitors")
    obedience.look()
    assert link.reasons == []


@pytest.mark.parametrize("works", [True, False])
def test_a_search_is_cancelled_if_there_is_one(
    store: Store, link: FakeLink, versions: Versions, clock: ManualClock, works: bool
) -> None:
    whys: list[str] = []

    def cancel(why: str) -> bool:
        whys.append(why)
        return works

    order = Order(id="ord_1", robot_id="iiwa", verb=Verb.CANCEL, actor="otto", reason="not now", key="k", at_ns=1)
    with store.journal("otto") as journal:
        place(journal, order)
    Obedience(cast(Any, link), store, versions, clock, cancel).look()
    with store.reading() as connection:
        found = order_result(connection, "ord_1")
    assert found is not None
    assert found.done
    assert ("the search for a patch ends" in found.what) is works
    assert whys == ["cancelled by otto: not now"]
    assert link.reasons == []


def test_a_robot_is_held_once_and_goes_on_once(store: Store, obedience: Obedience, link: FakeLink, stored: Any) -> None:
    stored(store, P.CANARY)
    link.stage = Stage.CANARY
    assert (
        "on trial was taken back, and the robot comes to a stop" in ordered(store, obedience, Verb.HOLD, "ord_1").what
    )
    assert link.held == "held by otto: odd noise"
    assert "held already: held by otto" in ordered(store, obedience, Verb.HOLD, "ord_2").what
    assert ordered(store, obedience, Verb.RESUME, "ord_3").what == "the robot goes on"
    assert link.held is None
    assert ordered(store, obedience, Verb.RESUME, "ord_4").what == "the robot was not held"


def test_a_robot_that_cannot_be_held_says_so(store: Store, obedience: Obedience, link: FakeLink) -> None:
    link.error = Refused("Remend cannot hold it")
    answer = ordered(store, obedience, Verb.HOLD, "ord_1")
    assert (answer.done, answer.what, link.held) == (False, "Remend cannot hold it", None)


def test_something_can_be_looked_at_while_it_listens(
    link: FakeLink, store: Store, versions: Versions, clock: ManualClock
) -> None:
    looked = threading.Event()
    with Obedience(cast(Any, link), store, versions, clock, lambda why: False, looked.set).listening():
        assert looked.wait(60.0)
