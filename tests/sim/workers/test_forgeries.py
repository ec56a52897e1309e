"""The three lies about a result: no layer stops one, and each is another number than the commands earn.

That is why an answer of a process with plant and law is a claim: it ranks candidates, and promotes none.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from controllers.artefact import Artefact
from core.clock import SystemClock
from core.robot import Robot
from sim.replay import retrace
from sim.scenario import Scenario
from sim.trial import draw_trial
from sim.workers.answer import Rolled, most_bytes, read_answer
from sim.workers.dispatch import Dispatch, Request
from sim.workers.job import Job, ticks_of
from sim.workers.keeper import Keeper
from tests.sim.workers.attacks import payloads

FORGER = "tests.sim.workers.attacks.free:FORGER"
HONEST = ""


@pytest.fixture(scope="module")
def keeper(iiwa: Robot) -> Iterator[Keeper]:
    found = Keeper(((FORGER, pickle.dumps(iiwa)),), memory=512 << 20, cpu_s=60, readable=(iiwa.folder,))
    yield found
    found.close()


@pytest.fixture(scope="module")
def job(iiwa: Robot, computed_torque: Artefact) -> Job:
    return Job(robot=iiwa, artefact=computed_torque, scenarios=(draw_trial(iiwa, task="reach", duration_s=0.5),))


def claims(keeper: Keeper, job: Job, *sources: str) -> list[Rolled]:
    ticks = ticks_of(job.robot, job.scenarios)
    requests = [
        Request(work=0, data=pickle.dumps((source, job.to_bytes())), most_answer=most_bytes(job.robot, ticks))
        for source in sources
    ]
    answers, _ = Dispatch(keeper, requests, count=1, timeout_s=120.0, clock=SystemClock()).run()
    assert all(isinstance(answer, bytes) for answer in answers), answers
    return [read_answer(bytes(answer), job.robot, ticks)[0] for answer in answers if isinstance(answer, bytes)]


def replayed(robot: Robot, scenario: Scenario, rolled: Rolled) -> dict[str, float]:
    """Metrics of the commands themselves, applied to the same plant with no law in the loop."""
    return retrace(robot, scenario, rolled.command).metrics()


def test_replay_of_an_honest_answer_gives_its_figures_to_the_last_bit(keeper: Keeper, job: Job) -> None:
    (honest,) = claims(keeper, job, HONEST)
    assert replayed(job.robot, job.scenarios[0], honest) == honest.judgement.metrics


@pytest.mark.parametrize("name", payloads.FORGERIES)
def test_a_lie_is_told_and_replay_finds_it_out(name: str, keeper: Keeper, job: Job) -> None:
    (lie,) = claims(keeper, job, payloads.FORGERIES[name])
    assert lie.judgement.metrics["rms_tracking_error"] < 1e-8
    found = replayed(job.robot, job.scenarios[0], lie)
    assert found != lie.judgement.metrics
    assert found["rms_tracking_error"] > 1e-4


def test_a_lie_changes_nothing_for_the_next_controller(keeper: Keeper, job: Job) -> None:
    before, *_, after = claims(keeper, job, HONEST, *payloads.FORGERIES.values(), HONEST)
    assert before.judgement == after.judgement
    assert np.array_equal(before.command, after.command)
