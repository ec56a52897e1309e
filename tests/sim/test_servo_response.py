"""Drives with a loop of their own: what noise, gaps and delays of their telemetry say of them, and what not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sim
from core.block import Block
from core.robot_toml import load_robot
from sim.effect import Effect
from sim.twin.drive import DriveResponse
from sim.twin.parts import Stretch
from telemetry.drive import follow, learn_drive
from telemetry.motion import low_pass
from telemetry.servo import Loop

ROBOT = load_robot(Path(str(sim.__file__)).parent / "robots" / "quadruped" / "robot.toml")
STIFFNESS, DAMPING, M = 100.0, 2.0, 12
EVERY = (1.0,) * M


def telemetry(seconds: float, seed: int, late: int = 0, sway_rad: float = 0.05) -> Block:
    """Servos of legs that sway whatever they are asked for, read with the noise of the robot's sensors."""
    rng, rate_hz = np.random.default_rng(seed), ROBOT.control_rate_hz
    ticks, n = round(seconds * rate_hz), ROBOT.dof
    q = np.array(ROBOT.home) + sway_rad * low_pass(rng.normal(0.0, 4.0, (ticks, n)), 1.5, rate_hz)
    qd = np.gradient(q, ROBOT.dt_s, axis=0)
    command = q[:, :M] + sway_rad * low_pass(rng.normal(0.0, 2.0, (ticks, M)), 5.0, rate_hz)
    in_force = np.concatenate([np.repeat(command[:1], late, axis=0), command[: ticks - late]])
    effort = STIFFNESS * (in_force - q[:, :M]) - DAMPING * qd[:, :M]
    block = Block(data=np.zeros((ticks, 2 + 5 * n + 2 * M)), actuators=M)
    block.data[:, 1] = np.arange(ticks) * ROBOT.dt_s * 1e9
    block.group("tau_cmd")[:] = command
    sensors = ROBOT.sensors
    for name, truth, std in (
        ("q", q, sensors.position_noise),
        ("qd", qd, sensors.velocity_noise),
        ("tau_meas", effort, sensors.effort_noise),
    ):
        block.group(name)[:] = truth + np.array(std) * rng.standard_normal(truth.shape)
    return block


def response(after: Block) -> DriveResponse:
    head = telemetry(30.0, seed=1)
    stretch = Stretch(robot=ROBOT, head=head, after=after, around=None, drive=learn_drive(ROBOT, head))
    return DriveResponse(stretch)


def test_noise_of_the_motion_does_not_look_like_a_lag() -> None:
    drive = learn_drive(ROBOT, telemetry(30.0, seed=1))
    assert drive.lag_s == 0.0
    assert drive.loop is not None
    assert drive.loop.stiffness == pytest.approx(np.full(M, STIFFNESS), rel=0.02)
    assert drive.loop.damping == pytest.approx(np.full(M, DAMPING), rel=0.05)


def test_legs_that_hardly_move_say_nothing_for_a_lag() -> None:
    """There a lag costs nothing but smoothes sensor noise, which must not count."""
    gains = []
    for seed in range(10):
        parts = response(telemetry(2.0, seed=100 + seed, sway_rad=0.001))
        gains.append(parts.gain(Effect(motor_lag_s=tuple(0.05 * x for x in EVERY))))
    assert np.mean(gains) < 2.0


@pytest.mark.parametrize("lag_s", [0.0, 0.03])
def test_noise_that_is_left_in_a_smoothed_motion_is_known(lag_s: float) -> None:
    loop = Loop(stiffness=np.full(M, STIFFNESS), damping=np.full(M, DAMPING))
    rng, ticks, sensors = np.random.default_rng(5), 20_000, ROBOT.sensors
    read = Block(data=np.zeros((ticks, 2 + 5 * ROBOT.dof + 2 * M)), actuators=M)
    read.group("q")[:] = np.array(sensors.position_noise) * rng.standard_normal((ticks, ROBOT.dof))
    read.group("qd")[:] = np.array(sensors.velocity_noise) * rng.standard_normal((ticks, ROBOT.dof))
    load = loop.load(ROBOT, read)
    effort = follow(load.effort.T, lag_s, ROBOT.dt_s, np.zeros((M, 1))).T if lag_s else load.effort
    assert np.all(load.cutoff_hz <= 15.0)  # there is nothing but noise
    assert load.variance(np.full(M, lag_s)) == pytest.approx(effort.var(axis=0), rel=0.1)


def test_readings_that_never_came_are_no_fault_of_the_drive() -> None:
    after = telemetry(2.0, seed=7)
    whole = np.square(response(after).healthy.expected(ROBOT, after) - after.group("tau_meas")).mean(axis=0)
    q = after.group("q")
    for tick in range(1, len(q)):
        if tick % 3:
            q[tick, 4] = q[tick - 1, 4]
    parts = response(after)
    left = np.square(parts.healthy.expected(ROBOT, after) - after.group("tau_meas")).mean(axis=0)
    assert left[4] < 1.3 * whole[4]


def test_a_delay_of_a_share_of_a_tick_is_one_age_for_all_ticks() -> None:
    tick_s = ROBOT.dt_s
    parts = response(telemetry(2.0, seed=9, late=1))
    one, most = parts.gain(Effect(delay_s=tick_s)), parts.gain(Effect(delay_s=0.6 * tick_s))
    assert abs(one - most) < 1.0  # not that much for every tick
    assert min(one, most) > 100.0
    change = [parts.change(Effect(delay_s=share * tick_s)) for share in (0.6, 1.0)]
    assert change[0] == pytest.approx(0.6 * change[1])
