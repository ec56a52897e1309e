"""A pool of confined workers on this machine: each job in a process of its own, forked from a warm zygote."""

from __future__ import annotations

import math
import os
import pickle
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from core.clock import Clock, SystemClock
from core.metrics import Array
from core.robot import Robot
from sim.workers import job as jobs_
from sim.workers import lockstep, reruns, self_test
from sim.workers.answer import Malformed, most_bytes, read_answer
from sim.workers.base import Answer, Workers
from sim.workers.dispatch import Dispatch, Request, Usage
from sim.workers.job import Job
from sim.workers.keeper import Keeper
from sim.workers.layers import Layers
from sim.workers.outcome import Lost, Reason
from sim.workers.progress import Progress
from sim.workers.reruns import RerunJob
from sim.workers.settings import WorkerSettings
from sim.workers.zygote import MOST_TEXT

_ROLLOUTS, _PROBE, _PLANTS, _LAWS, _RERUNS = range(5)  # works of the zygote
T = TypeVar("T")


class Pool(Workers):
    """Runs jobs in confined processes.

    Args:
        robot: the robot that all jobs are about.
        settings: how many, and how much of the machine each may take.
    """

    def __init__(self, robot: Robot, settings: WorkerSettings | None = None, clock: Clock | None = None) -> None:
        self.robot, self.rollouts, self.progress = robot, 0, Progress()
        self._settings, self._clock = settings or WorkerSettings(), clock or SystemClock()
        self._count = self._settings.count or len(os.sched_getaffinity(0))
        self.usage = Usage(zygote_s=0.0, workers_s=(0.0,) * self._count)  # so far
        self._keeper = Keeper(
            (
                (jobs_.NAME, pickle.dumps(robot)),
                (self_test.NAME, b""),
                (lockstep.PLANTS_NAME, b""),
                (lockstep.LAWS_NAME, b""),
                (reruns.NAME, b""),
            ),
            memory=self._settings.memory_mb << 20,
            cpu_s=math.ceil(self._settings.timeout_s),
            readable=(robot.folder, robot.urdf.parent),
            with_bubblewrap=self._settings.bubblewrap,
        )
        self._one_call = threading.RLock()
        self._layers: Layers | None = None

    @property
    def count(self) -> int:
        return self._count

    def warm_up(self) -> None:
        self._keeper.start()

    def layers(self) -> Layers:
        """What stands between a controller and this machine; at the first call, tested by attacks.

        Raises:
            RobotFault: no worker starts.
        """
        with self._one_call:
            if self._layers is None:
                promised = self._keeper.layers()
                attempts = self_test.self_test(self._keeper, _PROBE, self._clock)
                self._layers = self_test.tested(promised, attempts)
            return self._layers

    def close(self) -> None:
        self._keeper.close()

    def _run(self, jobs: Sequence[Job]) -> list[Answer]:
        ticks = [jobs_.ticks_of(self.robot, job.scenarios) for job in jobs]
        requests = [self._request(job, each) for job, each in zip(jobs, ticks, strict=True)]
        readers = [
            partial(lockstep.read_driven if job.lockstep else read_answer, robot=self.robot, ticks=each)
            for job, each in zip(jobs, ticks, strict=True)
        ]
        return self._ask(requests, readers, [len(job.scenarios) for job in jobs])

    def _request(self, job: Job, ticks: Sequence[int]) -> Request:
        if not job.lockstep:
            return Request(work=_ROLLOUTS, data=job.to_bytes(), most_answer=most_bytes(self.robot, ticks))
        law = lockstep.LawJob(robot=job.robot, artefact=job.artefact, lanes=len(job.scenarios))
        return Request(
            work=_PLANTS,
            data=job.to_bytes(),
            most_answer=lockstep.most_driven(self.robot, ticks),
            beside=Request(work=_LAWS, data=law.to_bytes(), most_answer=MOST_TEXT, blind=True),
        )

    def rerun(self, jobs: Sequence[RerunJob]) -> list[tuple[Array, ...] | Lost]:
        requests = [
            Request(work=_RERUNS, data=job.to_bytes(), most_answer=job.most_bytes(), blind=True) for job in jobs
        ]
        return self._ask(requests, [partial(reruns.read_reruns, job=job) for job in jobs], [0] * len(jobs))

    def _ask(
        self, requests: Sequence[Request], readers: Sequence[Callable[[bytes], T]], rollouts: Sequence[int]
    ) -> list[T | Lost]:
        """The answer to each request, in their order, as its reader finds it; each is worth so many rollouts."""
        with self._one_call:
            dispatch = Dispatch(
                self._keeper,
                requests,
                count=self._count,
                timeout_s=self._settings.timeout_s,
                clock=self._clock,
                wanted=self.progress.check,
                done=lambda request: self.progress.add(rollouts[request]),
            )
            found, usage = dispatch.run()
            self.usage += usage
        return [_believe(answer, reader) for answer, reader in zip(found, readers, strict=True)]


def _believe(answer: bytes | Lost, reader: Callable[[bytes], T]) -> T | Lost:
    if isinstance(answer, Lost):
        return answer
    try:
        return reader(answer)
    except Malformed as error:
        return Lost(reason=Reason.ANSWER, what=str(error))
