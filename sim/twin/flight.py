"""A quadrotor from its telemetry: how it moved, what that took, and what its data sheet got wrong.

The wrench on the body, force and torque about its origin along its own axes, is linear in its inertial parameters, in
drag and in the thrust that each rotor says it gives (`sim.airframe`), so the fit is Gaussian:

    Y(motion) pi + drag v = sum of rotor wrenches + wind

Weight and thrust are only known in proportion; the prior around the data sheet settles their common scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.block import Block
from core.rigid_body import Array
from core.robot import Robot
from sim.airframe import ROTORS, constant, nominal_flyer, rotor_wrenches
from sim.physics import Physics
from sim.plant import GRAVITY_M_S2
from telemetry.calibration import correlation_time
from telemetry.drive import learn_drive
from telemetry.head import require_head
from telemetry.motion import Motion, smooth

_SIZE = 12  # corrections: mass, three moments of inertia, shares of four rotors, three drags, share of drag torque
_MOMENTS, _SHARES, _DRAG = slice(1, 4), slice(4, 8), slice(8, 11)
_DIAGONAL = [4, 6, 9]  # places of the moments of inertia among inertial parameters
_ROUNDS = 6
_PRIOR, _PRIOR_DRAG = 0.06, 0.15  # standard deviation of corrections, as shares of nominal
_LEAST_NOISE = np.repeat([1e-5, 1e-7], 3)  # N and N*m for each newton of weight
_KNOWN = 1e-9  # share of the largest column below which a coefficient is not looked for
_LEFT_OVER = 0.05  # share of nominal that a mass or moment of inertia keeps at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """How a body moved, N rows, and what its rotors said that they gave."""

    motion: Motion

    def felt(self, q: Array) -> Array:
        """(N, 3) acceleration that the body feels, gravity included, along its axes [m/s^2]."""
        return turned(q, self.motion.a[:, :3] + np.array([0.0, 0.0, GRAVITY_M_S2]))

    def expected_felt(self) -> Array:
        """(N, 3) the same as a steady wind, drag and thrust in proportion to what the rotors say would make it.

        What is regressed on it, as a load, would take its noise for a smaller load (errors in variables; Soderstrom
        2007), and an off-centre load would turn its noise into torque.
        """
        q, felt = self.motion.q, self.felt(self.motion.q)
        thrust, speed = self.motion.tau.sum(axis=1), self.speed(q)
        columns = np.zeros((len(q), 3, 7))
        columns[:, 2, 0] = thrust
        columns[:, [0, 1, 2], [1, 2, 3]] = speed
        for axis, direction in enumerate(np.eye(3)):
            columns[:, :, 4 + axis] = turned(q, np.tile(direction, (len(q), 1)))
        flat = columns.reshape(-1, 7)
        known = _KNOWN * np.square(np.linalg.norm(flat, axis=0)).max() * np.eye(7)
        expected: Array = columns @ np.linalg.solve(flat.T @ flat + known, flat.T @ felt.reshape(-1))
        return expected

    def rigid(self, felt: Array, w: Array) -> Array:
        """(N, 6, 10) wrench per inertial parameter (Atkeson, An, Hollerbach 1986) at body rates `w` (N, 3)."""
        alpha = self.motion.a[:, 3:]
        out = np.zeros((len(w), 6, 10))
        out[:, :3, 0] = felt
        out[:, :3, 1:4] = _skew(alpha) + _skew(w) @ _skew(w)
        out[:, 3:, 1:4] = -_skew(felt)
        out[:, 3:, 4:] = _inertia(alpha) + _skew(w) @ _inertia(w)
        return out

    def speed(self, q: Array) -> Array:
        """(N, 3) velocity along the body's axes [m/s]."""
        return turned(q, self.motion.v[:, :3])

    def columns(self, robot: Robot, physics: Physics) -> Array:
        """(N, 6, 12) wrench that is left over per unit of each correction of the data sheet, about `physics`."""
        motion, sheet = self.motion, nominal_flyer(robot)
        rigid, wrench = self.rigid(self.felt(motion.q), motion.v[:, 3:]), rotor_wrenches(robot, physics)
        shares = constant(robot, physics, "thrust_share", ROTORS) / constant(robot, sheet, "thrust_share", ROTORS)
        swirl = constant(robot, physics, "drag_ratio", 1) / constant(robot, sheet, "drag_ratio", 1)
        out = np.zeros((len(motion), 6, _SIZE))
        out[:, :, 0], out[:, :, _MOMENTS] = rigid[:, :, 0], rigid[:, :, _DIAGONAL]
        out[:, :, _SHARES] = -motion.tau[:, None, :] * (wrench / shares[:, None]).T
        out[:, [0, 1, 2], [8, 9, 10]] = self.speed(motion.q)
        out[:, 5, _SIZE - 1] = -motion.tau @ wrench[:, 5] / swirl
        return out

    def left_over(self, robot: Robot, physics: Physics, q: Array, v: Array) -> Array:
        """(N, 6) wrench that nothing explains if position and velocity were `q` and `v` [N, N*m]."""
        rigid = self.rigid(self.felt(q), v[:, 3:])
        wrench: Array = rigid @ physics.inertials - self.motion.tau @ rotor_wrenches(robot, physics)
        wrench[:, :3] += physics.viscous[:3] * self.speed(q)
        return wrench


def flight_of(robot: Robot, block: Block, effort: Array) -> Flight:
    """How `robot` moved, its rotors having given `effort` (M, 4)."""
    return Flight(motion=smooth(block, robot.control_rate_hz, 0.0, effort))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightCalibration:
    """A healthy quadrotor: corrections of its data sheet, and the wrench that they leave unexplained."""

    correction: Array  # (12,)
    covariance: Array  # (12, 12) of `spread`, and of how large everything is
    spread: Array  # (12, 12) of what telemetry shows: proportions
    scale_std: float  # standard deviation of how large everything is, as a share
    noise: Array  # (6,) [N, N, N, N*m, N*m, N*m]
    inflation: Array  # (6,)


def calibrate_flight(robot: Robot, head: Block) -> FlightCalibration:
    """Fit the corrections to a healthy stretch of telemetry.

    Raises:
        BadInput: the stretch is too short to learn from.
    """
    require_head(robot, head)
    sheet = nominal_flyer(robot)
    flight = flight_of(robot, head, learn_drive(robot, head).expected(robot, head))
    motion = flight.motion
    precision = np.diag(1.0 / np.square(_prior(sheet)))
    scale = np.concatenate([sheet.inertials[[0, *_DIAGONAL]], np.ones(ROTORS), sheet.viscous[:3], [0.0]])
    # Everything twice as large fits as well, and nothing at all fits best, so the mean share of the rotors stays one.
    keep = np.eye(_SIZE)
    keep[:, _SHARES] -= scale[:, None] / ROTORS
    least = _LEAST_NOISE * sheet.inertials[0] * GRAVITY_M_S2
    mean, inflation = np.zeros(_SIZE), np.ones(6)
    for round_ in range(_ROUNDS):  # noise and fit depend on each other, and rotor shares times drag ratio is a product
        physics = flight_physics(robot, mean)
        left = flight.left_over(robot, physics, motion.q, motion.v)
        noise = np.maximum(np.sqrt(np.mean(np.square(left), axis=0)), least)
        if round_ == _ROUNDS - 2:
            inflation = correlation_time(left)
        weight = 1.0 / (noise * np.sqrt(inflation))
        columns = flight.columns(robot, physics) @ keep
        rows = (columns * weight[:, None]).reshape(-1, _SIZE)
        covariance = np.linalg.inv(rows.T @ rows + precision)
        mean = keep @ covariance @ rows.T @ ((columns @ mean - left) * weight).reshape(-1)
    # The prior alone says how large everything is.
    larger = scale + mean
    by_prior = larger @ precision / (larger @ precision @ larger)
    settled = np.eye(_SIZE) - np.outer(larger, by_prior)
    spread = settled @ keep @ covariance @ keep.T @ settled.T
    scale_std = float(1.0 / np.sqrt(larger @ precision @ larger))
    return FlightCalibration(
        correction=settled @ mean,
        covariance=spread + scale_std**2 * np.outer(larger, larger),
        spread=spread,
        scale_std=scale_std,
        noise=noise,
        inflation=inflation,
    )


def _prior(sheet: Physics) -> Array:
    """(12,) standard deviations of the corrections before any telemetry."""
    inertial = sheet.inertials[[0, *_DIAGONAL]]
    return np.concatenate([_PRIOR * inertial, [_PRIOR] * ROTORS, _PRIOR_DRAG * sheet.viscous[:3] + 1e-6, [_PRIOR]])


def flight_physics(robot: Robot, correction: Array) -> Physics:
    """What is simulated for one value of the corrections; what no rigid body has is brought to what one has."""
    sheet = nominal_flyer(robot)
    inertials = sheet.inertials.copy()
    places = [0, *_DIAGONAL]
    inertials[places] = np.maximum(inertials[places] + correction[:4], _LEFT_OVER * inertials[places])
    x, y, z = inertials[_DIAGONAL]
    largest = np.array([y + z, z + x, x + y])  # a moment of inertia is at most the sum of the other two
    inertials[_DIAGONAL] = np.minimum(inertials[_DIAGONAL], 0.999 * largest)
    shares = constant(robot, sheet, "thrust_share", ROTORS) * np.maximum(1.0 + correction[_SHARES], _LEFT_OVER)
    swirl = constant(robot, sheet, "drag_ratio", 1) * max(1.0 + correction[-1], _LEFT_OVER)
    drag = np.maximum(sheet.viscous[:3] + correction[_DRAG], 0.0)
    return replace(
        sheet,
        inertials=inertials,
        viscous=np.concatenate([drag, sheet.viscous[3:]]),
        constants={
            **sheet.constants,
            "thrust_share": tuple(shares.tolist()),
            "drag_ratio": float(swirl[0]),
        },
    )


def coordinate_rates(block: Block) -> Block:
    """The same telemetry with the rates of roll, pitch and yaw in place of the rates about the body's axes."""
    roll, pitch = block.group("q")[:, 3], np.clip(block.group("q")[:, 4], -1.5, 1.5)
    about_x, about_y, about_z = block.group("qd")[:, 3:].T
    across = np.sin(roll) * about_y + np.cos(roll) * about_z
    rates = [
        about_x + np.tan(pitch) * across,
        np.cos(roll) * about_y - np.sin(roll) * about_z,
        across / np.cos(pitch),
    ]
    changed = Block(data=block.data.copy(), actuators=block.actuators)
    changed.group("qd")[:, 3:] = np.stack(rates, axis=1)
    return changed


def turned(q: Array, vectors: Array) -> Array:
    """(N, 3) `vectors` of the world along the axes of a body with the attitude in `q` (N, 6)."""
    cr, cp, cy = np.cos(q[:, 3:]).T
    sr, sp, sy = np.sin(q[:, 3:]).T
    x, y, z = vectors.T
    ahead, left = cy * x + sy * y, cy * y - sy * x
    below = sp * ahead + cp * z
    return np.stack([cp * ahead - sp * z, cr * left + sr * below, cr * below - sr * left], axis=1)


def _skew(a: Array) -> Array:
    """(N, 3, 3) matrices that stand for the cross product with `a` (N, 3)."""
    x, y, z = a.T
    none = np.zeros_like(x)
    return np.stack([none, -z, y, z, none, -x, -y, x, none], axis=1).reshape(-1, 3, 3)


def _inertia(w: Array) -> Array:
    """(N, 3, 6) inertia times `w` (N, 3) per entry xx, xy, yy, xz, yz, zz."""
    x, y, z = w.T
    none = np.zeros_like(x)
    rows = [[x, y, none, z, none, none], [none, x, y, none, z, none], [none, none, none, x, y, z]]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)
