"""The work of asking a law again: what it says to what it was shown, without scenario, plant or score.

answer = for each rollout the (N, m) commands
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from core.metrics import Array
from core.robot import Robot
from sim.rerun import rerun
from sim.workers.answer import Malformed
from sim.workers.job import hold_all


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunJob:
    """A law, and what it is to be shown: rollout by rollout."""

    robot: Robot
    artefact: Artefact
    shown: tuple[Array, ...]  # of each rollout as in `sim.lockstep.Exchange`

    def to_bytes(self) -> bytes:
        """For a zygote, which trusts the service."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    def most_bytes(self) -> int:
        """Size of the answer."""
        return 8 * len(self.robot.actuators) * sum(map(len, self.shown))


def run_reruns(job: RerunJob) -> tuple[Array, ...]:
    """Do a job in this process: the (N, m) commands for each rollout."""
    return tuple(rerun(job.robot, job.artefact, shown) for shown in job.shown)


def read_reruns(data: bytes, job: RerunJob) -> tuple[Array, ...]:
    """What a worker answered.

    Raises:
        Malformed: it is no answer to this job.
    """
    if len(data) != job.most_bytes():
        raise Malformed(f"{len(data)} bytes, of {job.most_bytes()}")
    said = np.frombuffer(data, dtype="<f8").astype(float).reshape(-1, len(job.robot.actuators))
    return tuple(np.split(said, np.cumsum([len(shown) for shown in job.shown])[:-1]))


class _Reruns:
    """The work of a worker (`sim.workers.zygote.Work`)."""

    def warm_up(self, data: bytes) -> None:
        """The rollouts have warmed up everything."""

    def prepare(self, request: bytes) -> RerunJob:
        """Read what a law may ask for."""
        job: RerunJob = pickle.loads(request)  # noqa: S301 from the service
        hold_all(job.robot)
        return job

    def perform(self, prepared: RerunJob) -> bytes:
        return b"".join(np.ascontiguousarray(said, dtype="<f8").tobytes() for said in run_reruns(prepared))


RERUNS = _Reruns()
NAME = f"{__name__}:RERUNS"
