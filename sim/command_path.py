"""From the controller to the drive: the rated range, the bus, and what the bus can do to a command.

A command passes the stages raw (as sent), limited (inside the rated range) and delayed (what the drive acts on now).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from core.robot import Robot
from sim.effect import Effect

_MEMORY_S = 0.15  # longest delay that can be simulated


class CommandPath:
    """Commands on their way to the m drives of one robot.

    Args:
        robot: rated range, healthy delay and control rate.
        substeps: physics steps per control tick; delays lie on their grid.
    """

    def __init__(self, robot: Robot, substeps: int) -> None:
        self._range = tuple(zip(robot.limits.effort_low, robot.limits.effort_high, strict=True))
        self._substeps, self._step_s = substeps, robot.dt_s / substeps
        self._own_delay_s = robot.drive.command_delay_s
        self._depth = 2 + int(_MEMORY_S / robot.dt_s)
        self._seed = 0
        self._random: np.random.Generator | None = None
        self._late = self._on_time()

    def reseed(self, seed: int) -> None:
        """The randomness of jitter and lost commands from now on."""
        self._seed = seed

    def restart(self, command: Sequence[float]) -> None:
        """As if `command` (m) had been in force for ever."""
        self.raw = command
        self._sent: deque[list[float]] = deque([self._limit(command)] * self._depth, maxlen=self._depth)
        if self._random is not None:  # else nothing has been late
            self._random, self._late = None, self._on_time()

    def _on_time(self) -> deque[float]:
        """How late each command of the last ticks was [substeps], if none was."""
        return deque([0.0] * self._depth, maxlen=self._depth)

    def take(self, effect: Effect) -> None:
        """Bring an effect into force."""
        self._delay = round((self._own_delay_s + effect.delay_s) / self._step_s)
        self._jitter = effect.jitter_s / self._step_s
        self._drop_share = effect.drop_share
        backs = [self._back(substep) for substep in range(self._substeps)]
        self._plan = [(-1 - back, len(list(same))) for back, same in groupby(backs)]

    def _back(self, substep: int) -> int:
        """How many ticks ago the command was sent that is due in physics step `substep`, if nothing jitters."""
        age = self._delay - substep  # substeps before the start of this tick that are due now
        return min(-(-age // self._substeps), self._depth - 1) if age > 0 else 0

    def _limit(self, command: Sequence[float]) -> list[float]:
        """`command` inside the rated range; NaN stays NaN. In plain floats: an array of m costs more."""
        return [
            low if x < low else high if x > high else x for x, (low, high) in zip(command, self._range, strict=True)
        ]

    @property
    def limited(self) -> list[float]:
        """(m) last command inside the rated range; an older one if the last was lost on the bus."""
        return self._sent[-1]

    def send(self, command: Sequence[float]) -> None:
        """The controller's command for this tick."""
        self.raw = command
        arrived = self._limit(command)
        if self._jitter or self._drop_share:
            if self._random is None:  # made only when needed: a reset must be cheap
                self._random = np.random.default_rng([self._seed, 0xB05])
            lost, late = self._random.uniform(size=2)
            if lost < self._drop_share:
                arrived = self._sent[-1]
            self._late.append(late * self._jitter)
        self._sent.append(arrived)

    def period(self) -> list[tuple[list[float], int]]:
        """The commands (m) that the drives act on in this tick, in turn, and for how many physics steps each."""
        if not self._jitter:
            sent = self._sent
            return [(sent[k], steps) for k, steps in self._plan]
        dues = [self.due(substep) for substep in range(self._substeps)]
        together = [list(same) for _, same in groupby(dues, key=id)]
        return [(same[0], len(same)) for same in together]

    def due(self, substep: int) -> list[float]:
        """(m) command that the drives act on in physics step `substep` of this tick."""
        back = self._back(substep)
        if not self._jitter:
            return self._sent[-1 - back]
        for k in range(back, self._depth):  # the newest that has arrived
            if k * self._substeps >= self._delay - substep + self._late[-1 - k]:
                return self._sent[-1 - k]
        return self._sent[0]
