"""Learn this robot from its healthy telemetry: what the URDF got wrong, and how much noise is normal.

    tau = ID(q, v, a) + Y(q, v, a) dpi + diag(v) dviscous + diag(v / sqrt(v^2 + v0^2)) coulomb + noise

is linear in the corrections, so the posterior is Gaussian. The prior keeps what the motion does not show at the URDF's
values. Later faults are measured against the calibrated model, or an arm that is 5 % heavier than its data sheet would
be taken for one that carries a load. Source: Atkeson, An, Hollerbach 1986; prior as in Wensing, Kim, Slotine 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from core.block import Array, Block
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from core.threads import one_thread
from telemetry.drive import given_effort, learn_drive
from telemetry.effort import effort_scale, joint_effort
from telemetry.head import require_head
from telemetry.motion import Motion, best_cutoff_hz, smooth

_DRY_RAD_S = np.geomspace(0.003, 0.1, 7)  # candidates for the speed over which dry friction changes sign
_CLEARLY = 10.0  # log likelihood by which one joint has to differ from the others to get a speed of its own
_SHARE = 0.1  # prior standard deviation of a link's mass and inertia, as a share of nominal
_COM_M = 0.01  # prior standard deviation of a centre of mass
_UNKNOWN_FRICTION = 0.01  # of the effort, at full speed: prior of friction that the data sheet does not speak of
# Shares of the effort that counts as large: no model is better. Where nothing drives, all that a load changes is
# multiplied by noisy accelerations, and the healthy residual knows only of those without it.
_LEAST_NOISE, _LEAST_PASSIVE = 2.5e-5, 6e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The healthy robot: posterior mean and covariance of its corrections, and what the model leaves unexplained."""

    correction: Array  # (12 n,) dpi (10 n), dviscous (n), coulomb (n)
    covariance: Array  # (12 n, 12 n)
    noise_nm: Array  # (n,) standard deviation of the smoothed torque residual
    inflation: Array  # (n,) samples of that residual for each independent one, at least 1
    dry_rad_s: Array  # (n,) speed v0 over which dry friction changes sign
    trust: Array  # (m,) share of the difference between measured and commanded effort that is real
    cutoff_hz: float  # noise and corrections belong to torque without what is faster
    samples: int

    def model(self, robot: Robot) -> RigidBodyModel:
        """The rigid-body model with the corrected inertias and viscous friction."""
        model = RigidBodyModel(robot)
        n = robot.dof
        model.set_inertial_parameters(model.inertial_parameters() + self.correction[: 10 * n])
        model.damping = model.damping + self.correction[10 * n : 11 * n]
        return model

    @property
    def coulomb(self) -> Array:
        """(n,) Coulomb friction [N*m]."""
        return self.correction[-len(self.noise_nm) :]


@one_thread()
def calibrate(robot: Robot, head: Block) -> Calibration:
    """Fit the corrections to a healthy stretch of telemetry.

    Raises:
        BadInput: the stretch is too short to learn from.
    """
    require_head(robot, head)
    rate_hz, lag_s = robot.control_rate_hz, 0.5 * robot.dt_s
    cutoff_hz = best_cutoff_hz(head, rate_hz)
    effort = given_effort(robot, learn_drive(robot, head), head, np.zeros(len(robot.actuators)))
    motion = smooth(head, rate_hz, lag_s, effort)
    # (N, m) measured minus expected effort
    missed = motion.calm(smooth(head, rate_hz, lag_s).tau - motion.tau, cutoff_hz)
    n, count = robot.dof, len(missed)
    prior = 1.0 / np.square(_prior_scale(robot))
    system = linear_system(robot, RigidBodyModel(robot), motion, np.zeros((len(motion), n)))
    columns, target = (
        motion.calm(each.reshape(len(motion), -1), cutoff_hz).reshape(-1, *each.shape[1:]) for each in system
    )
    _take_scale_out(robot, columns, target, prior)

    def fit(dry_rad_s: Array, noise: Array, rounds: int) -> tuple[Array, Array, Array]:
        """Corrections, (N, n) residual and (12 n, 12 n) covariance; noise and fit depend on each other."""
        _set_dry(columns, motion.calm(dry_friction(motion, dry_rad_s), cutoff_hz))
        for _ in range(rounds):
            weights = np.tile(1.0 / noise, count)
            rows = columns * weights[:, None]
            factor = cho_factor(rows.T @ rows + np.diag(prior))
            correction = cho_solve(factor, rows.T @ (target * weights))
            residual = (target - columns @ correction).reshape(count, n)
            noise = _level(robot, residual)
        return correction, residual, cho_solve(factor, np.eye(len(prior)))

    # A column of dry friction changes the torque of its own joint alone, so the joints' noise levels can be compared.
    tried = np.array([_level(robot, fit(np.full(n, speed), np.ones(n), 2)[1]) for speed in _DRY_RAD_S])
    dry_rad_s = _best_speed(count * np.log(tried))
    _, residual, _ = fit(dry_rad_s, np.min(tried, axis=0), 2)
    trust = _real_share(robot, residual, missed)
    target = target + joint_effort(robot, trust * missed).reshape(-1)
    _, residual, _ = fit(dry_rad_s, _level(robot, residual), 1)
    inflation = correlation_time(residual)
    correction, residual, covariance = fit(dry_rad_s, _level(robot, residual) * np.sqrt(inflation), 1)
    return Calibration(
        correction=correction,
        covariance=covariance,
        noise_nm=_level(robot, residual),
        inflation=inflation,
        dry_rad_s=dry_rad_s,
        trust=trust,
        cutoff_hz=cutoff_hz,
        samples=count,
    )


def _take_scale_out(robot: Robot, columns: Array, target: Array, prior: Array) -> None:
    """Keep the rows of joints that nothing drives from saying how heavy the links behind them are.

    Such a row is zero = Y pi: twice the links fit it as well, and none at all fit noisy regressors best. What it says
    of their proportions stays; the scale is what driven joints feel, and the prior. Columns change in place.

    Args:
        columns: (N n, 12 n) regressor.
        target: (N n,) minus the regressor times the nominal parameters, in such rows.
        prior: (12 n,) precision of each correction.
    """
    n = robot.dof
    rows, wanted = columns.reshape(-1, n, columns.shape[1]), target.reshape(-1, n)
    zero = np.zeros(n)
    nominal = np.concatenate([RigidBodyModel(robot).inertial_parameters(), robot.limits.damping, zero])
    for joint in set(range(n)) - set(robot.drives):
        felt = np.where(np.any(rows[:, joint] != 0.0, axis=0), nominal, 0.0)
        weight = prior * felt / (felt @ (prior * felt))
        rows[:, joint] += np.outer(wanted[:, joint], weight)


def _best_speed(misfit: Array) -> Array:
    """(n,) speed over which dry friction changes sign, from the log misfit (S, n) at `_DRY_RAD_S`.

    One for all joints, but for those that clearly differ: a joint with little friction says nothing of its own.
    """

    def valley(curve: Array) -> float:
        k = int(np.clip(np.argmin(curve), 1, len(curve) - 2))
        left, mid, right = curve[k - 1 : k + 2]
        bend = max(left - 2.0 * mid + right, 1e-12)
        step = float(np.clip(0.5 * (left - right) / bend, -1.0, 1.0))
        return float(_DRY_RAD_S[k] * (_DRY_RAD_S[1] / _DRY_RAD_S[0]) ** step)

    common = np.argmin(misfit.sum(axis=1))
    own = misfit[common] - misfit.min(axis=0) > _CLEARLY
    return np.array([valley(misfit[:, j] if own[j] else misfit.sum(axis=1)) for j in range(misfit.shape[1])])


def _real_share(robot: Robot, residual: Array, missed: Array) -> Array:
    """(m,) share of `missed` (N, m) that explains most of the torque residual (N, n): the rest is measurement noise."""
    share = np.zeros(missed.shape[1])
    for k, joint in enumerate(robot.drives):
        if joint is not None and np.any(missed[:, k]):
            share[k] = -residual[:, joint] @ missed[:, k] / (missed[:, k] @ missed[:, k])
    return np.clip(share, 0.0, 1.0)


def _level(robot: Robot, residual: Array) -> Array:
    passive = ~np.isin(np.arange(robot.dof), [joint for joint in robot.drives if joint is not None])
    least = np.where(passive, _LEAST_PASSIVE, _LEAST_NOISE) * effort_scale(robot)
    level: Array = np.maximum(residual.std(axis=0), least)
    return level


def correlation_time(residual: Array) -> Array:
    """(n,) samples for each independent one of the columns of `residual` (N, n), at least 1.

    One plus twice the sum of the autocorrelation up to where pairs of it are no longer positive (Geyer 1992, section
    3.3).
    """
    centred = residual - residual.mean(axis=0)
    rows = len(centred)
    spectrum = np.abs(np.fft.rfft(centred, 2 * rows, axis=0)) ** 2
    correlation = np.fft.irfft(spectrum, axis=0)[:rows]
    correlation = correlation / np.maximum(correlation[0], 1e-300)
    pairs = correlation[: rows // 2 * 2].reshape(-1, 2, correlation.shape[1]).sum(axis=1)
    positive = np.cumprod(pairs > 0, axis=0)
    time: Array = np.maximum(2.0 * (pairs * positive).sum(axis=0) - 1.0, 1.0)
    return time


def dry_friction(motion: Motion, dry_rad_s: Array) -> Array:
    """(N, n) smoothed sign of the motion: dry friction of 1 N*m at each coordinate."""
    return motion.wide.reduce(smooth_sign(motion.wide.v, dry_rad_s))


def smooth_sign(v: Array, over: Array) -> Array:
    """Sign of `v` (..., n), passing through zero over the speed `over` (n,), as dry friction is usually written."""
    sign: Array = v / np.sqrt(np.square(v) + np.square(over))
    return sign


def _prior_scale(robot: Robot) -> Array:
    """(12 n,) prior standard deviations around the URDF."""
    blocks = []
    for pi in RigidBodyModel(robot).inertial_parameters().reshape(-1, 10):
        mass, moment = pi[0], np.array([pi[4], pi[6], pi[9]]).mean()
        first = np.abs(pi[1:4]) * _SHARE + mass * _COM_M
        blocks.append(np.concatenate([[_SHARE * mass], first, np.full(6, _SHARE * moment)]))
    effort = _UNKNOWN_FRICTION * effort_scale(robot)
    viscous = 0.3 * np.array(robot.limits.damping) + effort / np.array(robot.limits.speed)
    return np.concatenate([*blocks, viscous, effort])


def linear_system(robot: Robot, model: RigidBodyModel, motion: Motion, dry: Array) -> tuple[Array, Array]:
    """Regressor (N n, 12 n) and target (N n,): what the nominal model does not explain of the torque.

    Args:
        dry: (N, n) from `dry_friction`.
    """
    n = robot.dof
    columns = np.zeros((len(motion), n, 12 * n))
    target = joint_effort(robot, motion.tau)
    for k, (q, v, a) in enumerate(zip(motion.q, motion.v, motion.a, strict=True)):
        columns[k, :, : 10 * n] = model.inertial_regressor(q, v, a)
        target[k] -= model.inverse_dynamics(q, v, a)
    columns[:, range(n), range(10 * n, 11 * n)] = motion.v
    flat = columns.reshape(-1, 12 * n)
    _set_dry(flat, dry)
    return flat, target.reshape(-1)


def _set_dry(columns: Array, dry: Array) -> None:
    n = dry.shape[1]
    columns.reshape(len(dry), n, -1)[:, range(n), range(11 * n, 12 * n)] = dry
