"""A base with two wheels from its telemetry: how it moved, what that took, and what its data sheet got wrong.

Motion comes from the wheels, whose encoders are its finest sensors; what the ground saw of it from localisation and
gyroscope. Torque is linear in mass, first moments, yaw inertia, spin inertia and friction, and the way over ground in
the wheels' radii and the track, so both fits are Gaussian (`sim.wheeled_base` has the equations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pinocchio as pin

from core.block import Block
from core.rigid_body import Array
from core.robot import Robot
from sim.physics import Physics
from sim.wheeled_base import Base, nominal_base
from telemetry.calibration import correlation_time
from telemetry.drive import given_effort, learn_drive
from telemetry.head import require_head
from telemetry.motion import Motion, smooth

_DRY_RAD_S = 0.05  # wheel speed over which dry friction changes sign
_STANDS_RAD_S, _A_MOMENT = 0.15, 0.02  # a wheel slower than this for that share of an instant may stick
_STANDS_STILL_RAD = 1e-6  # a heading that changes by less is not read
_TORQUE = 10  # corrections that torque shows: those of `quantities`
_SHARE, _INERTIA, _VISCOUS, _RADIUS, _TRACK = 0.1, 0.15, 0.2, 0.01, 0.02  # prior standard deviations, of nominal
_COM_M = 0.005  # of the centre of mass
_LEAST_FRICTION = (0.002, 0.01)  # N*m*s/rad and N*m
_LEAST_NOISE = 1e-4  # N*m or m/s


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """How a base moved, N rows; the first wheel is the left one."""

    motion: Motion
    rate: Array  # (N, 2) wheel speed [rad/s]
    acceleration: Array  # (N, 2) [rad/s^2]
    effort: Array  # (N, 2) torque of the drives [N*m]

    @property
    def fast_rate(self) -> Array:
        """(M, 2) wheel speed at the full rate."""
        return self.motion.wide.v[:, 3:]

    def turns(self) -> Array:
        """(N, 2) 1 where a wheel turns, 0 where it may stick: friction at rest is whatever it has to be."""
        stands = np.abs(self.fast_rate) < _STANDS_RAD_S
        return np.where(self.motion.wide.reduce(stands.astype(float)) < _A_MOMENT, 1.0, 0.0)

    def dry(self) -> Array:
        """(N, 2) dry friction of 1 N*m at each wheel."""
        return self.motion.wide.reduce(np.tanh(self.fast_rate / _DRY_RAD_S))

    def torque_columns(self, base: Base, grown: Sequence[float] | Array, seen: Sequence[float] | Array) -> Array:
        """(N, 2, 10) wheel torque per unit of each quantity that torque shows.

        Args:
            grown: (2,) true radius over that of `base`.
            seen: (2,) way over ground over what the wheel of `base` would make.
        """
        left, right = base.wheel_y
        to_base = np.array([[-right, left], [-1.0, 1.0]]) / (left - right) * (base.radius * seen)  # wheels -> v, w
        a, alpha = to_base @ self.acceleration.T
        v, w = to_base @ self.fast_rate.T
        turning, coupled = (self.motion.wide.reduce(product) for product in (w * w, v * w))
        none = np.zeros_like(a)
        columns = np.zeros((len(a), 2, _TORQUE))
        for k, (force, moment) in enumerate(((a, none), (-turning, coupled), (-alpha, -a), (none, alpha))):
            columns[:, :, k] = base.traction(force, moment) * (base.radius * grown)
        own = (self.acceleration, self.rate, self.dry())
        for wheel in range(2):
            for k, signal in enumerate(own):
                columns[:, wheel, 4 + 2 * k + wheel] = signal[:, wheel]
        return columns

    def heading(self) -> Array:
        """(M,) yaw at the full rate; of a reading that stands still, what the gyroscope makes of it."""
        yaw, rate_hz = self.motion.wide.q[:, 2], self.motion.wide.rate_hz
        if np.ptp(yaw) > _STANDS_STILL_RAD:
            return yaw
        turned: Array = yaw[0] + np.cumsum(self.motion.wide.v[:, 2]) / rate_hz
        return turned

    def over_ground(self, base: Base) -> Array:
        """(N, 3) how much faster the ground passes under each wheel than it rolls, and sideways speed [m/s]."""
        wide, yaw = self.motion.wide, self.heading()
        c, s = np.cos(yaw), np.sin(yaw)
        ahead, across = c * wide.v[:, 0] + s * wide.v[:, 1], c * wide.v[:, 1] - s * wide.v[:, 0]
        passes = ahead[:, None] - base.wheel_y * wide.v[:, 2:3]
        return wide.reduce(np.column_stack([passes - base.radius * self.fast_rate, across]))

    def ground_columns(self, base: Base) -> Array:
        """(N, 3, 3) `over_ground` per share of the left radius, the right radius and the track."""
        columns = np.zeros((len(self.rate), 3, 3))
        for wheel in range(2):
            columns[:, wheel, wheel] = base.radius[wheel] * self.rate[:, wheel]
            columns[:, wheel, 2] = base.wheel_y[wheel] * self.motion.v[:, 2]
        return columns


def travel_of(robot: Robot, block: Block, effort: Array) -> Travel:
    """How `robot` moved; its drives gave `effort` (M, 2) when they were read, at the end of each tick.

    In the first part of a tick, as long as a command is on its way, they still gave what they did before.
    """
    effort = effort - lateness(robot) * np.diff(effort, axis=0, prepend=effort[:1])
    motion = smooth(block, robot.control_rate_hz, 0.5 * robot.dt_s, effort)
    wheels = [robot.drives.index(3 + wheel) for wheel in range(2)]
    return Travel(motion=motion, rate=motion.v[:, 3:], acceleration=motion.a[:, 3:], effort=motion.tau[:, wheels])


def lateness(robot: Robot) -> float:
    """Share of a tick for which a command that comes into force in it is still on its way on a healthy robot."""
    ticks = robot.drive.command_delay_s * robot.control_rate_hz
    return max(ticks - float(np.floor(ticks + 1e-6)), 0.0)


def quantities(base: Base) -> Array:
    """(10,) what `Travel.torque_columns` has a column for."""
    plane = [base.mass_kg, base.moment_kgm, base.side_kgm, base.yaw_inertia]
    return np.concatenate([plane, base.spin, base.viscous, base.coulomb])


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelCalibration:
    """A healthy base: corrections of its data sheet, and what they leave unexplained of torque and of way."""

    correction: Array  # (13,): of `quantities`, then shares of left radius, right radius and track
    covariance: Array  # (13, 13)
    noise: Array  # (5,) [N*m, N*m, m/s, m/s, m/s]
    inflation: Array  # (5,)

    def base(self, robot: Robot) -> Base:
        """The base with its corrections."""
        return corrected(Base.of(robot, nominal_base(robot)), self.correction)


def corrected(sheet: Base, correction: Array) -> Base:
    """The base that `correction` (13,) makes of `sheet`."""
    values = quantities(sheet) + correction[:_TORQUE]
    return replace(
        sheet,
        mass_kg=float(values[0]),
        moment_kgm=float(values[1]),
        side_kgm=float(values[2]),
        yaw_inertia=float(values[3]),
        spin=values[4:6],
        viscous=values[6:8],
        coulomb=values[8:10],
        radius=sheet.radius * (1.0 + correction[_TORQUE : _TORQUE + 2]),
        wheel_y=sheet.wheel_y * (1.0 + correction[_TORQUE + 2]),
    )


def calibrate_base(robot: Robot, head: Block) -> WheelCalibration:
    """Fit the corrections to a healthy stretch of telemetry.

    Raises:
        BadInput: the stretch is too short to learn from.
    """
    require_head(robot, head)
    sheet = Base.of(robot, nominal_base(robot))
    drive = learn_drive(robot, head)
    travel = travel_of(robot, head, given_effort(robot, drive, head, np.zeros(len(robot.actuators))))
    ground = _fit(travel.ground_columns(sheet), travel.over_ground(sheet), np.array([_RADIUS, _RADIUS, _TRACK]))
    rolling = corrected(sheet, np.concatenate([np.zeros(_TORQUE), ground[0]]))
    turns = travel.turns()
    columns = travel.torque_columns(rolling, np.ones(2), np.ones(2)) * turns[:, :, None]
    torque = _fit(columns, turns * travel.effort - columns @ quantities(sheet), _prior(sheet))
    covariance = np.zeros((_TORQUE + 3, _TORQUE + 3))
    covariance[:_TORQUE, :_TORQUE], covariance[_TORQUE:, _TORQUE:] = torque[1], ground[1]
    return WheelCalibration(
        correction=np.concatenate([torque[0], ground[0]]),
        covariance=covariance,
        noise=np.concatenate([torque[2], ground[2]]),
        inflation=np.concatenate([torque[3], ground[3]]),
    )


def _prior(sheet: Base) -> Array:
    """(10,) standard deviations of the corrections before any telemetry."""
    shift = sheet.mass_kg * _COM_M
    plane = [_SHARE * sheet.mass_kg, _SHARE * abs(sheet.moment_kgm) + shift, shift, _INERTIA * sheet.yaw_inertia]
    viscous, coulomb = _LEAST_FRICTION
    friction = [
        _VISCOUS * sheet.viscous + viscous,
        _SHARE * sheet.coulomb + coulomb,
    ]
    return np.concatenate([plane, _SHARE * sheet.spin, *friction])


def _fit(columns: Array, target: Array, prior_std: Array) -> tuple[Array, Array, Array, Array]:
    """Mean, covariance, noise and inflation of a Gaussian fit of `columns` (N, r, p) to `target` (N, r)."""
    noise = np.full(target.shape[1], np.sqrt(np.mean(np.square(target))) + _LEAST_NOISE)
    inflation = np.ones_like(noise)
    for round_ in range(4):  # noise and fit depend on each other
        weight = 1.0 / (noise * np.sqrt(inflation))
        rows = (columns * weight[:, None]).reshape(-1, columns.shape[2])
        covariance = np.linalg.inv(rows.T @ rows + np.diag(1.0 / np.square(prior_std)))
        mean = covariance @ rows.T @ (target * weight).reshape(-1)
        residual = target - columns @ mean
        noise = np.maximum(np.sqrt(np.mean(np.square(residual), axis=0)), _LEAST_NOISE)
        if round_ == 2:
            inflation = correlation_time(residual)
    return mean, np.asarray(covariance, dtype=np.float64), noise, inflation


def base_physics(robot: Robot, correction: Array) -> Physics:
    """What is simulated for one value of the corrections; what no rigid body has is brought to what one has."""
    nominal = nominal_base(robot)
    base = corrected(Base.of(robot, nominal), correction)
    body, *wheels = (pin.Inertia.FromDynamicParameters(block) for block in nominal.inertials.reshape(-1, 10))
    mass = max(base.mass_kg - sum(wheel.mass for wheel in wheels), 0.1 * body.mass)
    lever = np.array([base.moment_kgm / mass, base.side_kgm / mass, body.lever[2]])
    moments = mass / body.mass * np.array(body.inertia)
    wheels_yaw = sum(wheel.inertia[2, 2] + wheel.mass * y**2 for wheel, y in zip(wheels, base.wheel_y, strict=True))
    yaw = base.yaw_inertia - wheels_yaw - mass * float(lever[:2] @ lever[:2])
    moments[2, 2] = np.clip(yaw, 0.1 * moments[2, 2], 0.999 * (moments[0, 0] + moments[1, 1]))
    blocks = [pin.Inertia(mass, lever, moments).toDynamicParameters()]
    rotor = robot.drive.rotor_inertia[3:]
    for wheel, spin, own in zip(wheels, base.spin, rotor, strict=True):
        inertia = np.array(wheel.inertia)
        inertia[1, 1] = np.clip(spin - own, 0.1 * inertia[1, 1], 0.999 * (inertia[0, 0] + inertia[2, 2]))
        blocks.append(pin.Inertia(wheel.mass, wheel.lever, inertia).toDynamicParameters())
    coulomb = np.concatenate([np.zeros(3), np.maximum(base.coulomb, 0.0)])
    return replace(
        nominal,
        inertials=np.concatenate(blocks),
        viscous=np.concatenate([nominal.viscous[:3], np.maximum(base.viscous, 0.0)]),
        coulomb=coulomb,
        stiction=coulomb,
        constants={
            **nominal.constants,
            "wheel_radius": tuple(base.radius.tolist()),
            "wheel_y": tuple(base.wheel_y.tolist()),
        },
    )
