"""Runs in lockstep in real workers: the bits of a rollout, and a law's process that cannot gain by anything it does."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from controllers.artefact import Artefact
from controllers.library import find_law
from core.clock import SystemClock
from core.robot import Robot
from sim.catalogue import find_robot, shipped_robots
from sim.scenario import Scenario
from sim.trial import draw_trial
from sim.workers import dispatch, job, lockstep
from sim.workers.answer import Rolled
from sim.workers.confirm import confirm
from sim.workers.dispatch import Dispatch, Request
from sim.workers.forgery import Forged
from sim.workers.in_process import InProcess
from sim.workers.job import Job
from sim.workers.keeper import Keeper
from sim.workers.outcome import Lost, Reason
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings
from tests.sim.workers.attacks import payloads
from tests.sim.workers.test_pool import ARM, LAW, TRIALS, new_law, softer

FALSE = "tests.sim.workers.attacks.free:FALSE_LAWS"


class FalsePool(Pool):
    """A pool in whose processes of laws a payload has run before."""

    payload = ""

    def __init__(self, robot: Robot) -> None:
        super().__init__(robot, WorkerSettings(count=1))
        self._keeper = Keeper(
            (
                (job.NAME, pickle.dumps(robot)),
                ("sim.workers.self_test:PROBE", b""),
                (lockstep.PLANTS_NAME, b""),
                (FALSE, b""),
                ("sim.workers.reruns:RERUNS", b""),
            ),
            memory=512 << 20,
            cpu_s=60,
            readable=(robot.folder,),
        )

    def _request(self, asked: Job, ticks: Sequence[int]) -> Request:
        request = super()._request(asked, ticks)
        if request.beside is None:
            return request
        data = pickle.dumps((self.payload, request.beside.data))
        return replace(request, beside=replace(request.beside, data=data))


@pytest.fixture(scope="module")
def workers() -> Iterator[FalsePool]:
    with FalsePool(ARM) as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_EXCHANGE_S", 2)


def rolled(workers: Pool, payload: str, law: Artefact = LAW) -> list[Rolled]:
    FalsePool.payload = payload
    return workers.roll([(law, trial) for trial in TRIALS[:4]], lockstep=law)


def assert_same(one: Rolled, other: Rolled) -> None:
    assert one.judgement == other.judgement
    assert one.command.tobytes() == other.command.tobytes()


@pytest.mark.parametrize("name", sorted(shipped_robots()))
def test_lockstep_in_confined_workers_gives_the_bits_of_a_rollout_in_this_process(name: str) -> None:
    robot = find_robot(name)
    law = find_law(robot, robot.controller)
    kinds = robot.tasks.kinds
    trials = [draw_trial(robot, task=kinds[k % len(kinds)], seed=k, robot_seed=k % 3, duration_s=0.5) for k in range(2)]
    expected = InProcess(robot).roll([(law, trial) for trial in trials])
    with Pool(robot, WorkerSettings(count=2)) as workers:
        found = workers.roll([(law, trial) for trial in trials], lockstep=law)
        assert confirm(workers, law, list(zip(trials, found, strict=True))) == ()
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
        assert one.exchange is not None
        assert len(one.exchange.said) == len(one.command)


def test_only_what_decides_is_run_in_lockstep(workers: FalsePool) -> None:
    FalsePool.payload = ""
    pairs = [(law, trial) for trial in TRIALS[:3] for law in (LAW, softer(), new_law())]
    found = workers.roll(pairs, lockstep=softer())
    for (law, _), one, other in zip(pairs, found, InProcess(ARM, trusting=True).roll(pairs), strict=True):
        assert_same(one, other)
        assert (one.exchange is not None) == (law.sha256 == softer().sha256)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", payloads.BREACHES)
def test_who_does_not_keep_to_the_exchange_is_refused(name: str, workers: FalsePool) -> None:
    words, payload = payloads.BREACHES[name]
    with pytest.raises(Forged, match=f"did not keep to the exchange: .*{words}"):
        rolled(workers, payload)


@pytest.mark.parametrize("name", payloads.LIES)
def test_commands_that_are_not_the_laws_are_found_out(name: str, workers: FalsePool) -> None:
    found = rolled(workers, payloads.LIES[name])
    runs = list(zip(TRIALS[:4], found, strict=True))
    forgeries = confirm(workers, LAW, runs)
    assert forgeries
    assert all("the law commands something else at tick" in forgery.what for forgery in forgeries)
    for (scenario, run), honest in zip(runs, rolled(workers, ""), strict=True):
        assert run.exchange is not None
        assert honest.exchange is not None
        same = np.array_equal(run.exchange.said, honest.exchange.said)
        assert same != any(forgery.scenario is scenario for forgery in forgeries)


def test_a_lie_earns_what_its_commands_earn(workers: FalsePool) -> None:
    """Figures come from the plants' side: no number is a number, and the safety law has to command."""
    for run in rolled(workers, payloads.LIES["commands that are no numbers"]):
        assert run.judgement.limit_broken
        assert run.judgement.safety_share > 0.9


@pytest.mark.usefixtures("quick")
def test_a_law_that_hangs_loses_its_job_and_no_other(workers: FalsePool) -> None:
    FalsePool.payload = payloads.BREACHES["never"][1]
    apart = Job(robot=ARM, artefact=LAW, scenarios=tuple(TRIALS[:2]), lockstep=True)
    first, lost, last = workers.run([replace(apart, lockstep=False), apart, replace(apart, lockstep=False)])
    assert isinstance(lost, Lost)
    assert (lost.reason, lost.what) == (Reason.EXCHANGE, "no answer in time")
    assert not isinstance(first, Lost)
    assert not isinstance(last, Lost)
    for one, other in zip(first, last, strict=True):
        assert_same(one, other)


KNOWS = """
import gc
known = [type(thing).__name__ for thing in gc.get_objects() if type(thing).__name__ in ("Scenario", "Physics", "Plant")]
raise ValueError(f"{len(known)} of them")
"""


def test_the_process_of_a_law_inherits_no_scenario(workers: FalsePool) -> None:
    """The nominal robot, at which everything was warmed up, is all that it has met."""
    FalsePool.payload = ""
    workers.roll([(LAW, trial) for trial in TRIALS])
    before = told(workers)
    workers.roll([(LAW, scenario(seed)) for seed in range(6)])
    assert told(workers) == before


def scenario(seed: int) -> Scenario:
    return draw_trial(ARM, seed=seed, robot_seed=20 + seed, duration_s=0.1)


def told(workers: FalsePool) -> str:
    with pytest.raises(Forged, match="of them") as error:
        rolled(workers, KNOWS)
    return str(error.value).split("ValueError: ")[1]


def test_a_wire_leads_to_one_worker_and_nothing_else_can_be_read(workers: FalsePool) -> None:
    tried = """
said = []
for descriptor in range(1, 100):
    try:
        os.read(descriptor, 1)
        said.append(descriptor)
    except OSError as error:
        pass
raise ValueError(f"read {said}")
"""
    with pytest.raises(Forged, match=r"read \[\]"):
        rolled(workers, tried)


def test_a_worker_without_another_beside_it_reads_nothing() -> None:
    keeper = Keeper((("tests.sim.workers.attacks.free:FREE", b""),), memory=256 << 20, cpu_s=60)
    source = "import os\nsaid = repr(os.read(0, 10))"
    requests = [
        Request(work=0, data=pickle.dumps((source, {})), most_answer=100, blind=blind) for blind in (False, True)
    ]
    try:
        found, _ = Dispatch(keeper, requests, count=2, timeout_s=60.0, clock=SystemClock()).run()
    finally:
        keeper.close()
    assert found == [b"b''", b"b''"]
