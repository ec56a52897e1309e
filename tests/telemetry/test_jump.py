"""An encoder that slips is seen in any joint and posture; motion, noise and drift alone are not a slip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from core.block import Array, Block
from core.robot import Robot
from core.robot_toml import load_robot
from telemetry.jump import measure_jump

DT_S = 0.002


@pytest.fixture(scope="module")
def iiwa() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")


def moving(robot: Robot, seconds: float, seed: int, slip_rad: Array | None = None, at_s: float = 1.0) -> Block:
    """Sines in every joint with sensor noise; the encoders slip by `slip_rad` at `at_s`."""
    rng = np.random.default_rng(seed)
    n = robot.dof
    t = np.arange(round(seconds / DT_S)) * DT_S
    omega, phase = rng.uniform(1.0, 4.0, n), rng.uniform(0.0, 6.0, n)
    q = 0.4 * np.sin(np.outer(t, omega) + phase)
    v = 0.4 * omega * np.cos(np.outer(t, omega) + phase)
    if slip_rad is not None:
        q = q + (t >= at_s)[:, None] * slip_rad
    data = np.zeros((len(t), 2 + 7 * n))
    data[:, 0], data[:, 1] = np.arange(len(t)), t * 1e9
    data[:, 2 : 2 + n] = q + rng.normal(0, 5e-5, q.shape)
    data[:, 2 + n : 2 + 2 * n] = v + rng.normal(0, 2e-3, v.shape)
    return Block(data=data, actuators=7)


@pytest.mark.parametrize("joint", [0, 3, 6])
def test_a_slip_is_measured_in_the_joint_it_is_in(iiwa: Robot, joint: int) -> None:
    slip = np.zeros(iiwa.dof)
    slip[joint] = -0.02
    jump = measure_jump(iiwa, moving(iiwa, 20.0, 1), moving(iiwa, 3.0, 2, slip))
    assert jump.is_significant
    np.testing.assert_allclose(jump.rad, slip, atol=0.002)
    assert abs(jump.rad[joint] + 0.02) < 6 * jump.std_rad[joint]


@pytest.mark.parametrize("seed", range(5))
def test_motion_alone_is_no_slip(iiwa: Robot, seed: int) -> None:
    jump = measure_jump(iiwa, moving(iiwa, 20.0, seed), moving(iiwa, 3.0, 100 + seed))
    assert not jump.is_significant
    assert np.all(jump.std_rad > 0)


def test_a_slip_before_the_stretch_says_nothing(iiwa: Robot) -> None:
    slipped = moving(iiwa, 4.0, 2, np.full(iiwa.dof, 0.05), at_s=0.5).between(1.0, 4.0)
    assert not measure_jump(iiwa, moving(iiwa, 20.0, 1), slipped).is_significant


def test_below_a_share_of_the_range_two_sensors_may_disagree(iiwa: Robot) -> None:
    quiet = moving(iiwa, 20.0, 1).data.copy()
    quiet[:, 2:9], quiet[:, 9:16] = np.array(iiwa.home), 0.0
    still = Block(data=quiet, actuators=7)
    spread = np.array(iiwa.limits.upper) - np.array(iiwa.limits.lower)
    np.testing.assert_allclose(measure_jump(iiwa, still, still[:1500]).std_rad, 1.7e-5 * np.minimum(spread, 6.0))
    short = replace(iiwa, limits=replace(iiwa.limits, lower=tuple(iiwa.home), upper=tuple(q + 0.01 for q in iiwa.home)))
    np.testing.assert_allclose(measure_jump(short, still, still[:1500]).std_rad, 1.7e-7, rtol=1e-6)
