"""Channels of actuators: the residual of all balances along what each actuator does to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from core.block import Array
from core.robot import Robot
from core.robot_toml import load_robot
from telemetry.watch.directions import Directions
from telemetry.watch.row import Row

ROWS = 4000
NOISE = np.array([1.0, 0.1, 5.0])  # a loud, a quiet and a very loud balance


@pytest.fixture(name="robot", scope="module")
def _robot() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "quadrotor" / "robot.toml")


def _levers(seed: int = 1) -> Array:
    """(ROWS, 3, 4): the second rotor shows above all in the quiet balance, and directions turn with the robot."""
    rng = np.random.default_rng(seed)
    lever = np.array([[1.0, 1.0, 1.0, 1.0], [0.02, 0.3, -0.02, -0.03], [2.0, -2.0, 2.0, -4.0]])
    return lever * (1.0 + 0.2 * np.sin(np.arange(ROWS) / 90.0)[:, None, None]) + 0.005 * rng.standard_normal((1, 3, 4))


def _rows(lever: Array, driven: int = 0) -> list[Row]:
    still = np.zeros(len(lever))
    balances = [
        Row(channel=f"b{k}", target=still, features=lever[:, k], rate=still, lever=lever[:, k], driven=driven)
        for k in range(3)
    ]
    plain = Row(channel="plain", target=still, features=lever[:, 0], rate=still)
    return [*balances[:1], plain, *balances[1:]]


def _learnt(robot: Robot, lever: Array, gains: Array | None = None) -> Directions:
    weights = [np.zeros(5) if gains is None else np.concatenate([[0.0], gains]) for _ in range(4)]
    noise = np.array([NOISE[0], 7.0, NOISE[1], NOISE[2]])
    return Directions(robot, _rows(lever, 0 if gains is None else 4), weights, noise)


def _residual(lever: Array, effort: Array, seed: int = 2) -> Array:
    """(ROWS, 4) residuals of the three balances, and of one without a lever, under a loss of `effort` (4,)."""
    rng = np.random.default_rng(seed)
    balances = NOISE * rng.standard_normal((len(lever), 3)) + lever @ effort
    return np.concatenate([balances[:, :1], 1e3 * np.ones((len(lever), 1)), balances[:, 1:]], axis=1)


def test_channels_are_named_after_actuators_and_only_where_there_are_levers(robot: Robot) -> None:
    lever = _levers()
    assert _learnt(robot, lever).channels == tuple(f"{name}.output" for name in robot.actuators)
    without = [replace(row, lever=None) for row in _rows(lever)]
    assert Directions(robot, without, [np.zeros(5)] * 4, np.ones(4)).channels == ()


def test_healthy_residuals_are_one_standard_deviation_along_every_direction(robot: Robot) -> None:
    lever = _levers()
    along, _ = _learnt(robot, lever).along(_rows(lever), _residual(lever, np.zeros(4)))
    assert along.shape == (ROWS, 4)
    assert along.std(axis=0) == pytest.approx(np.ones(4), rel=0.05)
    assert along.mean(axis=0) == pytest.approx(np.zeros(4), abs=0.07)


@pytest.mark.parametrize("rotor", range(4))
def test_the_actuator_to_blame_leads_and_no_single_balance_shows_more(robot: Robot, rotor: int) -> None:
    lever, effort = _levers(), np.zeros(4)
    effort[rotor] = 0.8
    residual = _residual(lever, effort)
    along, unit = _learnt(robot, lever).along(_rows(lever), residual)
    shift = along.mean(axis=0)
    assert int(np.argmax(np.abs(shift))) == rotor
    assert shift[rotor] == pytest.approx(float((unit[:, rotor] * 0.8).mean()), abs=0.07)  # what one unit would be
    assert shift[rotor] > np.abs(residual[:, [0, 2, 3]].mean(axis=0) / NOISE).max() - 0.03


def test_what_each_actuator_is_worth_is_what_the_head_has_taught(robot: Robot) -> None:
    lever, gains = _levers(), np.array([1.0, 1.0, 1.0, -2.0])  # the last rotor turned out to push the other way
    effort = np.array([0.0, 0.0, 0.0, 0.8])
    along, _ = _learnt(robot, lever, gains).along(_rows(lever, 4), _residual(lever * gains, effort))
    shift = along.mean(axis=0)
    assert int(np.argmax(shift)) == 3
