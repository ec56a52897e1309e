"""Workers that are no processes at all: for tests, and for laws that somebody has looked at. Nothing is confined."""

from __future__ import annotations

from collections.abc import Sequence

from controllers.artefact import Artefact
from core.metrics import Array
from core.robot import Robot
from sim.workers.base import Answer, Workers
from sim.workers.job import Job, run_job
from sim.workers.layers import Layers, no_layers
from sim.workers.lockstep import run_lockstep
from sim.workers.outcome import Lost
from sim.workers.progress import Progress
from sim.workers.reruns import RerunJob, run_reruns


class InProcess(Workers):
    """Runs jobs one after the other in this process.

    Args:
        robot: the robot that all jobs are about.
        trusting: run every law, although nothing confines it.
    """

    count = 1

    def __init__(self, robot: Robot, *, trusting: bool = False) -> None:
        self.robot, self.rollouts, self.progress = robot, 0, Progress()
        self._trusting = trusting

    def warm_up(self) -> None:
        """There is nothing to start."""

    def layers(self) -> Layers:
        return no_layers("simulations run inside the service")

    def close(self) -> None:
        """There is nothing to end."""

    def _run(self, jobs: Sequence[Job]) -> list[Answer]:
        return [self._one(job) for job in jobs]

    def _one(self, job: Job) -> Answer:
        self.progress.check()
        answer = run_lockstep(job) if job.lockstep else run_job(job)
        self.progress.add(len(job.scenarios))
        return answer

    def rerun(self, jobs: Sequence[RerunJob]) -> list[tuple[Array, ...] | Lost]:
        return [run_reruns(job) for job in jobs]

    def _require_walls(self, artefact: Artefact) -> None:
        if not self._trusting:
            super()._require_walls(artefact)
