"""Workers on a Ray cluster: the same confined jobs on other machines, and the same bits.

Every processor of the cluster has a station (`sim.workers.station`), which is taken on once a rollout comes out there
as it does here. A node that is lost costs the jobs that run on it. Jobs in lockstep have both of their processes on one
node. That a law's commands are its own is asked on this machine.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import BadInput, Cancelled, RobotFault
from core.metrics import Array
from core.robot import Robot
from sim.workers.answer import write_answer
from sim.workers.base import Answer, Workers
from sim.workers.job import Job, sample_job
from sim.workers.layers import Layers, combined
from sim.workers.outcome import Lost, Reason
from sim.workers.parcel import pack
from sim.workers.pool import Pool
from sim.workers.progress import LOOK_S, Progress
from sim.workers.reruns import RerunJob
from sim.workers.settings import WorkerSettings
from sim.workers.station import Station

_NAMESPACE = "remend"
_ANSWERS_S = 5.0  # a cluster that is there
_PATIENCE_S = 120.0  # for a station to start, or for an answer that is late already
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Hired:
    """A station that gives the same bits as this machine."""

    actor: Any
    layers: Layers


class Cluster(Workers):
    """Runs jobs on the processors of a Ray cluster.

    Args:
        robot: the robot that all jobs are about.
        settings: `address` of the cluster, and what each job may take.
    """

    def __init__(self, robot: Robot, settings: WorkerSettings) -> None:
        self.robot, self.rollouts, self.progress = robot, 0, Progress()
        self._settings = settings
        self._here = Pool(robot, replace(settings, address=""))
        self._ray = _import_ray()
        self._connected = False
        self._stations: list[_Hired] = []
        self._one_call = threading.RLock()

    @property
    def count(self) -> int:
        with self._one_call:
            self._hire()
            return len(self._stations)

    def warm_up(self) -> None:
        self._here.warm_up()

    def layers(self) -> Layers:
        """What stands between a controller and any of the machines."""
        with self._one_call:
            self._hire()
            return combined([self._here.layers(), *(station.layers for station in self._stations)])

    def close(self) -> None:
        for station in self._stations:
            self._dismiss(station)
        self._stations = []
        if self._connected:
            self._ray.shutdown()
            self._connected = False
        self._here.close()

    def rerun(self, jobs: Sequence[RerunJob]) -> list[tuple[Array, ...] | Lost]:
        return self._here.rerun(jobs)

    def _run(self, jobs: Sequence[Job]) -> list[Answer]:
        with self._one_call:
            self._hire()
            waiting, idle = deque(range(len(jobs))), deque(self._stations)
            busy: dict[Any, tuple[int, _Hired]] = {}
            found: dict[int, Answer] = {}
            while waiting or busy:
                while waiting and idle:
                    job, station = waiting.popleft(), idle.popleft()
                    busy[station.actor.run.remote(jobs[job].to_bytes(), jobs[job].sha256)] = job, station
                if not busy:
                    raise RobotFault(f"{self._name}: no node is left; start one with 'ray start'")
                for answer in self._wanted(busy):
                    job, station = busy.pop(answer)
                    try:
                        found[job] = self._ray.get(answer, timeout=0)
                        self.progress.add(len(jobs[job].scenarios))
                        idle.append(station)
                    except _lost(self._ray) as error:
                        found[job] = Lost(reason=Reason.MACHINE, what=f"its node was lost ({type(error).__name__})")
                        self._stations.remove(station)
                        self._dismiss(station)
            return [found[job] for job in range(len(jobs))]

    def _next(self, busy: dict[Any, tuple[int, _Hired]]) -> list[Any]:
        """Answers that are there; all that are out, if none comes for longer than a job may take."""
        ready: list[Any] = []
        late = list(busy)
        for _ in range(round((self._settings.timeout_s + _PATIENCE_S) / LOOK_S)):
            self.progress.check()
            ready, late = self._ray.wait(list(busy), timeout=LOOK_S)
            if ready:
                break
        return list(ready or late)

    def _wanted(self, busy: dict[Any, tuple[int, _Hired]]) -> list[Any]:
        """As `_next`; if nobody waits for the answers any more, the stations that are at them are let go."""
        try:
            return self._next(busy)
        except Cancelled:
            for _, station in busy.values():
                self._stations.remove(station)
                self._dismiss(station)
            raise

    def _hire(self) -> None:
        """A station on every processor that is free."""
        self._connect()
        free = int(self._ray.available_resources().get("CPU", 0))
        if free:
            parcel = self._ray.put(pack(self.robot))
            remote = self._ray.remote(num_cpus=1, max_restarts=0)(Station)
            job = sample_job(self.robot)
            (here,) = self._here.run([job])
            actors = [remote.remote(parcel, self._settings) for _ in range(free)]
            asked = [(actor.layers.remote(), actor.run.remote(job.to_bytes(), job.sha256)) for actor in actors]
            for actor, answers in zip(actors, asked, strict=True):
                self._examine(actor, answers, here)
        if not self._stations:
            raise RobotFault(f"{self._name}: no processor of it can be used; start a node with 'ray start'")

    def _examine(self, actor: Any, answers: tuple[Any, Any], here: Answer) -> None:
        """Take a station on if it gives the bits of this machine."""
        try:
            layers, there = self._ray.get(list(answers), timeout=_PATIENCE_S)
        except _lost(self._ray) as error:
            _log.warning("%s: a station did not start (%s)", self._name, type(error).__name__)
            self._ray.kill(actor)
            return
        if isinstance(here, Lost) or isinstance(there, Lost) or write_answer(there) != write_answer(here):
            _log.warning(
                "%s: a node was left out, for a rollout gives other bits there; install the same Remend, Python and "
                "libraries on the same kind of processor",
                self._name,
            )
            self._ray.kill(actor)
            return
        self._stations.append(_Hired(actor, layers))

    def _dismiss(self, station: _Hired) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(station.actor)

    @property
    def _name(self) -> str:
        return f"workers.address {self._settings.address}"

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        try:
            host, _, port = self._settings.address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=_ANSWERS_S).close()  # Ray itself waits for minutes
            self._ray.init(
                address=self._settings.address, namespace=_NAMESPACE, log_to_driver=False, logging_level=logging.ERROR
            )
        except (OSError, ValueError, RuntimeError) as error:  # a ConnectionError is one of them
            raise RobotFault(
                f"{self._name}: no Ray cluster answers; start one with 'ray start --head', or leave the setting out"
            ) from error
        self._connected = True


def _import_ray() -> Any:
    try:
        import ray  # noqa: PLC0415 an extra
        import ray.exceptions  # noqa: PLC0415
    except ImportError as error:
        raise BadInput("workers.address needs Ray; pip install 'remend[cluster]', or leave the setting out") from error
    return ray


def _lost(ray: Any) -> tuple[type[Exception], ...]:
    """What asking a station raises when it is lost, late or never was."""
    return ray.exceptions.RayError, TimeoutError
