"""One processor of a cluster: a confined worker there, with a zygote of its own, and the robot's files."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import replace
from pathlib import Path

from sim.workers.base import Answer
from sim.workers.job import Job
from sim.workers.layers import Layers
from sim.workers.outcome import Lost, Reason
from sim.workers.parcel import Parcel
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings


class Station:
    """Runs one job after the other on the machine that it is made on.

    Args:
        parcel: the robot that all jobs are about.
        settings: how much of that machine a job may take.
    """

    def __init__(self, parcel: Parcel, settings: WorkerSettings) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="remend-robot-")
        self._robot = parcel.unpack(Path(self._folder.name))
        self._pool = Pool(self._robot, replace(settings, count=1))

    def layers(self) -> Layers:
        """What stands between a controller and that machine."""
        return self._pool.layers()

    def run(self, data: bytes, sha256: str) -> Answer:
        """Do a job that the service has pickled; it is the same one here, by the hash of its content."""
        job: Job = replace(pickle.loads(data), robot=self._robot)  # noqa: S301 from the service
        if job.sha256 != sha256:
            return Lost(reason=Reason.MACHINE, what="the robot's files are not the same there")
        (answer,) = self._pool.run([job])
        return answer
