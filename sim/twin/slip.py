"""Position against integrated velocity: two sensors that agree on a healthy robot, whatever it does.

Position and velocity come from two sensors (link side and motor side). Where they part steadily, one of them has a
wrong scale or an offset; where they parted at the onset, the position sensor has slipped. Coordinates whose velocity is
not the rate of their position, such as the attitude of a flying body, part on healthy telemetry already, so they weigh
nothing here.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import cumulative_trapezoid

from core.block import Block
from core.rigid_body import Array
from sim.effect import Effect
from sim.twin.parts import Mask, Stretch
from telemetry.calibration import correlation_time
from telemetry.jump import Jump, measure_jump

_AVERAGE_S = 0.05  # positions are averaged over this long, so that their noise does not count twice
_HEAD_S = 20.0  # of healthy telemetry that is looked at
_LEAST = 1e-7  # rad or m
_BROAD = 0.1  # rad or m, a jump that something else than an offset has made


class SlipRows:
    """Rows of n signals: how much further a position has gone than its velocity says, from one average to the next."""

    linear = frozenset({"rate_offset"})
    sees = linear | {"scale", "freeze"}

    def __init__(self, stretch: Stretch) -> None:
        robot = stretch.robot
        self._n, self._interval_s = robot.dof, max(1, round(_AVERAGE_S * robot.control_rate_hz)) * robot.dt_s
        healthy = self._slip(stretch.head.between(stretch.head.t_s[-1] - _HEAD_S, np.inf), robot.dt_s)[0]
        self.residual, self._travelled = self._slip(stretch.after, robot.dt_s)
        self.noise = np.maximum(np.sqrt(np.mean(np.square(healthy), axis=0)), _LEAST)
        self.inflation = correlation_time(healthy)
        self.nuisance = np.zeros((*self.residual.shape, 0))
        self.broad = np.full(self._n, _BROAD)

    def _slip(self, block: Block, dt_s: float) -> tuple[Array, Array]:
        """(N, n) slip and way by velocity, from one average to the next."""
        size = round(self._interval_s / dt_s)
        rows = len(block) // size * size

        def steps(signal: Array) -> Array:
            return np.diff(signal[:rows].reshape(-1, size, self._n).mean(axis=1), axis=0)

        travelled = cumulative_trapezoid(block.group("qd"), dx=dt_s, axis=0, initial=0.0)
        way = steps(travelled)
        return steps(block.group("q")) - way, way

    def shift(self, effect: Effect) -> Array:
        """(N, n) slip under `effect`."""
        scale = effect.vector("scale", self._n)
        too_fast = effect.vector("rate_offset", self._n) * self._interval_s
        frozen = effect.vector("freeze", self._n) > 0
        true = self._travelled - too_fast  # by velocity: a noisy position would seem to have a scale
        return np.where(frozen, -self._travelled, true * scale - too_fast)

    def freed(self, effect: Effect) -> Mask:
        return np.zeros(self._n, dtype=bool)


class JumpRows:
    """One row of n signals: how far each position sensor has moved against its velocity over the onset."""

    linear = frozenset({"offset"})
    sees = linear | {"scale", "rate_offset", "freeze", "noise", "quantum", "dropout"}

    def __init__(self, stretch: Stretch, jump: Jump) -> None:
        assert stretch.around is not None
        self._n = stretch.robot.dof
        self._carried = np.array([joint not in stretch.robot.drives for joint in range(self._n)])
        self.residual, self.noise = jump.rad[None, :], jump.std_rad
        self.inflation = np.ones(self._n)
        self.nuisance = np.zeros((1, self._n, 0))
        self.broad = np.full(self._n, _BROAD)
        self._reading = stretch.around.group("q")[-round(_AVERAGE_S * stretch.robot.control_rate_hz) :].mean(axis=0)

    def shift(self, effect: Effect) -> Array:
        """(1, n) jump under `effect`, at whatever moment it set in."""
        offset, scale = effect.vector("offset", self._n), effect.vector("scale", self._n)
        jump: Array = offset + (self._reading - offset) * scale / (1.0 + scale)
        return jump[None, :]

    def freed(self, effect: Effect) -> Mask:
        """(n,) sensors whose jump depends on when exactly the effect set in, or on chance.

        What a brake stops, it stops within a tick; with a wheel the whole base.
        """
        names = ("rate_offset", "freeze", "noise", "quantum", "dropout", "brake")
        changed: Mask = np.any([effect.vector(name, self._n) != 0 for name in names], axis=0)
        return changed | self._carried if np.any(effect.vector("brake", self._n)) else changed


def jump_rows(stretch: Stretch) -> list[JumpRows]:
    """The jump as a part, if any sensor has certainly moved.

    One that has not says nothing: its offset may have set in before the stretch that was looked at.
    """
    if stretch.around is None or len(stretch.around) < 2:
        return []
    jump = measure_jump(stretch.robot, stretch.head, stretch.around)
    return [JumpRows(stretch, jump)] if jump.is_significant else []
