"""Work in simulation is counted as it goes on, and ends when nobody wants it: in this process, and in workers."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from controllers.library import find_law
from core.errors import Cancelled
from sim.catalogue import find_robot
from sim.scenario import Scenario
from sim.trial import draw_trial
from sim.workers.base import Workers
from sim.workers.in_process import InProcess
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings

ROBOT = find_robot("arm2")
LAW = find_law(ROBOT, ROBOT.controller)


def trials(count: int, duration_s: float = 0.2) -> list[Scenario]:
    return [draw_trial(ROBOT, seed=k, robot_seed=k, duration_s=duration_s) for k in range(count)]


@pytest.mark.parametrize("make", [InProcess, lambda robot: Pool(robot, WorkerSettings(count=1))])
def test_rollouts_are_counted_as_they_are_done(make: Callable[..., Workers]) -> None:
    told: list[int] = []
    with make(ROBOT) as workers:
        with workers.progress.followed(told.append):
            workers.judge([(LAW, trial) for trial in trials(6)])
            assert told[-1] == 6
            assert told == sorted(told)
            assert len(told) > 1, "nobody was told before the end"
        workers.judge([(LAW, trials(1)[0])])
        assert told[-1] == 6, "told of what is not followed any more"


def test_workers_that_run_are_ended_and_others_start_for_what_is_wanted_next() -> None:
    with Pool(ROBOT, WorkerSettings(count=1)) as pool:
        pool.judge([(LAW, trials(1)[0])])  # warm
        began = threading.Event()

        def cancel() -> None:
            began.wait()
            pool.progress.cancel("cancelled by otto")

        thread = threading.Thread(target=cancel)
        thread.start()
        with pool.progress.followed(lambda done: began.set()), pytest.raises(Cancelled, match="by otto"):
            pool.judge([(LAW, trial) for trial in trials(24, duration_s=5.0)])
        thread.join()
        with pytest.raises(Cancelled):
            pool.judge([(LAW, trials(1)[0])])
        pool.progress.renew()
        assert len(pool.judge([(LAW, trials(1)[0])])) == 1
