"""A rollout without its controller: recorded commands drive the plant again, and the judgement is computed anew.

What a worker says of a candidate's score is a claim. The commands that it returns are enough to recompute the score in
a process that has never met the candidate: the same build and machine give the same bits. What the sensors say on the
way is kept, so that the law can be asked whether these are its commands (`sim.rerun`).

    plant, scenario, commands  ->  judgement, frames
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controllers.runtime import Command
from core.frames import Frame, Reference
from core.metrics import Array
from core.robot import Robot
from sim.judge import Judgement, judge_trace
from sim.rollout import Trace, drive
from sim.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One rollout by its commands.

    The judgement leaves out what only the control loop knows: shares of clipped ticks and of ticks of the safety law
    are 0, and so `limit_broken` speaks of joints only.
    """

    judgement: Judgement
    frames: tuple[Frame, ...]


def replay(robot: Robot, scenario: Scenario, command: Array) -> Replayed:
    """Drive the robot of a scenario by (N, m) recorded commands.

    Raises:
        ValueError: there are commands for more or fewer ticks than the rollout has.
    """
    record = _Record(command.tolist())
    return Replayed(judgement=judge_trace(robot, _drive(robot, scenario, record)), frames=tuple(record.frames))


def retrace(robot: Robot, scenario: Scenario, command: Array) -> Trace:
    """What happened under (N, m) recorded commands; shares of the control loop are 0.

    Raises:
        ValueError: there are commands for more or fewer ticks than the rollout has.
    """
    return _drive(robot, scenario, _Record(command.tolist()))


def _drive(robot: Robot, scenario: Scenario, record: _Record) -> Trace:
    trace = drive(robot, record, scenario)
    if len(trace.command) != len(record):
        raise ValueError(f"{len(record)} commands for a rollout of {len(trace.command)} ticks")
    return trace


class _Record:
    """Gives recorded commands, and the last one for as long as it is asked."""

    def __init__(self, commands: Sequence[list[float]]) -> None:
        self._commands = commands
        self.frames: list[Frame] = []

    def __len__(self) -> int:
        return len(self._commands)

    def tick(self, frame: Frame, reference: Reference, now_ns: int) -> Command:
        self.frames.append(frame)
        known = min(len(self.frames), len(self._commands))
        return Command(tau=self._commands[known - 1], source="a", clipped=False)
