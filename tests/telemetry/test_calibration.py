"""Calibration learns what a robot's data sheet got wrong, and what it cannot know it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import sim
from core.block import Block
from core.errors import BadInput
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from core.robot_toml import load_robot
from sim.kinds import hidden_physics
from telemetry.calibration import Calibration, calibrate, correlation_time, dry_friction, linear_system, smooth_sign
from telemetry.drive import given_effort, learn_drive
from telemetry.motion import Motion, Wide, smooth

SEED, HEAD_S = 1, 40.0
Recorder = Callable[..., Block]


@pytest.fixture(scope="module")
def iiwa() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")


@pytest.fixture(scope="module")
def calibration(iiwa: Robot, record_arm: Recorder) -> Calibration:
    return calibrate(iiwa, record_arm(SEED, HEAD_S))


def motion_of(robot: Robot, block: Block) -> Motion:
    """Motion with the effort that the drives most likely gave."""
    effort = given_effort(robot, learn_drive(robot, block), block, np.zeros(7))
    return smooth(block, robot.control_rate_hz, 0.5 * robot.dt_s, effort)


def unexplained(model: RigidBodyModel, dry: NDArray[np.float64], motion: Motion) -> NDArray[np.float64]:
    """(7,) root mean square of the torque that model and dry friction (N, 7) do not explain [N*m]."""
    said = np.array([model.inverse_dynamics(*row) for row in zip(motion.q, motion.v, motion.a, strict=True)])
    return np.asarray(np.sqrt(np.mean(np.square(motion.tau - said - dry), axis=0)))


def test_the_calibrated_model_explains_motion_that_it_has_not_seen(
    iiwa: Robot, calibration: Calibration, record_arm: Recorder
) -> None:
    later = motion_of(iiwa, record_arm(SEED, 8.0, "none", 77))
    nominal = unexplained(RigidBodyModel(iiwa), np.zeros((1, 7)), later)
    dry = dry_friction(later, calibration.dry_rad_s) * calibration.coulomb
    fitted = unexplained(calibration.model(iiwa), dry, later)
    assert np.all(fitted < nominal)
    assert np.linalg.norm(fitted) < 0.08 * np.linalg.norm(nominal)
    np.testing.assert_allclose(fitted, calibration.noise_nm, rtol=0.5)


def test_friction_is_measured_at_working_speed(iiwa: Robot, calibration: Calibration) -> None:
    """Viscous and dry friction cannot be told apart well; their sum at the speeds of the work can."""
    hidden, fitted = hidden_physics(iiwa, SEED), calibration.model(iiwa)
    for speed in (0.1, 0.2, 0.3, 0.5):
        breakaway = np.exp(-((speed / hidden.stribeck_rad_s) ** 2))
        dry = hidden.coulomb + (hidden.stiction - hidden.coulomb) * breakaway
        true = hidden.viscous * speed + dry
        found = fitted.damping * speed + calibration.coulomb * smooth_sign(np.full(7, speed), calibration.dry_rad_s)
        nominal = np.array(iiwa.limits.damping) * speed
        assert np.abs(found - true).max() < 0.2
        assert np.linalg.norm(found - true) < 0.4 * np.linalg.norm(nominal - true)


def test_gravity_is_that_of_this_robot(iiwa: Robot, calibration: Calibration) -> None:
    true = RigidBodyModel(iiwa)
    true.set_inertial_parameters(hidden_physics(iiwa, SEED).inertials)
    nominal, fitted = RigidBodyModel(iiwa), calibration.model(iiwa)
    rng = np.random.default_rng(5)
    poses = rng.uniform(iiwa.tasks.low, iiwa.tasks.high, (40, 7))
    before = np.array([nominal.gravity(q) - true.gravity(q) for q in poses])
    after = np.array([fitted.gravity(q) - true.gravity(q) for q in poses])
    assert np.sqrt(np.mean(after**2)) < 0.2 * np.sqrt(np.mean(before**2))


def test_the_posterior_is_a_covariance_that_shrinks_with_data(
    iiwa: Robot, calibration: Calibration, record_arm: Recorder
) -> None:
    c = calibration.covariance
    assert c.shape == (84, 84)
    np.testing.assert_allclose(c, c.T, atol=1e-9)
    assert np.linalg.eigvalsh(c).min() > -1e-12
    head = record_arm(SEED, HEAD_S)
    short = calibrate(iiwa, head.between(0.0, 12.0))
    assert np.all(np.diag(c) <= np.diag(short.covariance) * 1.5)
    assert np.trace(c) < np.trace(short.covariance)
    assert calibration.samples == len(motion_of(iiwa, head))


def test_the_linear_system_is_exact_for_the_parameters_that_made_the_torque(iiwa: Robot) -> None:
    rng = np.random.default_rng(3)
    model = RigidBodyModel(iiwa)
    true = RigidBodyModel(iiwa)
    correction = np.concatenate([0.03 * np.abs(model.inertial_parameters()), rng.uniform(0, 1, 14)])
    true.set_inertial_parameters(model.inertial_parameters() + correction[:70])
    true.damping = model.damping + correction[70:77]
    q, v, a = rng.uniform(-1, 1, (3, 20, 7))
    tau = np.array([true.inverse_dynamics(*row) for row in zip(q, v, a, strict=True)])
    dry = rng.uniform(-1, 1, (20, 7))
    tau += dry * correction[77:]
    wide = Wide(q=q, v=v, tau=tau, rate_hz=500.0, cutoff_hz=10.0)
    motion = Motion(t_s=np.arange(20.0), q=q, v=v, a=a, tau=tau, wide=wide)
    columns, target = linear_system(iiwa, model, motion, dry)
    assert columns.shape == (140, 84)
    np.testing.assert_allclose(columns @ correction, target, atol=1e-8)


def still(robot: Robot) -> Block:
    """Twelve seconds at home, without any noise."""
    model, q, n = RigidBodyModel(robot), np.array(robot.home), robot.dof
    weight = model.gravity(q)
    rows = round(12.0 * robot.control_rate_hz)
    data = np.tile(np.concatenate([[0.0, 0.0], q, np.zeros(n), weight, weight, q, np.zeros(2 * n)]), (rows, 1))
    data[:, 0], data[:, 1] = np.arange(rows), np.arange(rows) * robot.dt_s * 1e9
    return Block(data=data, actuators=n)


def test_what_counts_as_no_noise_and_no_friction_is_a_share_of_the_drives(iiwa: Robot) -> None:
    """The same arm with motors a thousand times as weak: its last newton millimetre is worth something."""
    weak_limits = replace(iiwa.limits, effort=tuple(0.001 * effort for effort in iiwa.limits.effort))
    weak = replace(iiwa, limits=weak_limits)
    strong, small = calibrate(iiwa, still(iiwa)), calibrate(weak, still(iiwa))
    np.testing.assert_allclose(strong.noise_nm, 2.5e-5 * np.array(iiwa.limits.effort))
    np.testing.assert_allclose(small.noise_nm, 0.001 * strong.noise_nm)
    spread = np.sqrt(np.diag(small.covariance))[-7:] / np.sqrt(np.diag(strong.covariance))[-7:]
    np.testing.assert_allclose(spread, 0.001)


def test_a_robot_that_stands_still_keeps_its_data_sheet(iiwa: Robot) -> None:
    np.testing.assert_allclose(calibrate(iiwa, still(iiwa)).correction, 0.0, atol=1e-3)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0, 8.9])
def test_a_head_that_is_too_short_is_refused_in_one_sentence(iiwa: Robot, seconds: float) -> None:
    rows = round(seconds * iiwa.control_rate_hz)
    data = np.zeros((rows, 51))
    data[:, 1] = np.arange(rows) * iiwa.dt_s * 1e9
    with pytest.raises(BadInput) as caught:
        calibrate(iiwa, Block(data=data, actuators=7))
    expected = f"{seconds:.1f} s of healthy motion are too few to learn from; record at least 9 s"
    assert str(caught.value) == expected


def test_a_head_of_the_length_that_the_refusal_asks_for_is_enough(iiwa: Robot, record_arm: Recorder) -> None:
    assert calibrate(iiwa, record_arm(SEED, HEAD_S).between(0.0, 9.0)).samples >= 200


def test_smoothing_keeps_signals_of_one_instant_together(iiwa: Robot) -> None:
    rate = iiwa.control_rate_hz
    t = np.arange(6 * rate) / rate
    size, omega = np.linspace(0.2, 0.8, 7), np.linspace(2.0, 9.0, 7)
    angle = np.outer(t, omega)
    lag_s = 0.001
    groups: list[Any] = [
        size * np.sin(angle),
        size * omega * np.cos(angle),
        5.0 * np.sin(angle - omega * lag_s),
        *[np.zeros((len(t), 7))] * 4,
    ]
    motion = smooth(
        Block(data=np.column_stack([np.arange(len(t)), 1e9 * t, *groups]), actuators=7), rate, torque_lag_s=lag_s
    )
    inner = np.outer(motion.t_s, omega)
    keep = (motion.t_s > 0.6) & (motion.t_s < 5.4)
    np.testing.assert_allclose(motion.q[keep], (size * np.sin(inner))[keep], atol=2e-3)
    np.testing.assert_allclose(motion.v[keep], (size * omega * np.cos(inner))[keep], atol=1e-2)
    np.testing.assert_allclose(motion.a[keep], (-size * omega**2 * np.sin(inner))[keep], atol=0.1)
    np.testing.assert_allclose(motion.tau[keep], (5.0 * np.sin(inner))[keep], atol=2e-2)
    assert len(motion) == pytest.approx(25 * 5.8, abs=2)
    np.testing.assert_allclose(motion.wide.reduce(motion.wide.q)[keep], motion.q[keep], atol=2e-3)


def test_dry_friction_changes_sign_as_fast_as_on_this_robot(iiwa: Robot, calibration: Calibration) -> None:
    assert np.all((calibration.dry_rad_s >= 0.005) & (calibration.dry_rad_s <= 0.02))  # 0.01 rad/s in the simulation


def test_correlated_residuals_count_as_fewer_samples() -> None:
    rng = np.random.default_rng(3)
    white = rng.standard_normal((4000, 2))
    slow = white.copy()
    for k in range(1, len(slow)):
        slow[k, 1] += 0.8 * slow[k - 1, 1]
    time = correlation_time(slow)
    assert time[0] == pytest.approx(1.0, abs=0.3)
    assert time[1] == pytest.approx(9.0, rel=0.3)  # (1 + 0.8) / (1 - 0.8)
    assert np.all(correlation_time(np.zeros((50, 2))) == 1.0)
