"""Drives that follow late, now and then, slowly, or not all the way: which fault does the likelihood prefer?"""

from __future__ import annotations

import numpy as np
import pytest

from core.block import Array, Block
from core.robot import Robot
from sim.effect import NO_EFFECT, Effect
from sim.twin.drive import DriveResponse
from tests.sim.stretches import block_of, robot_named, stretch_of

OWN = 2  # ticks from a command to the reading of its effort


@pytest.fixture
def robot() -> Robot:
    return robot_named("arm2")


def commands(robot: Robot, rows: int, seed: int) -> Array:
    """(N, m) commands that change every tick."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.standard_normal((rows, len(robot.actuators))), axis=0)
    limit = np.array(robot.limits.effort)
    return 0.8 * limit * np.sin(0.1 * walk)


def telemetry(robot: Robot, command: Array, effort: Array) -> Block:
    noise = np.random.default_rng(len(effort)).standard_normal(effort.shape) * np.array(robot.sensors.effort_noise)
    still = np.zeros((len(effort), robot.dof))
    return block_of(robot, still, still, effort + noise, command)


def late(command: Array, ages: Array) -> Array:
    """(N, m) the command that is `ages` (N,) ticks old."""
    effort: Array = command[np.maximum(np.arange(len(command)) - ages, 0)]
    return effort


def response(robot: Robot, command: Array, effort: Array, own: int = OWN) -> DriveResponse:
    before = commands(robot, 3000, 1)
    head = telemetry(robot, before, late(before, np.full(len(before), own)))
    return DriveResponse(stretch_of(robot, head, telemetry(robot, command, effort)))


def best(part: DriveResponse, effects: dict[str, Effect]) -> str:
    return max(effects, key=lambda name: part.gain(effects[name]))


@pytest.mark.parametrize("name", ["arm2", "cartpole", "diffdrive", "iiwa"])
def test_no_effect_gains_nothing_whenever_in_a_tick_commands_arrive(name: str) -> None:
    robot = robot_named(name)
    command = commands(robot, 1000, 2)
    part = response(robot, command, late(command, np.full(1000, OWN)))
    assert part.gain(NO_EFFECT) == 0.0
    assert part.gain(Effect(delay_s=1e-9)) == pytest.approx(0.0, abs=0.01)
    for effect in (Effect(delay_s=3 * robot.dt_s), Effect(drop_share=0.2), Effect(jitter_s=4 * robot.dt_s)):
        assert part.gain(effect) < -10.0


def test_commands_that_are_always_late_by_as_much_are_delayed_and_not_scattered(robot: Robot) -> None:
    command = commands(robot, 1000, 2)
    part = response(robot, command, late(command, np.full(1000, OWN + 1)))
    dt_s = robot.dt_s
    delays = {f"{k}": Effect(delay_s=k * 0.1 * dt_s) for k in range(40)}
    found = 0.1 * int(best(part, delays))
    assert 1.0 <= found <= 2.0  # one tick older, whenever within the tick they come
    scattered = max(part.gain(Effect(jitter_s=k * 0.25 * dt_s)) for k in range(1, 40))
    assert part.gain(Effect(delay_s=found * dt_s)) > scattered + 20.0


def test_jitter_of_less_than_two_ticks_is_not_taken_for_delay(robot: Robot) -> None:
    rng = np.random.default_rng(5)
    command, spread = commands(robot, 1000, 2), 1.6
    arrives = np.arange(1000) + OWN - 0.9 + spread * rng.uniform(size=1000)
    newest = [max((k for k in range(max(n - 8, 0), n + 1) if arrives[k] <= n), default=0) for n in range(1000)]
    part = response(robot, command, late(command, np.arange(1000) - np.array(newest)))
    jitters = {f"{k}": Effect(jitter_s=0.1 * k * robot.dt_s) for k in range(1, 60)}
    found = best(part, jitters)
    assert 0.1 * int(found) == pytest.approx(spread, abs=0.3)
    delayed = max(part.gain(Effect(delay_s=0.1 * k * robot.dt_s)) for k in range(60))
    assert part.gain(jitters[found]) > delayed + 100.0


def test_lost_commands_are_counted_and_are_no_jitter(robot: Robot) -> None:
    command = commands(robot, 1000, 2)
    lost = np.random.default_rng(6).uniform(size=1000) < 0.3
    arrived = np.where(lost, 0, np.arange(1000))
    age = np.arange(1000) - np.maximum.accumulate(arrived)
    part = response(robot, command, late(command, OWN + age))
    shares = {f"{k}": Effect(drop_share=0.02 * k) for k in range(25)}
    found = best(part, shares)
    assert 0.02 * int(found) == pytest.approx(0.3, abs=0.06)
    assert part.gain(shares[found]) > max(part.gain(Effect(jitter_s=k * robot.dt_s)) for k in range(1, 10)) + 5.0


def test_a_limit_of_a_hundredth_is_looked_at_where_it_is(robot: Robot) -> None:
    """Between the points of a grid over the whole range it would be missed."""
    command = 0.02 * commands(robot, 1000, 2)
    effort = late(command, np.full(1000, OWN))
    high = 0.0083 * robot.limits.effort[1]
    effort[:, 1] = np.clip(effort[:, 1], -high, high)
    part = response(robot, command, effort)
    assert part.hints()["limit_loss"][1] == pytest.approx(1.0 - 0.0083, abs=3e-4)
    assert part.gain(Effect(limit_loss=(0.0, float(part.hints()["limit_loss"][1])))) > 10.0


def test_a_drive_that_saturates_early_is_told_from_a_slow_one_and_from_its_neighbour(robot: Robot) -> None:
    command = commands(robot, 1000, 2)
    effort = late(command, np.full(1000, OWN))
    high = 0.5 * robot.limits.effort[1]
    effort[:, 1] = np.clip(effort[:, 1], -high, high)
    part = response(robot, command, effort)
    faults = {
        "second": Effect(limit_loss=(0.0, 0.5)),
        "first": Effect(limit_loss=(0.5, 0.0)),
        "slow": Effect(motor_lag_s=(0.0, 0.005)),
        "more": Effect(limit_loss=(0.0, 0.6)),
        "less": Effect(limit_loss=(0.0, 0.4)),
    }
    assert best(part, faults) == "second"


def test_a_slow_drive_beside_a_prompt_one_is_told_from_a_late_bus(robot: Robot) -> None:
    """Both at once: the prompt drive shows the delay as whole ticks, the slow one as the mean over a tick."""
    command = commands(robot, 1000, 2)
    effort = late(command, np.full(1000, OWN + 1))
    mean = 0.5 * (effort[:, 0] + late(command, np.full(1000, OWN + 2))[:, 0])
    share = 1.0 - np.exp(-robot.dt_s / 0.015)
    effort[0, 0] = mean[0]
    for k in range(1, 1000):
        effort[k, 0] = effort[k - 1, 0] + share * (mean[k] - effort[k - 1, 0])
    part = response(robot, command, effort)
    lag, late_by = (0.015, 0.0), 1.5 * robot.dt_s
    both = part.gain(Effect(motor_lag_s=lag, delay_s=late_by))
    for other in (
        Effect(motor_lag_s=lag),
        Effect(delay_s=late_by),
        Effect(motor_lag_s=lag, drop_share=0.3),
        Effect(motor_lag_s=lag, jitter_s=2.0 * late_by),
        Effect(motor_lag_s=(0.0, 0.015), delay_s=late_by),
    ):
        assert both > part.gain(other) + 100.0


@pytest.mark.parametrize(
    "effect",
    [Effect(delay_s=0.004), Effect(motor_lag_s=(0.01, 0.0)), Effect(limit_loss=(0.6, 0.0)), Effect(sag=0.4)],
    ids=["delay", "lag", "limit", "sag"],
)
def test_the_change_of_effort_is_what_the_fault_changed(robot: Robot, effect: Effect) -> None:
    command = commands(robot, 1000, 2)
    healthy = late(command, np.full(1000, OWN))
    given = healthy
    if effect.delay_s:
        given = late(command, np.full(1000, OWN + 2))
    if effect.motor_lag_s:
        given = healthy.copy()
        share = 1.0 - np.exp(-robot.dt_s / 0.01)
        for k in range(1, 1000):
            given[k, 0] = given[k - 1, 0] + share * (healthy[k, 0] - given[k - 1, 0])
    if effect.limit_loss:
        given = healthy.copy()
        given[:, 0] = np.clip(healthy[:, 0], -0.4 * robot.limits.effort[0], 0.4 * robot.limits.effort[0])
    if effect.sag:
        load = np.abs(healthy).sum(axis=1, keepdims=True) / sum(robot.limits.effort)
        given = healthy * (1.0 - 0.4 * load)
    part = response(robot, command, given)
    settled = slice(60, None)
    noise = 3.0 * np.array(robot.sensors.effort_noise)
    assert np.all(np.abs((part.change(effect) - (given - healthy))[settled]) <= noise)
