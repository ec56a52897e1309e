"""The work of replaying rollouts by their commands, in a process that never meets their controller.

answer = size of the first part; judgements and commands as in `sim.workers.answer`; the frames of all ticks
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from core.frames import Frame, pack_frame, unpack_frame
from core.metrics import Array
from core.rigid_body import hold
from core.robot import Robot
from sim.replay import Replayed, replay
from sim.scenario import Scenario
from sim.tasks.catalogue import require_task
from sim.workers.answer import Malformed, Rolled, most_bytes, read_answer, write_answer
from sim.worlds import borrow

_SIZE = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayJob:
    """Scenarios, and the (N, m) commands that somebody says were given in each."""

    robot: Robot
    scenarios: tuple[Scenario, ...]
    commands: tuple[Array, ...]

    def to_bytes(self) -> bytes:
        """For a zygote, which trusts the service."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    def most_bytes(self) -> int:
        """Size of the longest answer."""
        ticks = [len(command) for command in self.commands]
        return _SIZE.size + most_bytes(self.robot, ticks) + sum(ticks) * _frame_size(self.robot)


def run_replays(job: ReplayJob) -> tuple[Replayed, ...]:
    """Do a job in this process."""
    pairs = zip(job.scenarios, job.commands, strict=True)
    return tuple(replay(job.robot, scenario, command) for scenario, command in pairs)


def read_replays(data: bytes, job: ReplayJob) -> tuple[Replayed, ...]:
    """What a worker answered.

    Raises:
        Malformed: it is no answer to this job.
    """
    if len(data) < _SIZE.size:
        raise Malformed("it has no beginning")
    (size,) = _SIZE.unpack_from(data)
    ticks = [len(command) for command in job.commands]
    judged = read_answer(data[_SIZE.size : _SIZE.size + size], job.robot, _at_most(job, ticks))
    frames, width = data[_SIZE.size + size :], _frame_size(job.robot)
    if len(frames) != width * sum(ticks):
        raise Malformed(f"{len(frames)} bytes of frames for {sum(ticks)} ticks")
    parts = [frames[k : k + width] for k in range(0, len(frames), width)]
    found, at = [], 0
    for each, count in zip(judged, ticks, strict=True):
        taken = tuple(unpack_frame(part, job.robot.dof, len(job.robot.actuators)) for part in parts[at : at + count])
        found.append(Replayed(judgement=each.judgement, frames=taken))
        at += count
    return tuple(found)


def _at_most(job: ReplayJob, ticks: Sequence[int]) -> list[int]:
    """Ticks of each scenario as a reader of answers wants them: a rollout that ended early has diverged."""
    full = [round(scenario.duration_s * job.robot.control_rate_hz) for scenario in job.scenarios]
    return [max(each, whole) for each, whole in zip(ticks, full, strict=True)]


def _frame_size(robot: Robot) -> int:
    still = [0.0] * len(robot.actuators)
    return len(pack_frame(Frame(0, 0, [0.0] * robot.dof, [0.0] * robot.dof, still, still)))


class _Replays:
    """The work of a worker (`sim.workers.zygote.Work`)."""

    def warm_up(self, data: bytes) -> None:
        """The rollouts have warmed up everything."""

    def prepare(self, request: bytes) -> ReplayJob:
        """Load the worlds of a job."""
        job: ReplayJob = pickle.loads(request)  # noqa: S301 from the service
        hold(job.robot)
        for scenario in job.scenarios:
            require_task(job.robot, scenario.task_kind)
            borrow(job.robot, scenario.physics)
        return job

    def perform(self, prepared: ReplayJob) -> bytes:
        found = run_replays(prepared)
        pairs = zip(found, prepared.commands, strict=True)
        judged = write_answer([Rolled(judgement=each.judgement, command=command) for each, command in pairs])
        frames = b"".join(pack_frame(frame) for each in found for frame in each.frames)
        return _SIZE.pack(len(judged)) + judged + frames


REPLAYS = _Replays()
NAME = f"{__name__}:REPLAYS"
