"""A pool of simulation processes. PyBullet holds the GIL while it steps, so threads would give nothing."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from controllers.artefact import Artefact
from core.errors import RobotFault
from core.robot import Robot
from sim.judge import Judgement, judge
from sim.scenario import Scenario

Job = tuple[Artefact, Scenario]


class Workers:
    """Judges controllers in scenarios, in parallel, in the order asked. Use as a context manager.

    Args:
        robot: the robot that all jobs are about.
        processes: how many; by default one per core.
    """

    def __init__(self, robot: Robot, processes: int | None = None) -> None:
        self.robot = robot
        self.rollouts = 0  # judged so far; the only door to simulation keeps the count
        count = processes or max(1, os.cpu_count() or 1)
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def warm_up(self) -> None:
        """Start the processes before they are needed."""
        for _ in range(4):
            self._pool.submit(_idle)

    def judge(self, jobs: Sequence[Job]) -> list[Judgement]:
        """Judge every (controller, scenario) pair."""
        self.rollouts += len(jobs)
        try:
            return list(self._pool.map(_judge, [(self.robot, *job) for job in jobs], chunksize=1))
        except BrokenProcessPool:
            raise RobotFault("a simulation process was killed; evidence is incomplete, start again") from None


def _judge(job: tuple[Robot, Artefact, Scenario]) -> Judgement:
    return judge(*job)


def _end_with_parent() -> None:
    """End this process with the one that started it.

    A pool process holds both ends of its queue, so nothing else would tell it that its parent was killed.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _idle() -> None:
    """Import everything once."""
