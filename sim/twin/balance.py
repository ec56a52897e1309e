"""The balance of forces and moments on a trunk that legs carry, and what healthy telemetry corrects in it.

A foot pushes with the force that its leg's torques and weight say, whether it stands or swings:

    f = J^-T (w_leg - tau)              w: inverse dynamics without contact, tau: torque of the joints

so the six rows of the floating base balance without any knowledge of the contacts (Featherstone 2008, ch. 9):

    0 = P (w_legs - tau) - w_trunk      P = J_trunk^T J_leg^-T

Corrections of inertias and friction enter linearly, as on an arm (`telemetry.calibration`). The trunk moves as the legs
that stand say. Only the finished balance is smoothed: its terms are products of signals, and a swinging leg is fast.
What it leaves unexplained is for a good part what dry friction holds in joints at rest (`sim.twin.held`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pinocchio as pin
from scipy.linalg import cho_factor, cho_solve

from core.block import Block
from core.legs import Legs, up_in_trunk
from core.rigid_body import Array
from core.robot import Robot
from sim.kinds import nominal_physics
from sim.physics import Physics, physical_inertials
from sim.twin.held import RowNoise, kept_sign
from telemetry.calibration import smooth_sign
from telemetry.drive import HealthyDrive, learn_drive
from telemetry.head import require_head
from telemetry.motion import SAMPLE_HZ, low_pass, smooth

CUTOFF_HZ = 5.0  # above the gait, below most of the noise of differentiated speeds
_DRY_RAD_S = np.array(0.02)  # speed over which dry friction changes sign
_DRY_HZ = 15.0  # of the filter of that speed: noise would change its sign as well
_TURN_HZ = 8.0  # of the filter of an angle against whose turns dry friction acts
_TURN_RAD = 1.5e-3  # way over which dry friction turns round, half of it to either side: more than noise goes
_STANDS_N = (3.0, 9.0)  # a foot counts as standing from the first force on, in full from the second
_SHARE = 0.1  # prior standard deviation of a body's mass and inertia, as a share of nominal
_COM_M = 0.01  # prior standard deviation of a centre of mass
_BAD = 0.3  # of the noise of measured effort: an expected effort that errs by more is no better
_LEAST_NOISE = 1e-3  # N or N*m
_ROUNDS = 4  # noise and corrections settle each other


@dataclass(frozen=True, slots=True, kw_only=True)
class LegCalibration:
    """The healthy legged robot: posterior of its corrections, and what the balance leaves unexplained."""

    correction: Array  # (10 (m + 1) + 2 m,) inertial parameters of trunk and legs, then viscous and Coulomb friction
    covariance: Array  # (p, p)
    noise: Array  # (6,) standard deviation of the smoothed balance [N, N*m], but for what resting joints hold
    inflation: Array  # (6,) samples of it for each independent one, at least 1
    held_nm: Array  # (m,) standard deviation of the torque that dry friction holds in a joint at rest


class Balance:
    """The six rows over one stretch of telemetry: M ticks, or N smoothed samples of them."""

    def __init__(self, robot: Robot, block: Block, drive: HealthyDrive) -> None:
        self.legs = Legs(robot)
        prompt = prompt_speeds(block)
        load = drive.load(robot, prompt)
        # what was asked for has no noise of measurement, unless the reading is bad that the servo goes by
        self.unsure = drive.worse(load) > _BAD * drive.noise  # (m,)
        effort = np.where(self.unsure, prompt.group("tau_meas"), drive.expected(robot, prompt, load))
        self._wide = smooth(prompt, robot.control_rate_hz, effort=effort, cutoff_hz=CUTOFF_HZ).wide
        self.q, self.v, self.tau = self._wide.q, self._wide.v, self._wide.tau
        self._dt_s = robot.dt_s
        self._velocity, self._acceleration = self.motion(self.q)
        self.P, self.w = self.terms(self.q)

    def reduce(self, signal: Array) -> Array:
        """(N, ...) `signal` (M, ...), smoothed and sampled."""
        reduced: Array = self._wide.reduce(signal.reshape(len(signal), -1)).reshape(-1, *signal.shape[1:])
        return reduced

    def motion(self, q: Array) -> tuple[Array, Array]:
        """Velocity and acceleration (M, 6 + m) of trunk, in its axes, and joints, at positions `q` (M, n)."""
        m = self.legs.m
        velocity = np.concatenate([self._trunk_velocity(q), self.v[:, m:], self.v[:, :m]], axis=1)
        return velocity, np.gradient(velocity, self._dt_s, axis=0)

    def _trunk_velocity(self, q: Array) -> Array:
        """(M, 3) velocity of the trunk in its own axes: its joints and its turning take the standing feet nowhere."""
        legs, m = self.legs, self.legs.m
        points, jacobian = legs.contacts(q)
        push = foot_forces(legs, q, self.tau)
        standing = (np.einsum("nki,ni->nk", push, up_in_trunk(q[:, m:])) - _STANDS_N[0]) / np.diff(_STANDS_N)
        weight = np.clip(standing, 1e-6, 1.0)
        feet = np.einsum("nkij,nkj->nki", jacobian, self.v[:, :m].reshape(-1, legs.feet, 3))
        feet += np.cross(self.v[:, None, m:], points)
        velocity: Array = -(weight[..., None] * feet).sum(axis=1) / weight.sum(axis=1)[:, None]
        return velocity

    def terms(self, q: Array, velocity: Array | None = None, acceleration: Array | None = None) -> tuple[Array, Array]:
        """P (M, 6, m) and w (M, 6 + m) of the legs' present inertias at positions `q` (M, n), moving as read or so."""
        legs = self.legs
        w = np.array([pin.rnea(legs.model, legs.data, *row) for row in self._rows(q, velocity, acceleration)])
        return legs.push(q), w

    def _rows(
        self, q: Array, velocity: Array | None = None, acceleration: Array | None = None
    ) -> list[tuple[Array, Array, Array]]:
        """Configuration, velocity and acceleration of each tick, as Pinocchio takes them."""
        velocity = self._velocity if velocity is None else velocity
        acceleration = self._acceleration if acceleration is None else acceleration
        return list(zip(self.legs.configurations(q), velocity, acceleration, strict=True))

    def missing(self, P: Array, w: Array) -> Array:
        """(M, 6) force [N] and moment [N*m], in the trunk's axes, by which the legs do more than they have to."""
        missing: Array = np.einsum("nij,nj->ni", P, w[:, 6:] - self.tau) - w[:, :6]
        return missing

    def of_joints(self, torque: Array) -> Array:
        """(N, 6, m) what a loss of `torque` (M, m) at each joint adds to the balance."""
        return -self.reduce(self.P * torque[:, None, :])

    def slow(self) -> Array:
        """(M, m) joint speeds without most of their noise [rad/s]."""
        return low_pass(self.v[:, : self.legs.m], _DRY_HZ, self._wide.rate_hz)

    def dry(self) -> Array:
        """(M, m) smoothed sign of the joint speeds: dry friction of 1 N*m, as small as that of a healthy joint.

        The law's noise shakes it loose where the joint rests.
        """
        return smooth_sign(self.slow(), _DRY_RAD_S)

    def kept(self) -> Array:
        """(M, m) dry friction of 1 N*m, so large that it keeps its torque where the joint rests."""
        return kept_sign(low_pass(self.q[:, : self.legs.m], _TURN_HZ, self._wide.rate_hz), _TURN_RAD)

    def at_rest(self, dry: Array, share: Array | float = 1.0) -> Array:
        """(N, 6, m) what 1 N*m, or a `share` (M, m) of it, in each joint adds, as far as `dry` (M, m) is not 1."""
        return self.reduce(self.P * (np.sqrt(1.0 - np.square(dry)) * share)[:, None, :])

    def system(self) -> tuple[Array, Array]:
        """Columns (N, 6, p) of the corrections, and what they have to explain (N, 6)."""
        legs, p = self.legs, 10 * (self.legs.m + 1)
        inertial = np.empty((len(self.q), 6, p))
        for t, row in enumerate(self._rows(self.q)):
            regressor = pin.computeJointTorqueRegressor(legs.model, legs.data, *row)
            inertial[t] = regressor[:6] - self.P[t] @ regressor[6:]
        speed = self.v[:, : legs.m]
        friction = [self.of_joints(speed), self.of_joints(self.dry())]
        columns = np.concatenate([self.reduce(inertial), *friction], axis=2)
        return columns, self.reduce(self.missing(self.P, self.w))


def foot_forces(legs: Legs, q: Array, torque: Array) -> Array:
    """(M, k, 3) force [N] of the ground on each foot, in the trunk's axes, if legs have no weight."""
    jacobian = legs.contacts(q)[1]
    return np.asarray(-np.linalg.solve(np.swapaxes(jacobian, 2, 3), torque.reshape(-1, legs.feet, 3, 1))[..., 0])


def calibrate_legs(robot: Robot, head: Block) -> LegCalibration:
    """Fit the corrections to a healthy stretch of telemetry.

    Raises:
        BadInput: the stretch is too short to learn from.
    """
    require_head(robot, head)
    balance = Balance(robot, head, learn_drive(robot, prompt_speeds(head)))
    (columns, target), at_rest = balance.system(), balance.at_rest(balance.dry())
    flat, prior = columns.reshape(-1, columns.shape[2]), np.diag(1.0 / np.square(_prior_scale(robot)))
    m = balance.legs.m
    noise = RowNoise(level=target.std(axis=0), inflation=np.ones(6), held_nm=np.zeros(m))
    for _ in range(_ROUNDS):
        weighted = noise.solve(at_rest, np.column_stack([flat, target.reshape(-1)]), SAMPLE_HZ)
        factor = cho_factor(flat.T @ weighted[:, :-1] + prior)
        correction = cho_solve(factor, flat.T @ weighted[:, -1])
        left = (target.reshape(-1) - flat @ correction).reshape(target.shape)
        noise = noise.learnt(at_rest, left, np.maximum(correction[-m:], 0.0), SAMPLE_HZ)
    return LegCalibration(
        correction=correction,
        covariance=cho_solve(factor, np.eye(len(prior))),
        noise=np.maximum(noise.level, _LEAST_NOISE),
        inflation=noise.inflation,
        held_nm=noise.held_nm,
    )


def _prior_scale(robot: Robot) -> Array:
    """(p,) prior standard deviations of the corrections."""
    blocks = []
    for pi in Legs(robot).inertials().reshape(-1, 10):
        mass, moment = pi[0], np.array([pi[4], pi[6], pi[9]]).mean()
        first = np.abs(pi[1:4]) * _SHARE + mass * _COM_M
        blocks.append(np.concatenate([[_SHARE * mass], first, np.full(6, _SHARE * moment)]))
    viscous = 0.3 * np.array(robot.limits.damping[: len(robot.actuators)]) + 0.02
    return np.concatenate([*blocks, viscous, 0.01 * np.array(robot.limits.effort)])


def legs_physics(robot: Robot, correction: Array) -> Physics:
    """The twin's physics for one value of the corrections."""
    nominal, m = nominal_physics(robot), len(robot.actuators)
    of_trunk = np.zeros(robot.dof - m)
    inertials, viscous, coulomb = np.split(correction, [10 * (m + 1), 10 * (m + 1) + m])
    dry = np.concatenate([np.maximum(coulomb, 0.0), of_trunk])
    return replace(
        nominal,
        inertials=physical_inertials(nominal.inertials + inertials),
        viscous=np.maximum(nominal.viscous + np.concatenate([viscous, of_trunk]), 0.0),
        coulomb=dry,
        stiction=dry,
    )


def leg_rates(block: Block) -> Block:
    """`block` with velocities that are the rates of its positions, at the same instant."""
    changed, n = prompt_speeds(block), block.dof
    roll, pitch = block.group("q")[:, n - 3 : n - 1].T
    x, y, z = block.group("qd")[:, n - 3 :].T
    across = y * np.sin(roll) + z * np.cos(roll)
    changed.group("qd")[:, n - 3 :] = np.stack(
        [x + across * np.tan(pitch), y * np.cos(roll) - z * np.sin(roll), across / np.cos(pitch)], axis=1
    )
    return changed


def prompt_speeds(block: Block) -> Block:
    """`block` with joint speeds of the instant: what an encoder says is the mean over the control period before."""
    changed = Block(data=block.data.copy(), actuators=block.actuators)
    mean = block.group("qd")[:, : block.dof - 3]
    speed = changed.group("qd")[:, : block.dof - 3]
    speed[:-1] = 0.5 * (mean[:-1] + mean[1:])
    speed[1:-2] = (7.0 * (mean[1:-2] + mean[2:-1]) - mean[:-3] - mean[3:]) / 12.0  # of fourth order in the period
    return changed
