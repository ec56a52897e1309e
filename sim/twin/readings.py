"""How position readings scatter from tick to tick: noise, steps, and readings that only repeat the last one.

A reading is compared with the last one plus the way by velocity since then. On the healthy robot the difference is
noise; repeats happen by chance or never; and values lie on no grid, or on the fine grid of the sensor. Where velocity
jumps within a tick, as it does at a stop, the way depends on when it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.block import Block
from core.rigid_body import Array
from sim.effect import Effect
from sim.twin.parts import Stretch

_HEAD_S = 10.0  # of healthy telemetry that is looked at
_STEADY = 1e-4  # probability that a frozen reading moves after all
_ON_GRID = 1e-6  # distance from a grid point, as a share of the grid's step, that rounding allows
_LEAST_CHANGES = 3  # readings that are needed before they make a grid
_WEIGHT = 0.5  # differences of neighbouring readings share a reading, so two of them count as one
_SMOOTH = 9.0  # of the healthy mean square of changes of acceleration: what is beyond counts as a jump
_MOST_STEPS = 1e7  # a grid with more steps within the motion than this is floating-point rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readings:
    """What one coordinate's position readings did, M ticks."""

    repeats: int
    ticks: int
    missed: Array  # (C,) reading minus what was expected from the last change
    gap: Array  # (C,) ticks since the last change
    jumps: Array  # (C,) variance of the way, if velocity has jumped at a random moment of a tick
    grid: float  # step of the grid on which all readings lie, 0 if there is none


class ReadingStatistics:
    """Likelihood of noise, steps, freezing and missing samples of n position sensors."""

    sees = frozenset({"noise", "quantum", "freeze", "dropout"})
    separable = True

    def __init__(self, stretch: Stretch) -> None:
        robot = self._robot = stretch.robot
        head = stretch.head.between(stretch.head.t_s[-1] - _HEAD_S, np.inf)
        smooth = _SMOOTH * np.mean(np.square(_turns(head)), axis=0)
        self._healthy = _read(head, robot.dt_s, smooth, np.zeros(robot.dof))
        self._spread, self._noise = np.array([_scatter(each) for each in self._healthy]).T  # variances (n,)
        self._now = _read(stretch.after, robot.dt_s, smooth, self._spread)
        self._repeat = np.array([(each.repeats + 0.5) / (each.ticks + 1.0) for each in self._healthy])

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of a healthy robot."""
        n = self._robot.dof
        noise, quantum = effect.vector("noise", n), effect.vector("quantum", n)
        frozen, dropout = effect.vector("freeze", n), effect.vector("dropout", n)
        odd = (noise != 0) | (quantum != 0) | (frozen != 0) | (dropout != 0)
        columns = zip(noise, quantum, frozen, dropout, strict=True)
        return sum(self._gain_of(j, *map(float, each)) for j, each in enumerate(columns) if odd[j])

    def _gain_of(self, j: int, noise: float, quantum: float, frozen: float, dropout: float) -> float:
        now, rare = self._now[j], self._repeat[j]
        moved = now.ticks - now.repeats
        healthy = now.repeats * np.log(rare) + moved * np.log1p(-rare) + self._scatter_of(j, 0.0)
        if quantum:
            return self._grid_gain(j, quantum) - float(healthy)
        repeat = 1.0 - _STEADY if frozen else rare + (1.0 - rare) * dropout
        odd = now.repeats * np.log(repeat) + moved * np.log1p(-repeat) + self._scatter_of(j, noise)
        return float(odd - healthy)

    def _scatter_of(self, j: int, noise: float) -> float:
        """Log likelihood of the differences with `noise` healthy standard deviations on top."""
        now = self._now[j]
        variance = self._spread[j] + 2.0 * self._noise[j] * ((1.0 + noise) ** 2 - 1.0)
        variance = variance + (now.gap - 1.0) * max(self._spread[j] - 2.0 * self._noise[j], 0.0) + now.jumps
        return _WEIGHT * float(-0.5 * (np.square(now.missed) / variance + np.log(2 * np.pi * variance)).sum())

    def _grid_gain(self, j: int, quantum: float) -> float:
        """Log likelihood of readings that can only lie on a grid; minus infinity unless they do."""
        now, own = self._now[j], self._healthy[j].grid
        if not now.grid or abs(now.grid - quantum) > 1e-3 * now.grid or now.grid < 1.5 * own:
            return -np.inf
        # A reading falls on one of about three grid points; a continuous one is near one of them by chance.
        return len(now.missed) * float(-np.log(3.0) - _WEIGHT * np.log(2.0 * _ON_GRID * now.grid))

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> Mapping[str, float]:
        return {}

    def hints(self) -> Mapping[str, Array]:
        """Steps of the grids on which readings lie."""
        return {"quantum": np.array([now.grid for now in self._now])}


def _turns(block: Block) -> Array:
    """(N - 1, n) by how much velocity changes otherwise in a tick than in the ticks around it."""
    change = np.diff(block.group("qd"), axis=0)
    turn = np.abs(np.diff(change, axis=0))
    turns: Array = np.maximum(np.pad(turn, ((1, 0), (0, 0))), np.pad(turn, ((0, 1), (0, 0))))
    return turns


def _read(block: Block, dt_s: float, smooth: Array, spread: Array) -> list[_Readings]:
    """What n coordinates' readings did.

    Args:
        smooth: (n,) square of a change of acceleration, times a tick, that is no jump yet.
        spread: (n,) variance of differences on healthy telemetry; zeros where that is what is looked for.
    """
    q, qd = block.group("q"), block.group("qd")
    start = np.zeros((1, q.shape[1]))
    way = np.concatenate([start, np.cumsum(0.5 * (qd[1:] + qd[:-1]), axis=0) * dt_s])
    beyond = np.maximum(np.square(_turns(block)) - smooth, 0.0)
    # a jump's moment is uniform in its tick
    jumps = np.concatenate([start, np.cumsum(beyond, axis=0) * dt_s**2 / 12.0])
    return [_read_one(q[:, j], qd[:, j], way[:, j], jumps[:, j], spread[j]) for j in range(q.shape[1])]


def _read_one(q: Array, qd: Array, way: Array, jumps: Array, spread: float) -> _Readings:
    changed = np.flatnonzero(np.diff(q) != 0.0) + 1
    last = changed[:-1]  # from the second change on it is known how long the reading has stood
    here = changed[1:]
    gap, travelled = (here - last).astype(float), way[here] - way[last]
    missed, jumped = q[here] - q[last] - travelled, jumps[here] - jumps[last]
    if len(missed) > 10:  # offset, wrong scale or timing of either sensor are another part's business
        basis = np.stack([gap, travelled, qd[here] - qd[last]], axis=1)
        weight = np.sqrt(spread / (spread + jumped)) if spread else np.ones(len(missed))
        fit = np.linalg.lstsq(basis * weight[:, None], missed * weight, rcond=None)[0]
        missed = missed - basis @ fit
    return _Readings(
        repeats=len(q) - 1 - len(changed),
        ticks=len(q) - 1,
        missed=missed,
        gap=gap,
        jumps=jumped,
        grid=_grid_step(q[changed]),
    )


def _scatter(readings: _Readings) -> tuple[float, float]:
    """Variance of the differences of neighbouring readings, and the part of it that is a reading's own noise."""
    d = readings.missed
    if len(d) < 3:
        return 1e-14, 0.25e-14
    spread = max(float(np.mean(np.square(d))), 1e-14)
    shared = -float(np.mean(d[1:] * d[:-1]))  # two neighbouring differences share a reading, with opposite signs
    return spread, float(np.clip(shared, 0.05 * spread, 0.5 * spread))


def _grid_step(q: Array) -> float:
    """Largest step of which all differences of `q` are whole multiples, by Euclid's algorithm; 0 if there is none."""
    if len(q) < _LEAST_CHANGES:
        return 0.0
    steps = np.unique(np.abs(np.diff(q)))
    steps = steps[steps > 0]
    if not len(steps):
        return 0.0
    tolerance = max(float(np.ptp(q)) / _MOST_STEPS, 1e-12)
    step = float(steps[0])
    for other in steps:
        while True:
            rest = float(other) % step
            rest = min(rest, step - rest)
            if rest <= max(tolerance, _ON_GRID * step):
                break
            other, step = step, rest  # noqa: PLW2901 Euclid
        if step < 10.0 * tolerance:
            return 0.0
    return step
