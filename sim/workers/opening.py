"""Which workers there are: those of a cluster, of this machine, or, where nothing can be confined, this process."""

from __future__ import annotations

import sys

from core.robot import Robot
from sim.workers.base import Workers
from sim.workers.cluster import Cluster
from sim.workers.in_process import InProcess
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings


def open_workers(robot: Robot, settings: WorkerSettings | None = None) -> Workers:
    """Confined processes on Linux, here or on a cluster; elsewhere this process, for known laws only.

    Raises:
        BadInput: a cluster is asked for, and Ray is not installed.
    """
    if settings is not None and settings.address:
        return Cluster(robot, settings)
    return Pool(robot, settings) if sys.platform == "linux" else InProcess(robot)
