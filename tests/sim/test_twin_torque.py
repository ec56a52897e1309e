"""Torque that the calibrated arm does not explain: what stops hide, and what a calm robot keeps."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from core.block import Array
from core.robot import Robot
from sim.effect import Effect
from sim.twin.torque import TorqueRows
from sim.workday import record
from telemetry.calibration import Calibration, calibrate
from tests.sim.stretches import block_of, robot_named, stretch_of


@cache
def learnt() -> tuple[Robot, Calibration]:
    robot = robot_named("cartpole")
    return robot, calibrate(robot, record(robot, 20.0, seed=5))


def rows_of(q: Array, effort: Array, cutoff_hz: float = 10.0) -> TorqueRows:
    """Rows of a cart and pole at `q` (N, 2), with velocities to match."""
    robot, calibration = learnt()
    calibration = replace(calibration, cutoff_hz=cutoff_hz)
    qd = np.gradient(q, robot.dt_s, axis=0)
    block = block_of(robot, q, qd, effort, effort)
    return TorqueRows(stretch_of(robot, record(robot, 20.0, seed=5), block), calibration)


def swing(rows: int) -> Array:
    return 0.5 * np.sin(3.0 * np.arange(rows) * robot_named("cartpole").dt_s)


def test_a_cart_that_leans_on_its_stop_says_nothing_of_its_effort_and_the_pole_says_all_it_can() -> None:
    robot, _ = learnt()
    stop = robot.limits.lower[0]
    q = np.stack([np.full(400, stop), swing(400)], axis=1)
    rows = rows_of(q, np.full((400, 1), -15.0))
    assert not np.any(rows.residual[:, 0])
    assert not np.any(rows.shift(Effect(stiffness=(20.0, 0.0))))
    assert not np.any(rows.nuisance[:, 0])
    pulled = rows.shift(Effect(stiffness=(0.0, 2.0)))[:, 1]
    assert np.abs(pulled).max() > 0.5


def test_a_reading_that_stands_still_does_not_hide_the_stop_that_the_joint_has_run_into() -> None:
    robot, calibration = learnt()
    qd = np.zeros((600, 2))
    qd[:200, 0] = -0.6  # until the cart is at its stop, and then on without moving
    frozen = np.zeros((600, 2))
    frozen[:, 0] = robot.limits.lower[0] + 0.6 * 200 * robot.dt_s
    effort = np.where(np.arange(600) < 200, 0.0, -15.0)[:, None]
    block = block_of(robot, frozen, qd, effort, effort)
    stretch = stretch_of(robot, record(robot, 20.0, seed=5), block)
    rows = TorqueRows(stretch, replace(calibration, cutoff_hz=10.0))
    assert not np.any(rows.nuisance[-8:, 0])
    assert np.all(np.any(rows.nuisance[:5, 0] != 0.0, axis=1))


def test_an_impact_upsets_every_joint_for_as_long_as_the_filter_remembers_it() -> None:
    robot, _ = learnt()
    bounce = robot.limits.upper[0] - np.abs(0.3 * (np.arange(400) * robot.dt_s - 1.0))
    rows = rows_of(np.stack([bounce, swing(400)], axis=1), np.zeros((400, 1)))
    says = np.any(rows.nuisance != 0.0, axis=2)
    assert np.array_equal(says[:, 0], says[:, 1])
    assert 0 < says[:, 0].sum() < len(says)


def test_torque_of_a_noisy_robot_is_calmed_after_it_was_computed() -> None:
    """A pole that turns once a second: its weight is a sine of that frequency whatever the noise allows to see."""
    robot, calibration = learnt()
    assert calibration.cutoff_hz < 5.0
    turns = 2.0 * np.pi * 1.0 * np.arange(600) * robot.dt_s
    load = Effect(payload_kg=0.3)
    rows = rows_of(np.stack([np.zeros(600), turns], axis=1), np.zeros((600, 1)), calibration.cutoff_hz).shift(load)[
        :, 1
    ]
    arm = robot.payload_point_m[2]
    assert np.abs(rows).max() == pytest.approx(0.3 * 9.81 * abs(arm), rel=0.05)
