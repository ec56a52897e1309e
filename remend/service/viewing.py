"""The telemetry of a robot on its way to a screen: thinned out, in pulses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from controllers.canary import CHATTER_TICKS
from core.block import Array, Block
from core.records import Event
from core.robot import Robot
from remend.service.pulse import Layout, Pulse, Ratio, Said, Sample

RATE_HZ = 20.0  # rows a second; a screen shows no more


class Viewing:
    """Says in pulses what a link hears and what a pipeline finds.

    Args:
        heard: the link calls `hear` with all that arrives; else what the pipeline reads is said, late while it is busy.
    """

    def __init__(self, robot: Robot, say: Callable[[Pulse], None], *, heard: bool) -> None:
        self._say, self._heard = say, heard
        self._every = max(1, round(robot.control_rate_hz / RATE_HZ))
        self._rows = 0
        self._scored_s = -np.inf
        self._errors: list[Array] = []  # rows that no sample speaks of yet
        self._commands = np.empty((0, len(robot.actuators)))
        say(
            Layout(
                title=robot.title,
                joints=robot.joints,
                units=robot.units,
                actuators=robot.actuators,
                command_unit=robot.command_unit,
            )
        )

    def show(self, block: Block) -> None:
        """What the pipeline reads, unless it was heard before."""
        if not self._heard:
            self.hear(block)

    def hear(self, block: Block) -> None:
        """Some of the rows of a block: `RATE_HZ` of them per second."""
        start = -self._rows % self._every
        self._rows += len(block)
        shown = block[slice(start, None, self._every)]
        self._errors.append(block.group("q_ref") - block.group("q"))
        self._commands = np.concatenate([self._commands, block.group("tau_cmd")])
        if len(shown):
            every = np.concatenate(self._errors)
            error = shown.group("q_ref") - shown.group("q")
            self._say(
                Sample(
                    t_s=tuple(shown.t_s.tolist()),
                    error=tuple(map(tuple, error.tolist())),
                    command=tuple(map(tuple, shown.group("tau_cmd").tolist())),
                    low=tuple(np.min(every, axis=0).tolist()),
                    high=tuple(np.max(every, axis=0).tolist()),
                    variation=_variation(self._commands),
                )
            )
            self._errors, self._commands = [], self._commands[-CHATTER_TICKS:]

    def score(self, t_s: Array, ratio: Array) -> None:
        """The largest of (N,) test ratios at (N,) times [s, robot clock], as far as they are new."""
        new = ratio[int(np.searchsorted(t_s, self._scored_s, side="right")) :]
        if new.size:
            if float(t_s[-1]) < self._scored_s:  # the robot's clock began anew
                self._scored_s = -np.inf
            self._scored_s = float(t_s[-1])
            self._say(Ratio(t_s=self._scored_s, ratio=float(np.max(new))))

    def event(self, event: Event) -> None:
        """An alarm."""
        self._say(Said(text=f"{event.channel} alarms at {event.alarm_s:.2f} s ({event.kind})"))


def _variation(commands: Array) -> float:
    """The largest mean change per tick over (N, m) commands, summed over actuators, as a trial is judged by it."""
    changes = np.abs(np.diff(commands, axis=0)).sum(axis=1)
    if len(changes) < CHATTER_TICKS:
        return float(changes.sum() / CHATTER_TICKS)
    return float(np.max(np.convolve(changes, np.full(CHATTER_TICKS, 1.0 / CHATTER_TICKS), mode="valid")))
