"""What the sensors say of the true state: noise, offset, scale, steps, and readings that stand still."""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect

_ROWS = 256  # noise is drawn in blocks that double: a Generator call per tick costs more than the tick


class Sensors:
    """Position and velocity of n coordinates and the effort of m drives."""

    def __init__(self, robot: Robot) -> None:
        sensors = robot.sensors
        self._n = robot.dof
        self._std = np.array([*sensors.position_noise, *sensors.velocity_noise, *sensors.effort_noise])
        self.reseed(0)
        self.restart()

    def reseed(self, seed: int) -> None:
        """The noise from now on."""
        self._seed, self._random = seed, np.random.default_rng([seed, 0x5E5E])
        self._misses: np.random.Generator | None = None
        self._rows = np.zeros((0, len(self._std)))
        self._missed = np.zeros((0, self._n))

    def restart(self) -> None:
        """Back to the first tick: the same noise again."""
        self._tick = 0
        self._held: Array | None = None

    def take(self, effect: Effect) -> None:
        """Bring an effect into force."""
        n = self._n
        self._offset, self._factor = effect.vector("offset", n), 1.0 + effect.vector("scale", n)
        self._noise_factor = 1.0 + effect.vector("noise", n)
        self._quantum = np.maximum(effect.vector("quantum", n), 0.0)
        self._frozen, self._dropout = effect.vector("freeze", n) > 0.5, effect.vector("dropout", n)
        self._rate_offset = effect.vector("rate_offset", n)
        self._repeats = bool(self._frozen.any() or self._dropout.any())
        odd = (effect.offset, effect.scale, effect.noise, effect.quantum, effect.rate_offset)
        self._healthy = not self._repeats and not any(map(any, odd))

    def read(self, truth: Array) -> list[float]:
        """2 n + m readings of the true position, velocity and effort of the drives (2 n + m,), for one tick."""
        while self._tick >= len(self._rows):  # grows: after a restart the same rows come again
            block = max(_ROWS, len(self._rows))
            rows = self._random.standard_normal((block, len(self._std))) * self._std
            self._rows = np.concatenate([self._rows, rows])
        noise = self._rows[self._tick]
        self._tick += 1
        if self._healthy:
            return (truth + noise).tolist()  # type: ignore[no-any-return]
        n = self._n
        position = truth[:n] * self._factor + self._offset + noise[:n] * self._noise_factor
        if self._quantum.any():
            steps = np.where(self._quantum > 0, self._quantum, 1.0)
            position = np.where(self._quantum > 0, np.round(position / steps) * steps, position)
        if self._repeats:
            position = self._repeat(position)
        reading = truth + noise
        reading[:n] = position
        reading[n : 2 * n] += self._rate_offset
        return reading.tolist()  # type: ignore[no-any-return]

    def _repeat(self, position: Array) -> Array:
        """Readings that stand still keep their last value; the first reading after a fault sets in is a good one."""
        if self._misses is None:  # made only when needed: a restart must be cheap
            self._misses = np.random.default_rng([self._seed, 0xD209])
        while self._tick >= len(self._missed):
            self._missed = np.concatenate([self._missed, self._misses.uniform(size=(_ROWS, self._n))])
        still = self._frozen | (self._missed[self._tick] < self._dropout)
        self._held = position if self._held is None else np.where(still, self._held, position)
        return self._held
