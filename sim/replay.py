"""A rollout without its controller: recorded commands drive the plant again, and what happened is had anew.

The same build and machine give the same bits.

    plant, scenario, commands  ->  trace
"""

from __future__ import annotations

from collections.abc import Sequence

from controllers.runtime import Command
from core.frames import Frame, Reference
from core.metrics import Array
from core.robot import Robot
from sim.rollout import Trace, drive
from sim.scenario import Scenario


def retrace(robot: Robot, scenario: Scenario, command: Array) -> Trace:
    """What happened under (N, m) recorded commands; shares of the control loop are 0.

    Raises:
        ValueError: there are commands for more or fewer ticks than the rollout has.
    """
    record = _Record(command.tolist())
    trace = drive(robot, record, scenario)
    if len(trace.command) != len(record):
        raise ValueError(f"{len(record)} commands for a rollout of {len(trace.command)} ticks")
    return trace


class _Record:
    """Gives recorded commands, and the last one for as long as it is asked."""

    def __init__(self, commands: Sequence[list[float]]) -> None:
        self._commands = commands
        self._ticks = 0

    def __len__(self) -> int:
        return len(self._commands)

    def tick(self, frame: Frame, reference: Reference, now_ns: int) -> Command:
        self._ticks += 1
        known = min(self._ticks, len(self._commands))
        return Command(tau=self._commands[known - 1], source="a", clipped=False)
