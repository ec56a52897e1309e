"""The monitor on simulated robots of every kind: quiet while they are healthy, quick and right when they are not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from core.block import Block
from core.robot import Robot
from sim.catalogue import find_robot
from sim.effect import Effect
from sim.twin.expected import expected_with
from sim.twin.kinds import twin_kind_of
from sim.workday import record
from telemetry.monitor import Monitor

HEAD_S, ONSET_S, END_S = 40.0, 20.0, 26.0


@cache
def robot_of(name: str) -> Robot:
    return find_robot(name)


@cache
def recorded(name: str, fault: str, seconds: float) -> Block:
    return record(robot_of(name), seconds, fault=fault, seed=3)


def monitor_of(name: str) -> Monitor:
    return Monitor(robot_of(name), recorded(name, "none", 75.0).between(0.0, HEAD_S))


@pytest.mark.parametrize("name", ["iiwa", "arm2", "cartpole", "quadrotor", "diffdrive", "quadruped"])
def test_a_healthy_robot_raises_no_event(name: str) -> None:
    monitor = monitor_of(name)
    day = recorded(name, "none", 75.0)
    for start_s, end_s in ((HEAD_S, 60.0), (60.0, 75.0)):
        assert monitor.watch(day.between(start_s, end_s)) is None
        times, ratios = monitor.scores
        assert start_s - 0.1 <= times[0] < times[-1] < end_s
        assert 0.0 < ratios.max() < 1.0
    assert monitor.threshold_basis == "extrapolated"


@pytest.mark.parametrize(
    ("name", "fault", "channels", "kinds", "within_s"),
    [
        ("iiwa", "payload:mass=5", {"joint_2.torque", "joint_4.torque"}, {"bias", "gain"}, 0.3),
        ("iiwa", "motor_lag:joint=2", {"joint_2.drive"}, {"delay", "oscillation", "noise"}, 0.7),
        ("iiwa", "sensor_noise:joint=5", {"joint_5.travel"}, {"noise"}, 0.5),
        ("arm2", "actuator_loss:joint=1", {"shoulder.torque"}, {"gain", "bias"}, 0.5),
        ("cartpole", "coulomb:joint=1", {"cart.torque"}, {"friction", "bias", "gain"}, 1.5),
        ("quadrotor", "thrust_loss:rotor=2", {"rotor_2.output"}, {"bias", "gain"}, 0.3),
        ("quadrotor", "wind", {"x.force"}, {"bias", "gain"}, 0.5),
        ("diffdrive", "wheel_radius:wheel=2", {"right.rolling"}, {"gain"}, 1.5),
        ("quadruped", "actuator_loss:joint=3", {"FL_calf.output"}, {"gain", "bias"}, 0.5),
        ("quadruped", "payload", {"z.force"}, {"bias"}, 0.3),
        ("quadruped", "freeze:joint=4", {"FR_hip.q"}, {"freeze"}, 0.5),
    ],
)
def test_a_fault_is_one_event_in_its_place(
    name: str, fault: str, channels: set[str], kinds: set[str], within_s: float
) -> None:
    monitor = monitor_of(name)
    spec = f"{fault}{',' if ':' in fault else ':'}onset={ONSET_S}"
    telemetry = recorded(name, spec, END_S)
    assert monitor.watch(telemetry.between(2.0, ONSET_S)) is None
    event = monitor.watch(telemetry.between(ONSET_S, END_S))
    assert event is not None
    assert event.alarm_s < ONSET_S + within_s
    settled = monitor.tracker.events[0]
    assert settled.channel in channels
    assert settled.kind in kinds
    assert len(monitor.tracker.events) == 1


@pytest.mark.parametrize(
    ("name", "fault", "channel"),
    [
        *(("quadrotor", f"thrust_loss:rotor={k},gain=0.9", f"rotor_{k}.output") for k in (1, 3, 4)),
        ("quadruped", "actuator_loss:joint=8", "RL_thigh.output"),
        ("quadruped", "actuator_loss:joint=12", "RR_calf.output"),
    ],
)
def test_of_all_balances_the_weak_actuator_itself_leads(name: str, fault: str, channel: str) -> None:
    monitor = monitor_of(name)
    weak = recorded(name, f"{fault},onset={ONSET_S}", END_S)
    assert monitor.watch(weak.between(2.0, END_S)) is not None
    (event,) = monitor.tracker.events
    assert (event.channel, event.ranking[0][0]) == (channel, channel)


@pytest.mark.parametrize(("name", "light_kg"), [("iiwa", 0.2), ("arm2", 0.06)])
def test_a_load_within_the_tolerance_is_healthy_and_five_times_that_is_not(name: str, light_kg: float) -> None:
    assert robot_of(name).payload_tolerance_kg == light_kg
    for kg, healthy in ((light_kg, True), (5.0 * light_kg, False)):
        monitor = monitor_of(name)
        event = monitor.watch(recorded(name, f"payload:mass={kg:g},onset={ONSET_S}", END_S).between(2.0, END_S))
        assert (event is None) is healthy
    strict = replace(robot_of(name), payload_tolerance_kg=0.0)
    monitor = Monitor(strict, recorded(name, "none", 75.0).between(0.0, HEAD_S), 6.0)
    assert monitor.watch(recorded(name, f"payload:mass={light_kg:g},onset={ONSET_S}", END_S).between(2.0, END_S))


@pytest.mark.parametrize(("name", "fault"), [("quadrotor", "thrust_loss:rotor=2"), ("quadruped", "freeze:joint=4")])
def test_telemetry_in_pieces_is_judged_as_it_is_at_once(name: str, fault: str) -> None:
    telemetry = recorded(name, f"{fault},onset={ONSET_S}", END_S).between(18.0, 22.0)
    whole, pieces = monitor_of(name), monitor_of(name)
    whole.watch(telemetry)
    at, scores = 0, []
    for length in [1, 2, 3, 7, 50, 0] * (len(telemetry) // 63 + 1):
        pieces.watch(telemetry[at : at + length])
        scores.append(pieces.scores)
        at += length
    assert whole.tracker.events
    assert pieces.tracker.events == whole.tracker.events
    for one, others in zip(whole.scores, zip(*scores, strict=True), strict=True):
        assert one.tobytes() == np.concatenate(others).tobytes()


def test_a_load_that_stays_is_normal_once_it_is_expected_and_its_end_is_news() -> None:
    robot, name = robot_of("iiwa"), "iiwa"
    monitor, head = monitor_of(name), recorded(name, "none", 75.0).between(0.0, HEAD_S)
    loaded = recorded(name, "payload:mass=5,onset=20,lasts=20", 46.0)
    assert monitor.watch(loaded.between(2.0, 24.0)) is not None
    calibration = twin_kind_of(robot).calibrate(robot, head)
    expected = expected_with(robot, calibration, Effect(payload_kg=5.0))
    assert expected is not None
    monitor.expect(expected, loaded.between(21.0, 24.0))
    assert monitor.watch(loaded.between(24.0, 40.0)) is None
    gone = monitor.watch(loaded.between(40.0, 46.0))
    assert gone is not None
    assert gone.alarm_s < 40.5


def test_a_wind_that_stays_is_learnt_by_a_robot_without_a_model_to_put_it_into() -> None:
    monitor = monitor_of("quadrotor")
    windy = recorded("quadrotor", "wind:force=0.05,onset=20,lasts=25", 50.0)
    assert monitor.watch(windy.between(2.0, 28.0)) is not None
    monitor.expect(None, windy.between(21.0, 28.0))
    assert monitor.watch(windy.between(28.0, 45.0)) is None
    assert monitor.watch(windy.between(45.0, 50.0)) is not None


def test_expecting_a_delay_shifts_the_commands() -> None:
    robot, name = robot_of("iiwa"), "iiwa"
    monitor, head = monitor_of(name), recorded(name, "none", 75.0).between(0.0, HEAD_S)
    late = recorded(name, "delay:ms=6,onset=20", 40.0)
    assert monitor.watch(late.between(2.0, 26.0)) is not None
    calibration = twin_kind_of(robot).calibrate(robot, head)
    monitor.expect(expected_with(robot, calibration, Effect(delay_s=0.006)), late.between(21.0, 26.0))
    assert monitor.watch(late.between(26.0, 40.0)) is None
    assert np.isfinite(monitor.scores[1]).all()
