"""What confinement costs, and what a second worker brings: the same rollouts in confined workers and in this process.

Everything is CPU time of service, zygote and workers, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.library import find_law
from core.robot import Robot
from remend.bench.figure import Figure, median_interval
from sim.catalogue import find_robot
from sim.scenario import Scenario
from sim.trial import draw_trial
from sim.workers.in_process import InProcess
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings

OVERHEAD = 0.25  # of the CPU time of the same rollouts in one process
SCALING = 1.6
_TASK_S = 2.0
_ROBOT = "iiwa"


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    robot = find_robot(_ROBOT)
    laws = _laws(robot)
    scenarios, rounds = (8, 3) if quick else (25, 7)  # of two laws each
    shares, scales, jobs_ms = [], [], []
    with _pool(robot, 1) as alone, _pool(robot, 2) as pair:
        plain = InProcess(robot)
        for k in range(rounds + 1):
            trials = _trials(robot, k, scenarios)
            pairs = [(law, trial) for trial in trials for law in laws]
            began_s = time.process_time()
            expected = plain.judge(pairs)
            plain_s = time.process_time() - began_s
            _, busiest_one_s = _cost(alone, pairs)
            two_s, busiest_two_s = _cost(pair, pairs)
            single_s, _ = _cost(alone, pairs[-1:])  # its world was the last to be loaded
            began_s = time.process_time()
            again = plain.judge(pairs[-1:])
            warm_s = time.process_time() - began_s
            if again[0] != expected[-1]:
                raise AssertionError("a rollout in a world that was used before gives other bits")
            if k > 0:  # the first round warms caches of the processor and of this process
                shares.append(two_s / plain_s - 1.0)
                scales.append(busiest_one_s / busiest_two_s)
                jobs_ms.append(1e3 * (single_s - warm_s))
    n = rounds * 2 * scenarios
    yield _figure("confinement, share of the same rollouts in one process", shares, n, OVERHEAD, "<=")
    yield _figure("two workers over one, by CPU time", scales, rounds, SCALING, ">=")
    value, interval = median_interval(jobs_ms)
    yield Figure(
        bench="workers",
        figure=f"{_ROBOT}: one job of one rollout, more than the rollout",
        value=value,
        unit="ms",
        interval=interval,
        n=rounds,
    )


def _figure(what: str, samples: list[float], n: int, target: float, sense: str) -> Figure:
    value, interval = median_interval(samples)
    return Figure(
        bench="workers",
        figure=f"{_ROBOT}: {what}",
        value=value,
        unit="1",
        interval=interval,
        n=n,
        target=target,
        sense=sense,
    )


def _pool(robot: Robot, count: int) -> Pool:
    pool = Pool(robot, WorkerSettings(count=count))
    pool.layers()  # warm, and past its self-test
    return pool


def _cost(pool: Pool, pairs: list[tuple[Artefact, Scenario]]) -> tuple[float, float]:
    """CPU seconds of `pairs`: of all processes, and of what cannot be done at the same time."""
    before, began_s = pool.usage, time.process_time()
    pool.judge(pairs)
    service_s = time.process_time() - began_s
    zygote_s = pool.usage.zygote_s - before.zygote_s
    workers_s = np.subtract(pool.usage.workers_s, before.workers_s)
    return service_s + zygote_s + float(workers_s.sum()), service_s + zygote_s + float(workers_s.max())


def _laws(robot: Robot) -> tuple[Artefact, Artefact]:
    """The nominal law and one with other gains."""
    law = find_law(robot, robot.controller)
    gains = Controller.from_artefact(law, robot.ports).params["kp"]
    assert isinstance(gains, list)
    return law, with_params(law, {"kp": [0.9 * gain for gain in gains]})


def _trials(robot: Robot, number: int, count: int) -> list[Scenario]:
    """Scenarios on robots that no round before has met."""
    first = number * count
    return [draw_trial(robot, seed=k, robot_seed=k, duration_s=_TASK_S) for k in range(first, first + count)]
