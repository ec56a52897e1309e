"""The work of asking a controller again: what it commands for recorded frames, without scenario, plant or score.

answer = for each rollout: ticks, actuators, ticks clipped, ticks of the safety law, commands
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from controllers.library import find_law
from core.frames import Frame, Reference
from core.rigid_body import RigidBodyModel, hold
from core.robot import FIXED_BASE, Robot
from sim.rerun import Rerun, rerun
from sim.workers.answer import Malformed

_HEAD = struct.Struct("<IIII")
Seen = tuple[tuple[Frame, ...], tuple[Reference, ...]]  # of the ticks of one rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunJob:
    """A controller, and what it is to be shown: rollout by rollout."""

    robot: Robot
    artefact: Artefact
    seen: tuple[Seen, ...]

    def to_bytes(self) -> bytes:
        """For a zygote, which trusts the service."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    def most_bytes(self) -> int:
        """Size of the answer."""
        m = len(self.robot.actuators)
        return sum(_HEAD.size + 8 * m * len(frames) for frames, _ in self.seen)


def run_reruns(job: RerunJob, safety: Artefact | None = None) -> tuple[Rerun, ...]:
    """Do a job in this process; `safety` is the robot's safety law, if it has been read already."""
    return tuple(rerun(job.robot, job.artefact, frames, references, safety) for frames, references in job.seen)


def read_reruns(data: bytes, job: RerunJob) -> tuple[Rerun, ...]:
    """What a worker answered.

    Raises:
        Malformed: it is no answer to this job.
    """
    found, at, m = [], 0, len(job.robot.actuators)
    if len(data) != job.most_bytes():
        raise Malformed(f"{len(data)} bytes, of {job.most_bytes()}")
    for frames, _ in job.seen:
        ticks, actuators, clipped, safety = _HEAD.unpack_from(data, at)
        if (ticks, actuators) != (len(frames), m) or max(clipped, safety) > ticks:
            raise Malformed(f"{ticks} ticks of {actuators} actuators, of {len(frames)} ticks of {m}")
        at += _HEAD.size
        command = np.frombuffer(data, dtype="<f8", count=ticks * m, offset=at).astype(float).reshape(ticks, m)
        at += 8 * ticks * m
        found.append(Rerun(command=command, clipped=clipped, safety=safety))
    return tuple(found)


class _Reruns:
    """The work of a worker (`sim.workers.zygote.Work`)."""

    def warm_up(self, data: bytes) -> None:
        """The rollouts have warmed up everything."""

    def prepare(self, request: bytes) -> tuple[RerunJob, Artefact]:
        """Read what a law may ask for."""
        job: RerunJob = pickle.loads(request)  # noqa: S301 from the service
        hold(job.robot)
        if job.robot.kind == FIXED_BASE:
            RigidBodyModel(job.robot)
        return job, find_law(job.robot, job.robot.safety_controller)

    def perform(self, prepared: tuple[RerunJob, Artefact]) -> bytes:
        parts = []
        for each in run_reruns(*prepared):
            parts.append(_HEAD.pack(*each.command.shape, each.clipped, each.safety))
            parts.append(np.ascontiguousarray(each.command, dtype="<f8").tobytes())
        return b"".join(parts)


RERUNS = _Reruns()
NAME = f"{__name__}:RERUNS"
