"""Whether a wheel sticks: what a base does as it starts and stops, predicted from tick to tick.

Filtered accelerations do not show the few ticks in which a wheel breaks away, so those are simulated: an observer
carries angles and rates of both wheels from one reading to the next, under the effort that the drives gave, and what
its predictions miss is judged. Whatever is constant, such as a load, more friction or a weak drive, is fitted beside
the stiction: only what none of it explains counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.linalg import solve_discrete_are

from core.block import Block
from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect
from sim.twin.breakaway_kernel import observe
from sim.twin.parts import Stretch
from sim.twin.sliding import holding
from sim.twin.travel import WheelCalibration, lateness, quantities, travel_of
from sim.wheeled_base import Base, nominal_base
from telemetry.drive import given_effort

_MOST = 0.2  # of a drive's effort limit: the range of stiction that is looked at
_SHARES = np.array([0.0, 0.05, 0.1, 0.18, 0.27, 0.38, 0.5, 0.65, 0.8, 1.0])  # of that range
_USUAL = np.linspace(0.0, 1.2, 13)  # of dry friction: stiction that a healthy wheel may have
_SLOW = 3.0  # Stribeck speeds, below which a wheel may have stuck
_ROUNDS, _AGAIN = 6, 2  # of Gauss and Newton for what is constant: from nothing, and from a neighbour
_SHORTER = (1.0, 0.5, 0.2, 0.05)  # of their step
_STEP = 0.02  # of a derivative, in prior standard deviations
_WEAK = 0.3  # standard deviation of the share of effort that a weak drive loses
_ADDED = 0.5  # the same of mass and inertia, as a share of the healthy ones
_GROWN = 10.0  # the same of viscous friction
_DRY = 0.1  # the same of dry friction and of a dead band, as a share of the effort limit
_SHOCK = 0.03  # of the effort limit: disturbance of a tick that the observer is made for
_ASTRAY = 2.0  # times the healthy misses: what moves so is no base with friction, and nothing is said of it
_TAIL = 3.0  # misses beyond so many standard deviations count in proportion


class Observer:
    """Predicts M ticks of wheel angle and speed from one reading to the next."""

    def __init__(self, robot: Robot, base: Base, block: Block, effort: Array) -> None:
        """`effort` (M, 2): torque of the drives at the end of each tick [N*m]."""
        self._robot, self._base, self._effort = robot, base, effort
        self._q, self.v = block.group("q")[:, 3:5].copy(), block.group("qd")[:, 3:5].copy()
        self._stribeck_rad_s = float(nominal_base(robot).stribeck_rad_s)
        inertia = float(np.mean(base.spin + 0.25 * base.mass_kg * np.square(base.radius)))
        shock = _SHOCK * max(robot.limits.effort) * robot.dt_s / inertia
        noise = np.diag(np.square([robot.sensors.position_noise[3], robot.sensors.velocity_noise[3]]))
        coasts = np.array([[1.0, 0.0], [robot.dt_s, 1.0]])
        spread = solve_discrete_are(coasts, np.eye(2), np.diag([1e-12, shock**2]), noise)
        self._gain = spread @ np.linalg.inv(spread + noise)

    def may_stick(self) -> bool:
        """Whether a wheel was ever slow enough to stick."""
        return bool(np.any(np.abs(self.v) < _SLOW * self._stribeck_rad_s))

    def misses(self, constant: Array, sticks: Array) -> Array:
        """(M - 1, 4) angle and speed of either wheel, as read minus as predicted.

        Args:
            constant: (14,) added to `quantities` of the base, share of effort that each drive loses, and dead bands.
            sticks: (2,) breakaway friction beyond dry friction [N*m].
        """
        robot, base = self._robot, self._base
        left, right = base.wheel_y
        part = np.array([[-right, -1.0], [left, 1.0]]) / (left - right) * base.radius[:, None]
        now = quantities(base) + constant[:10]
        dead = np.maximum(constant[12:], 0.0)
        mass = part @ np.array([[now[0], -now[2]], [-now[2], now[3]]]) @ part.T + np.diag(now[4:6])
        if np.linalg.eigvalsh(mass)[0] <= 0.0:  # no base moves like that
            return np.full((len(self.v) - 1, 4), np.inf)
        missed: Array = observe(
            self._q,
            self.v,
            (self._effort - np.clip(self._effort, -dead, dead)) * (1.0 - constant[10:12]),
            self._gain,
            np.linalg.inv(mass),
            part,
            float(now[1]),
            np.maximum(now[6:8], 0.0),
            np.maximum(now[8:10], 0.0),
            sticks,
            self._stribeck_rad_s,
            robot.dt_s / robot.substeps,
            robot.substeps,
            round(lateness(robot) * robot.substeps),
        )
        return missed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Explained:
    """Misses with all that is constant fitted to them."""

    at: Array  # (14,) in prior standard deviations
    badness: float  # negative log posterior
    log_evidence: float


class Breakaway:
    """Likelihood of stiction, from M ticks of two wheels."""

    sees = frozenset({"stiction"})
    separable = True

    def __init__(self, stretch: Stretch, calibration: WheelCalibration) -> None:
        robot = stretch.robot
        base = calibration.base(robot)
        motors = [robot.drives.index(3 + wheel) for wheel in range(2)]

        def watch(block: Block) -> Observer:
            effort = given_effort(robot, stretch.drive, block, np.zeros(len(robot.actuators)))
            return Observer(robot, base, block, effort[:, motors].copy())

        limit = np.array(robot.limits.effort)[motors]
        levels = _MOST * limit * _SHARES[:, None]  # (G, 2) [N*m]
        self._curves: list[PchipInterpolator] = []  # log likelihood gain by level, of either wheel alone
        self._observer = watch(stretch.after)
        if not self._observer.may_stick():
            return
        self._prior = _prior(robot, base, calibration, limit)
        self._holds = _holds(stretch, calibration)
        head = watch(stretch.head)
        self._spread = _level(head.misses(np.zeros(14), np.zeros(2)))
        usual = self._usual(head, base.coulomb)
        first = self._explain(np.zeros(14), usual, _ROUNDS)
        left = _level(self._observer.misses(first.at * self._prior, usual))
        if np.any(left > _ASTRAY * self._spread):
            return
        self._spread = np.maximum(self._spread, left)
        none = self._explain(first.at, usual, _AGAIN)
        for wheel in range(2):
            sticks = usual + levels[1:, wheel, None] * np.eye(2)[wheel]
            gains = [self._explain(none.at, each, _AGAIN).log_evidence - none.log_evidence for each in sticks]
            self._curves.append(PchipInterpolator(levels[:, wheel], [0.0, *gains]))

    def _usual(self, head: Observer, coulomb: Array) -> Array:
        """(2,) stiction of the healthy wheels [N*m], one after the other."""
        usual = np.zeros(2)
        for wheel in range(2):
            tried = [usual + share * coulomb * np.eye(2)[wheel] for share in _USUAL]
            losses = [_huber(head.misses(np.zeros(14), sticks) / self._spread).sum() for sticks in tried]
            usual = tried[int(np.argmin(losses))]
        return usual

    def _explain(self, at: Array, sticks: Array, rounds: int) -> _Explained:
        """Fit what is constant, from `at` on, under stiction of `sticks` (2,)."""
        here, badness = self._judge(at, sticks)
        precise = np.eye(len(at))
        for _ in range(rounds):
            weight = np.minimum(1.0, _TAIL / np.maximum(np.abs(here), _TAIL))
            moved = [self._judge(at + step, sticks)[0] for step in _STEP * np.eye(len(at))]
            slopes = (np.stack(moved, axis=1) - here[:, None]) / _STEP
            if not np.all(np.isfinite(slopes)):
                break
            precise = slopes.T @ (weight[:, None] * slopes) + np.eye(len(at))
            step = -np.linalg.solve(precise, slopes.T @ (weight * here) + at)
            for share in _SHORTER:
                tried, worth = self._judge(at + share * step, sticks)
                if worth < badness:
                    at, here, badness = at + share * step, tried, worth
                    break
            else:
                break
        log_evidence = -badness - 0.5 * float(np.linalg.slogdet(precise)[1])
        return _Explained(at=at, badness=badness, log_evidence=log_evidence)

    def _judge(self, at: Array, sticks: Array) -> tuple[Array, float]:
        """(R,) misses in standard deviations, and the negative log posterior."""
        missed = (self._holds * self._observer.misses(at * self._prior, sticks) / self._spread).reshape(-1)
        return missed, float(_huber(missed).sum()) + 0.5 * float(at @ at)

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of a healthy base."""
        sticks = effect.vector("stiction", 5)[3:]
        return sum(float(curve(level)) for curve, level in zip(self._curves, sticks, strict=False))

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> Mapping[str, float]:
        return {}

    def hints(self) -> Mapping[str, Array]:
        return {}


def _holds(stretch: Stretch, calibration: WheelCalibration) -> Array:
    """(M - 1, 1) 1 in ticks in which both wheels hold the ground, 0 where one slides."""
    robot, base = stretch.robot, calibration.base(stretch.robot)
    travel = travel_of(robot, stretch.after, stretch.after.group("tau_meas"))
    holds = holding(travel, base, calibration.noise[2:])[:, 0]
    at_tick: Array = np.interp(stretch.after.t_s[1:], travel.motion.t_s, holds)
    return np.floor(at_tick)[:, None]


def _huber(missed: Array) -> Array:
    """Negative log likelihood of each miss, in standard deviations: a Gaussian with straight tails (Huber 1964)."""
    size = np.minimum(np.abs(missed), 1e9)
    loss: Array = np.where(size <= _TAIL, 0.5 * np.square(size), _TAIL * size - 0.5 * _TAIL**2)
    return loss


def _level(missed: Array) -> Array:
    """(4,) standard deviation of misses (R, 4), the few far ones cut short."""
    size = np.abs(missed)
    level: Array = np.sqrt(np.mean(np.square(np.minimum(size, 3.0 * np.median(size, axis=0) / 0.6745)), axis=0))
    return level


def _prior(robot: Robot, base: Base, calibration: WheelCalibration, limit: Array) -> Array:
    """(14,) standard deviations of what is constant: what calibration does not know, and what a fault may add."""
    known = np.sqrt(np.maximum(np.diag(calibration.covariance)[:10], 0.0))
    added = _ADDED * np.abs(quantities(base))
    added[1:3] = added[0] * np.abs(base.wheel_y).mean()  # a load may sit as far off as a wheel does
    added[6:8] = np.maximum(_GROWN * base.viscous, 0.1 * limit / np.array(robot.limits.speed)[3:])
    added[8:10] = _DRY * limit
    return np.concatenate([known + added, np.full(2, _WEAK), _DRY * limit])
