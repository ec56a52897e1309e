"""Forces and moments on a trunk that its legs do not explain, and what each fault adds to them.

What a drive gives and its joint does not get is missing at the foot, so it enters the balance (`sim.twin.balance`)
through the same matrix as torque does. A load adds its own weight and inertia. A leg whose angles are misread pushes
from another place in another direction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.block import Block
from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect, touched
from sim.plants.legged import COGGING_PERIODS
from sim.twin.balance import Balance, LegCalibration, leg_rates
from sim.twin.held import held_columns
from sim.twin.parts import Mask, Stretch
from sim.twin.play import lost_in_play
from telemetry.motion import SAMPLE_HZ

_STRIBECK_RAD_S = 0.05  # the usual speed over which breakaway friction fades; Armstrong-Helouvry et al. 1994
_BROAD = 10.0  # healthy standard deviations that a signal without a model scatters at least
_FINER = 5  # steps in a tick, to cross the play of a gear
_SURE, _SURE_OF_STICTION = 0.9, 0.7  # of large friction that lasts through a rest
_WHILE_S = 0.15  # for which it differs from that
_BRAKED, _BRAKE_WHILE_S = 0.3, 0.04  # share of the effort limit that a brake holds besides what the drive gives
_LEAST_S = 0.8  # of telemetry that is looked at even of a robot that falls; the filter takes half of it
_STEP_M = 0.01  # of the derivative by the place of the load
_SENSORS = frozenset({"offset", "scale", "freeze"})


class StanceRows:
    """Rows of a legged robot: force [N] and moment [N*m] about the trunk's origin, in the trunk's axes."""

    linear = frozenset({"payload_kg", "moment_kgm", "viscous", "stiffness", "ripple", "gain_loss"})
    sees = linear | _SENSORS | {"coulomb", "stiction", "deadband", "backlash", "brake"}

    def __init__(self, stretch: Stretch, calibration: LegCalibration) -> None:
        robot = self._robot = stretch.robot
        after = upright(robot, stretch.after)
        stretch = replace(stretch, after=after)
        balance = self._balance = Balance(robot, after, stretch.drive)
        legs = self._legs = balance.legs
        m = legs.m
        columns, target = balance.system()
        self.residual = target - columns @ calibration.correction
        values, axes = np.linalg.eigh(calibration.covariance)
        unsure = columns @ (axes * np.sqrt(np.maximum(values, 0.0)))
        held = held_columns(balance.at_rest(balance.dry()), calibration.held_nm, SAMPLE_HZ)
        self.nuisance = np.concatenate([unsure, held], axis=2)
        self.noise, self.inflation = calibration.noise, calibration.inflation
        # what a fault leaves undetermined is as large as what is left unexplained
        self.broad = np.maximum(_BROAD * self.noise, np.sqrt(np.mean(np.square(self.residual), axis=0)))
        legs.set_inertials(legs.inertials() + calibration.correction[: 10 * (m + 1)])
        self._bare = balance.terms(balance.q)[1]
        self._per_kg = self._loaded(np.zeros(3))
        self._per_moment = [(self._loaded(_STEP_M * axis) - self._per_kg) / _STEP_M for axis in np.eye(3)]
        q, v = balance.q[:, :m], balance.v[:, :m]
        dry = balance.kept()
        speed = np.abs(balance.slow())
        fades = np.exp(-np.square(speed / _STRIBECK_RAD_S))
        moves = speed / np.hypot(speed, _STRIBECK_RAD_S)
        # what is not known lies anywhere between friction one way and the other
        self._open = tuple(
            balance.at_rest(dry * (sure + (1.0 - sure) * moves), share / np.sqrt(3.0))
            for sure, share in ((_SURE, 1.0), (_SURE_OF_STICTION, fades))
        )
        torque = {
            "viscous": v,
            "coulomb": dry,
            "stiction": dry * fades,
            "stiffness": q - np.array(robot.home[:m]),
            "ripple": np.sin(COGGING_PERIODS * q),
            "gain_loss": balance.tau,
        }
        self._braked = balance.of_joints(np.ones((len(after), m)))  # (N, 6, m) 1 N*m that a brake takes
        self._held_by_brake = _BRAKED * np.array(robot.limits.effort)
        self._per_joint = {name: balance.of_joints(each) for name, each in torque.items()}  # (N, 6, m)
        self._path = _path(stretch)

    def _loaded(self, shift_m: Array) -> Array:
        """(N, 6) what 1 kg on the trunk, `shift_m` (3,) off the payload point, adds to the balance."""
        self._legs.set_payload(1.0, shift_m)
        w = self._balance.terms(self._balance.q)[1]
        self._legs.set_payload(0.0)
        return self._balance.reduce((w - self._bare)[:, :6])

    def shift(self, effect: Effect) -> Array:
        """(N, 6) what `effect` adds to the balance."""
        m, n = self._legs.m, self._robot.dof
        total = effect.payload_kg * self._per_kg
        for moment, column in zip(effect.moment_kgm, self._per_moment, strict=False):
            total = total + moment * column
        for name, column in self._per_joint.items():
            if getattr(effect, name):
                total = total + column @ effect.vector(name, m if name == "gain_loss" else n)[:m]
        total = total + self._per_joint["gain_loss"] @ (effect.vector("brake", n)[:m] > 0)  # a brake takes all of it
        dead = effect.vector("deadband", m)
        if np.any(dead):
            total = total + self._balance.of_joints(np.clip(self._balance.tau, -dead, dead)).sum(axis=2)
        for k in np.flatnonzero(effect.vector("backlash", m)):
            total = total + self._lost_in_play(int(k), float(effect.backlash[k]))
        shift: Array = total + self._misread(effect) if touched(effect) & _SENSORS else total
        return shift

    def loose(self, effect: Effect) -> Array:
        """(N, 6, l) columns of what dry friction holds in joints at rest, and a brake at all times: nobody knows."""
        n, m = self._robot.dof, self._legs.m
        columns = []
        for name, by_torque in zip(("coulomb", "stiction"), self._open, strict=True):
            most = np.abs(effect.vector(name, n))[:m]
            some = np.flatnonzero(most)
            columns.append(held_columns(by_torque[:, :, some], most[some], SAMPLE_HZ, _WHILE_S))
        some = np.flatnonzero(effect.vector("brake", n)[:m])
        columns.append(held_columns(self._braked[:, :, some], self._held_by_brake[some], SAMPLE_HZ, _BRAKE_WHILE_S))
        return np.concatenate(columns, axis=2)

    def by_effort(self, change: Array) -> Array:
        """(N, 6) shift when the drives gave `change` (M, m) more than healthy ones."""
        changed = np.where(self._balance.unsure, 0.0, change[: len(self._balance.tau)])  # what was measured knows of it
        shift: Array = -self._balance.of_joints(changed).sum(axis=2)
        return shift

    def freed(self, effect: Effect) -> Mask:
        """(6,) all of them where a servo reads a frozen encoder: it drives the joint away, to a stop or to a fall."""
        return np.full(6, bool(np.any(effect.vector("freeze", self._robot.dof)[: self._legs.m] > 0)))

    def _lost_in_play(self, k: int, width_rad: float) -> Array:
        """(N, 6) what a drive gives while it crosses a gap, which takes less than a tick."""
        balance, robot = self._balance, self._robot
        tick = np.arange(len(balance.tau))
        finer = np.linspace(0, tick[-1], (len(tick) - 1) * _FINER + 1)
        effort = np.interp(finer, tick, balance.tau[:, k])[:, None]
        inertia = np.array([robot.drive.rotor_inertia[k]])
        lost = lost_in_play(effort, inertia, np.array([width_rad]), robot.dt_s / _FINER)[0, :, 0]
        torque = np.zeros_like(balance.tau)
        torque[:-1, k] = lost[:-1].reshape(-1, _FINER).mean(axis=1)
        column: Array = balance.of_joints(torque)[:, :, k]
        return column

    def _misread(self, effect: Effect) -> Array:
        """(N, 6) balance at the angles that were read minus balance at the true ones."""
        n, balance = self._robot.dof, self._balance
        q = (balance.q - effect.vector("offset", n)) / (1.0 + effect.vector("scale", n))
        frozen = effect.vector("freeze", n) > 0
        if np.any(frozen):
            q = np.where(frozen, q + self._path, q)
        read = balance.missing(balance.P, self._bare)
        return balance.reduce(read - balance.missing(*balance.terms(q, *balance.motion(q))))


def upright(robot: Robot, block: Block) -> Block:
    """`block` until the robot has fallen: then it lies on more than its feet."""
    lean = np.abs(block.group("q")[:, -3:-1]) > np.array(robot.lost_error[-3:-1])
    fallen = np.flatnonzero(np.any(lean, axis=1))
    return block[: max(int(fallen[0]), round(_LEAST_S * robot.control_rate_hz))] if len(fallen) else block


def _path(stretch: Stretch) -> Array:
    """(M, n) way that each coordinate has gone, by its velocity, since its reading last changed before the stretch."""
    dt_s = stretch.robot.dt_s
    way = np.cumsum(leg_rates(stretch.after).group("qd"), axis=0) * dt_s
    if stretch.around is None or not len(stretch.around):
        return way
    before = leg_rates(stretch.around)
    q = before.group("q")
    still = np.cumprod(q[::-1] == q[-1], axis=0)[::-1]  # rows since which the reading has stood still
    gone: Array = way + (still * before.group("qd")).sum(axis=0) * dt_s
    return gone
