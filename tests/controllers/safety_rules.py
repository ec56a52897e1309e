"""What the safety-critical modules promise, as plain functions that take the module to judge.

`test_envelope.py` and `test_canary.py` hold the shipped modules to them; `test_mutation.py` checks that no altered copy
passes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sim
from core.errors import Conflict
from core.frames import Frame, Reference
from core.robot import JointLimits, Robot
from core.robot_toml import load_robot

Rule = Callable[[ModuleType], None]

_IIWA = load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")

# Two joints with limits that are exact in binary, so that every border can be stood on.
ROBOT: Robot = replace(
    _IIWA,
    joints=("big", "small"),
    units=("rad", "rad"),
    tracked=(0, 1),
    actuators=("big", "small"),
    control_rate_hz=128,
    limits=JointLimits(
        lower=(-1.0, -2.0),
        upper=(1.0, 2.0),
        speed=(4.0, 8.0),
        damping=(0.0, 0.0),
        effort_low=(-64.0, -8.0),
        effort_high=(64.0, 8.0),
        effort=(64.0, 8.0),
    ),
    drive=replace(_IIWA.drive, command_rate=(2048.0, 512.0), rotor_inertia=(0.0, 0.0)),
    envelope=replace(
        _IIWA.envelope,
        power_w=64.0,
        speed_fraction=0.5,
        braking_fraction=0.5,
        reject_factor=2.0,
        stale_after_s=0.03125,
    ),
)
INERTIA = (32.0, 2.0)
STEP_NM = (16.0, 4.0)
STALE_NS = 31_250_000
ZERO = (0.0, 0.0)


def frame(q: Sequence[float] = ZERO, qd: Sequence[float] = ZERO, stamp_ns: int = 0) -> Frame:
    return Frame(seq=0, stamp_ns=stamp_ns, q=list(q), qd=list(qd), tau_meas=[0.0, 0.0], tau_cmd=[0.0, 0.0])


def rule(
    m: ModuleType,
    tau: Sequence[float] | None,
    q: Sequence[float] = ZERO,
    qd: Sequence[float] = ZERO,
    previous: Sequence[float] | None = None,
    now_ns: int = 0,
) -> Any:
    """The ruling of a fresh envelope; by default the last command was this one, so that only limits bind."""
    before = previous if previous is not None else (ZERO if tau is None else tau)
    return m.Envelope(ROBOT, INERTIA).rule(tau, frame(q, qd), before, now_ns)


def refused(m: ModuleType, breach: str, joint: int | None, ruling: Any) -> None:
    assert ruling.tau is None
    assert ruling.breach is m.Breach[breach]
    assert ruling.joint == joint
    assert ruling.clipped is False


def let_out(ruling: Any, tau: Sequence[float], clipped: bool = False) -> None:
    assert ruling.tau == list(tau)
    assert ruling.breach is None
    assert ruling.joint is None
    assert ruling.clipped is clipped


# --- envelope ---------------------------------------------------------------------------------------------------------


def a_command_inside_every_limit_passes_unchanged(m: ModuleType) -> None:
    let_out(rule(m, [3.0, -2.0], q=(0.5, -0.5), qd=(0.5, -0.5)), [3.0, -2.0])
    let_out(rule(m, [3.0, -2.0], previous=(0.0, 0.0)), [3.0, -2.0])


def a_missing_command_or_one_of_the_wrong_length_is_refused(m: ModuleType) -> None:
    for tau in (None, [], [0.0], [0.0, 0.0, 0.0]):
        refused(m, "NOT_FINITE", None, rule(m, tau, previous=ZERO))


def a_command_that_is_not_finite_is_refused(m: ModuleType) -> None:
    for bad in (math.nan, math.inf, -math.inf):
        refused(m, "NOT_FINITE", 0, rule(m, [bad, 0.0], previous=ZERO))
        refused(m, "NOT_FINITE", 1, rule(m, [0.0, bad], previous=ZERO))


def a_measurement_that_is_not_finite_is_refused(m: ModuleType) -> None:
    for bad in (math.nan, math.inf, -math.inf):
        refused(m, "BAD_MEASUREMENT", 0, rule(m, [0.0, 0.0], q=(bad, 0.0)))
        refused(m, "BAD_MEASUREMENT", 1, rule(m, [0.0, 0.0], q=(0.0, bad)))
        refused(m, "BAD_MEASUREMENT", 0, rule(m, [0.0, 0.0], qd=(bad, 0.0)))
        refused(m, "BAD_MEASUREMENT", 1, rule(m, [0.0, 0.0], qd=(0.0, bad)))


def a_stale_measurement_is_refused_and_so_is_one_from_the_future(m: ModuleType) -> None:
    for now_ns in (0, 1, STALE_NS):
        let_out(rule(m, [0.0, 0.0], now_ns=now_ns), [0.0, 0.0])
    for now_ns in (-1, STALE_NS + 1, 10**12):
        refused(m, "STALE", None, rule(m, [0.0, 0.0], now_ns=now_ns))
    later = m.Envelope(ROBOT, INERTIA).rule([0.0, 0.0], frame(stamp_ns=10**12), ZERO, 10**12 + STALE_NS)
    let_out(later, [0.0, 0.0])


def torque_beyond_the_limit_is_clipped_and_far_beyond_refused(m: ModuleType) -> None:
    for sign in (1.0, -1.0):
        let_out(rule(m, [64.0 * sign, 8.0 * sign]), [64.0 * sign, 8.0 * sign])
        let_out(rule(m, [64.5 * sign, 0.0]), [64.0 * sign, 0.0], clipped=True)
        let_out(rule(m, [0.0, 8.5 * sign]), [0.0, 8.0 * sign], clipped=True)
        let_out(rule(m, [128.0 * sign, 16.0 * sign]), [64.0 * sign, 8.0 * sign], clipped=True)
        refused(m, "FAR_BEYOND_LIMIT", 0, rule(m, [128.5 * sign, 0.0]))
        refused(m, "FAR_BEYOND_LIMIT", 1, rule(m, [0.0, 16.5 * sign]))


def a_change_faster_than_the_drive_is_clipped(m: ModuleType) -> None:
    for sign in (1.0, -1.0):
        let_out(rule(m, [16.0 * sign, 4.0 * sign], previous=ZERO), [16.0 * sign, 4.0 * sign])
        let_out(rule(m, [17.0 * sign, 0.0], previous=ZERO), [16.0 * sign, 0.0], clipped=True)
        let_out(rule(m, [0.0, 5.0 * sign], previous=ZERO), [0.0, 4.0 * sign], clipped=True)
        let_out(rule(m, [0.0, 0.0], previous=(20.0 * sign, 0.0)), [4.0 * sign, 0.0], clipped=True)
        let_out(rule(m, [60.0 * sign, 5.0 * sign], previous=(0.0, 4.0 * sign)), [16.0 * sign, 5.0 * sign], clipped=True)


def the_torque_limit_holds_whatever_the_last_command_was(m: ModuleType) -> None:
    for previous in (1e3, 1e300, math.inf):
        let_out(rule(m, [0.0, 0.0], previous=(previous, 0.0)), [64.0, 0.0], clipped=True)
        let_out(rule(m, [0.0, 0.0], previous=(0.0, -previous)), [0.0, -8.0], clipped=True)
    let_out(rule(m, [100.0, 0.0], previous=(math.nan, 0.0)), [64.0, 0.0], clipped=True)


def a_joint_faster_than_its_limit_is_refused(m: ModuleType) -> None:
    for sign in (1.0, -1.0):
        away = -0.9 * sign  # room to stop is a rule of its own
        let_out(rule(m, [0.0, 0.0], q=(away, 0.0), qd=(sign, 0.0)), [0.0, 0.0])
        let_out(rule(m, [0.0, 0.0], q=(0.0, -1.9 * sign), qd=(0.0, 2.5 * sign)), [0.0, 0.0])
        refused(m, "OVERSPEED", 0, rule(m, [0.0, 0.0], q=(away, 0.0), qd=(2.0 * sign + sign / 64, 0.0)))
        refused(m, "OVERSPEED", 1, rule(m, [0.0, 0.0], q=(0.0, -1.9 * sign), qd=(0.0, 4.0 * sign + sign / 64)))
    exactly = m.Envelope(ROBOT, (1.0, 0.25)).rule([0.0, 0.0], frame(qd=(2.0, -4.0)), ZERO, 0)
    let_out(exactly, [0.0, 0.0])


def a_joint_without_room_to_stop_is_refused(m: ModuleType) -> None:
    # 0.5 * 32 kg*m^2 * (1 rad/s)^2 / (0.5 * 64 N*m) = 0.5 rad; joint 2: 0.5 * 2 * 4 / 4 = 1 rad at 2 rad/s
    for sign in (1.0, -1.0):
        let_out(rule(m, [0.0, 0.0], q=(0.5 * sign, 0.0), qd=(sign, 0.0)), [0.0, 0.0])
        refused(m, "JOINT_LIMIT", 0, rule(m, [0.0, 0.0], q=(0.5 * sign + sign / 64, 0.0), qd=(sign, 0.0)))
        let_out(rule(m, [0.0, 0.0], q=(0.0, sign), qd=(0.0, 2.0 * sign)), [0.0, 0.0])
        refused(m, "JOINT_LIMIT", 1, rule(m, [0.0, 0.0], q=(0.0, sign + sign / 64), qd=(0.0, 2.0 * sign)))
        refused(m, "JOINT_LIMIT", 0, rule(m, [0.0, 0.0], q=(1.5 * sign, 0.0), qd=(sign / 1024, 0.0)))


def a_joint_beyond_its_limit_may_rest_and_come_back(m: ModuleType) -> None:
    for sign in (1.0, -1.0):
        let_out(rule(m, [1.0, 0.0], q=(1.5 * sign, 0.0)), [1.0, 0.0])
        let_out(rule(m, [1.0, 0.0], q=(1.5 * sign, 0.0), qd=(-sign / 2, 0.0)), [1.0, 0.0])
        let_out(rule(m, [1.0, 0.0], q=(0.9 * sign, 0.0), qd=(-sign, 0.0)), [1.0, 0.0])


def too_much_power_in_all_joints_together_is_refused(m: ModuleType) -> None:
    for a, b in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)):
        let_out(rule(m, [60.0 * a, 4.0 * b], qd=(1.0, 1.0), q=(-0.5, 0.0)), [60.0 * a, 4.0 * b])
        refused(m, "POWER", None, rule(m, [60.0 * a, 4.25 * b], qd=(1.0, 1.0), q=(-0.5, 0.0)))
    # judged on what would go out, not on what was asked for
    let_out(rule(m, [128.0, 0.0], qd=(1.0, 0.0), q=(-0.5, 0.0)), [64.0, 0.0], clipped=True)


def earlier_joints_and_rules_are_named_first(m: ModuleType) -> None:
    refused(m, "STALE", None, rule(m, None, q=(math.nan, 0.0), now_ns=-1))
    refused(m, "BAD_MEASUREMENT", 0, rule(m, [math.nan, math.nan], q=(math.nan, 0.0), previous=ZERO))
    refused(m, "OVERSPEED", 0, rule(m, [1e3, 1e3], qd=(9.0, 9.0)))
    refused(m, "FAR_BEYOND_LIMIT", 0, rule(m, [1e3, math.nan]))
    refused(m, "NOT_FINITE", 1, rule(m, [1.0, math.nan], previous=ZERO))
    refused(m, "OVERSPEED", 0, rule(m, [0.0, 0.0], qd=(3.0, 0.0), q=(2.0, 0.0)))


def a_measurement_of_the_wrong_length_is_refused(m: ModuleType) -> None:
    for q, qd in (((), ZERO), ((0.0,), ZERO), (ZERO, (0.0,)), ((0.0,) * 3, (0.0,) * 3), ((0.0,) * 3, ZERO)):
        refused(m, "BAD_MEASUREMENT", None, rule(m, [0.0, 0.0], q=q, qd=qd))


_CART = replace(  # a driven cart and a passive pole
    ROBOT, actuators=("big",), limits=replace(ROBOT.limits, effort_low=(-64.0,), effort_high=(64.0,), effort=(64.0,))
)
_CART = replace(_CART, drive=replace(_CART.drive, command_rate=(2048.0,)))


def a_coordinate_without_a_drive_is_held_to_its_range_and_speed(m: ModuleType) -> None:
    guard = m.Envelope(_CART, INERTIA)
    let_out(guard.rule([3.0], frame((0.0, 1.75), (0.0, 1.0)), [3.0], 0), [3.0])  # nothing brakes it: no stopping room
    let_out(guard.rule([3.0], frame((0.0, 2.0), (0.0, 1.0)), [3.0], 0), [3.0])
    refused(m, "JOINT_LIMIT", 1, guard.rule([3.0], frame((0.0, 2.0 + 1 / 64), (0.0, 1.0)), [3.0], 0))
    refused(m, "JOINT_LIMIT", 1, guard.rule([3.0], frame((0.0, -2.0 - 1 / 64), (0.0, -1.0)), [3.0], 0))
    let_out(guard.rule([3.0], frame((0.0, 2.5), (0.0, -1.0)), [3.0], 0), [3.0])  # on its way back
    refused(m, "OVERSPEED", 1, guard.rule([3.0], frame((0.0, 0.0), (0.0, 4.0 + 1 / 64)), [3.0], 0))
    refused(m, "POWER", None, guard.rule([64.0], frame((-0.5, 0.0), (1.0 + 1 / 64, 0.0)), [64.0], 0))
    let_out(guard.rule([64.0], frame((-0.5, 0.0), (1.0, 4.0)), [64.0], 0), [64.0])  # the pole's speed is no power
    refused(m, "NOT_FINITE", None, guard.rule([3.0, 3.0], frame(), [3.0], 0))


_THRUST = replace(
    ROBOT,
    mode="thrust",
    actuators=("rotor_a", "rotor_b"),
    limits=replace(ROBOT.limits, effort_low=(0.0, 2.0), effort_high=(8.0, 4.0), effort=(8.0, 4.0)),
)


def a_command_range_need_not_lie_about_zero(m: ModuleType) -> None:
    guard = m.Envelope(_THRUST, INERTIA)
    let_out(guard.rule([0.0, 2.0], frame(), [0.0, 2.0], 0), [0.0, 2.0])
    let_out(guard.rule([-0.5, 1.5], frame(), [0.0, 2.0], 0), [0.0, 2.0], clipped=True)
    let_out(guard.rule([8.5, 4.5], frame(), [8.0, 4.0], 0), [8.0, 4.0], clipped=True)
    let_out(guard.rule([12.0, 5.0], frame(), [8.0, 4.0], 0), [8.0, 4.0], clipped=True)  # twice as far from the middle
    let_out(guard.rule([-4.0, 1.0], frame(), [0.0, 2.0], 0), [0.0, 2.0], clipped=True)
    refused(m, "FAR_BEYOND_LIMIT", 0, guard.rule([12.0 + 1 / 64, 3.0], frame(), [8.0, 3.0], 0))
    refused(m, "FAR_BEYOND_LIMIT", 0, guard.rule([-4.0 - 1 / 64, 3.0], frame(), [8.0, 3.0], 0))
    refused(m, "FAR_BEYOND_LIMIT", 1, guard.rule([4.0, 5.0 + 1 / 64], frame(), [4.0, 3.0], 0))
    refused(m, "FAR_BEYOND_LIMIT", 1, guard.rule([4.0, 1.0 - 1 / 64], frame(), [4.0, 3.0], 0))
    let_out(guard.rule([8.0, 4.0], frame(qd=(2.0, 4.0)), [8.0, 4.0], 0), [8.0, 4.0])  # a rotor has no joint power


def without_torque_mode_there_is_no_power_limit(m: ModuleType) -> None:
    servo = m.Envelope(replace(ROBOT, mode="position"), INERTIA)
    let_out(servo.rule([60.0, 4.25], frame((-0.5, 0.0), (1.0, 1.0)), [60.0, 4.25], 0), [60.0, 4.25])


def around_a_swap_less_is_let_out(m: ModuleType) -> None:
    tight = m.tightened(ROBOT.envelope)
    assert (tight.power_w, tight.speed_fraction, tight.braking_fraction) == (0.9 * 64.0, 0.9 * 0.5, 0.9 * 0.5)
    assert (tight.reject_factor, tight.stale_after_s) == (1.5, 0.03125)
    assert m.tightened(replace(ROBOT.envelope, reject_factor=5.0)).reject_factor == 3.0
    guard = m.Envelope(replace(ROBOT, envelope=tight), INERTIA)
    let_out(guard.rule([96.0, 12.0], frame(), [96.0, 12.0], 0), [64.0, 8.0], clipped=True)
    refused(m, "FAR_BEYOND_LIMIT", 0, guard.rule([96.5, 0.0], frame(), [64.0, 0.0], 0))
    refused(m, "OVERSPEED", 0, guard.rule([0.0, 0.0], frame((-0.9, 0.0), (1.9, 0.0)), ZERO, 0))
    refused(m, "JOINT_LIMIT", 0, guard.rule([0.0, 0.0], frame((0.48, 0.0), (1.0, 0.0)), ZERO, 0))
    refused(m, "POWER", None, guard.rule([60.0, 0.0], frame((-0.5, 0.0), (1.0, 0.0)), [60.0, 0.0], 0))
    let_out(guard.rule([57.0, 0.0], frame((-0.5, 0.0), (1.0, 0.0)), [57.0, 0.0], 0), [57.0, 0.0])


def a_lone_command_is_clipped_as_the_drive_would_follow_it(m: ModuleType) -> None:
    guard = m.Envelope(ROBOT, INERTIA)
    assert [guard.clip(0, value, 3.0) for value in (3.5, 40.0, -40.0)] == [3.5, 19.0, -13.0]
    assert [guard.clip(1, value, 0.0) for value in (3.5, 40.0, -40.0)] == [3.5, 4.0, -4.0]
    assert [guard.clip(1, value, before) for value, before in ((9.0, 7.0), (-9.0, -7.0))] == [8.0, -8.0]
    assert guard.clip(1, 0.0, 100.0) == 8.0  # the range binds above the rate
    assert m.Envelope(_THRUST, INERTIA).clip(1, 1.0, 3.0) == 2.0


ENVELOPE_RULES: tuple[Rule, ...] = (
    around_a_swap_less_is_let_out,
    a_lone_command_is_clipped_as_the_drive_would_follow_it,
    a_measurement_of_the_wrong_length_is_refused,
    a_coordinate_without_a_drive_is_held_to_its_range_and_speed,
    a_command_range_need_not_lie_about_zero,
    without_torque_mode_there_is_no_power_limit,
    a_command_inside_every_limit_passes_unchanged,
    a_missing_command_or_one_of_the_wrong_length_is_refused,
    a_command_that_is_not_finite_is_refused,
    a_measurement_that_is_not_finite_is_refused,
    a_stale_measurement_is_refused_and_so_is_one_from_the_future,
    torque_beyond_the_limit_is_clipped_and_far_beyond_refused,
    a_change_faster_than_the_drive_is_clipped,
    the_torque_limit_holds_whatever_the_last_command_was,
    a_joint_faster_than_its_limit_is_refused,
    a_joint_without_room_to_stop_is_refused,
    a_joint_beyond_its_limit_may_rest_and_come_back,
    too_much_power_in_all_joints_together_is_refused,
    earlier_joints_and_rules_are_named_first,
)


# --- canary -----------------------------------------------------------------------------------------------------------

RAMP, SETTLED = (0.5, 1.0), (0.25, 0.5)
DT_S = 0.125
SLOW_ROBOT = replace(ROBOT, control_rate_hz=8)
SETTLE_TICKS = 8


def monitor(m: ModuleType, robot: Robot = SLOW_ROBOT, **changes: Any) -> Any:
    limits = {
        "offset": ZERO,
        "ramp_error": RAMP,
        "settled_error": SETTLED,
        "settle_s": SETTLE_TICKS * DT_S,
        "variation_nm": 1.0,
    }
    return m.CanaryMonitor(m.CanaryLimits(**{**limits, **changes}), robot)


def judge(
    watch: Any,
    error: Sequence[float] = ZERO,
    share: float = 0.5,
    command: Sequence[float] = ZERO,
    previous: Sequence[float] = ZERO,
) -> str | None:
    """The verdict on one tick with tracking error `error` about q = 2 rad."""
    measured = frame(q=[2.0 - e for e in error])
    reference = Reference(q_ref=[2.0, 2.0], qd_ref=[0.0, 0.0], qdd_ref=[0.0, 0.0])
    answer = watch.judge(measured, reference, share, command, previous)
    assert answer is None or isinstance(answer, str)
    return answer


def an_error_that_simulation_allows_is_never_a_reason(m: ModuleType) -> None:
    watch = monitor(m)
    for k in range(40):
        sign = 1.0 if k % 2 else -1.0
        assert judge(watch, (0.5 * sign, -1.0 * sign)) is None


def three_bad_ticks_of_ten_are_a_verdict_and_two_are_noise(m: ModuleType) -> None:
    for bad in ((0.75, 0.0), (-0.75, 0.0), (0.0, 1.5)):
        watch = monitor(m)
        assert judge(watch, bad) is None
        assert judge(watch, bad) is None
        for _ in range(8):
            assert judge(watch) is None
        assert judge(watch, bad) is None  # the first is eleven ticks old
        assert judge(watch) is None
    for bad, words in (
        ((0.75, 0.9), "joint 1 is 1.50 times"),
        ((0.6, -1.5), "joint 2 is 1.50 times"),
        ((0.75, 1.5), "joint 1 is 1.50 times"),  # of two equally bad joints the first is named
    ):
        watch = monitor(m)
        judge(watch, bad)
        judge(watch, bad)
        for _ in range(7):
            assert judge(watch) is None
        verdict = judge(watch, bad)  # the tenth tick
        assert verdict is not None
        assert words in verdict


def full_authority_is_held_to_the_settled_error_only_once_settled(m: ModuleType) -> None:
    between = (0.375, 0.0)  # allowed while ramping, not once settled
    watch = monitor(m)
    for _ in range(SETTLE_TICKS):
        assert judge(watch, between, share=1.0) is None
    assert judge(watch, between, share=1.0) is None
    assert judge(watch, between, share=1.0) is None
    assert judge(watch, between, share=1.0) is not None
    watch = monitor(m)
    for _ in range(40):
        assert judge(watch, between, share=0.9375) is None
    watch = monitor(m)
    for k in range(60):  # any tick with less than full authority starts the clock anew
        assert judge(watch, between, share=0.5 if k % SETTLE_TICKS == 0 else 1.0) is None
    judge(watch, share=0.5)
    for _ in range(SETTLE_TICKS + 2):
        assert judge(watch, between, share=1.0) is None
    assert judge(watch, between, share=1.0) is not None
    watch = monitor(m)
    for _ in range(20):
        assert judge(watch, (0.25, -0.5), share=1.0) is None


def the_diagnosed_encoder_offset_is_taken_out_first(m: ModuleType) -> None:
    watch = monitor(m, offset=(0.75, -1.5))
    for _ in range(20):
        assert judge(watch, (-0.75, 1.5)) is None
    watch = monitor(m, offset=(0.75, 0.0))
    verdicts = [judge(watch, ZERO) for _ in range(3)]
    assert verdicts[:2] == [None, None]
    assert verdicts[2] is not None


def a_measurement_that_is_not_finite_counts_as_bad_in_any_joint(m: ModuleType) -> None:
    for bad in (math.nan, math.inf, -math.inf):
        for error, joint in (((bad, 0.0), 1), ((0.0, bad), 2), ((0.1, bad), 2)):
            watch = monitor(m)
            verdicts = [judge(watch, error) for _ in range(3)]
            assert verdicts[:2] == [None, None]
            assert verdicts[2] is not None
            assert f"joint {joint} " in verdicts[2]


def limits_that_say_nothing_allow_nothing(m: ModuleType) -> None:
    for nothing in (math.nan, 0.0, -1.0):
        watch = monitor(m, ramp_error=(1.0, nothing))
        assert [judge(watch, (0.5, 0.0)) is None for _ in range(3)] == [True, True, False]
    assert judge(monitor(m, variation_nm=math.nan)) is not None


def a_command_that_chatters_is_a_reason(m: ModuleType) -> None:
    watch = monitor(m)
    for _ in range(60):  # 0.75 + 0.25 N*m in every tick: exactly what is allowed
        assert judge(watch, command=(0.75, -0.25)) is None
    watch = monitor(m)
    for _ in range(24):  # the window starts empty
        assert judge(watch, command=(0.5, 0.0), previous=(0.0, 0.53125)) is None
    verdict = judge(watch, command=(0.5, 0.0), previous=(0.0, 0.53125))
    assert verdict is not None
    assert "changes by 1.03 N*m per tick, simulation allows 1" in verdict
    watch = monitor(m)
    assert judge(watch, command=(25.0, 0.0)) is None  # one jump of 25 N*m is 1 N*m per tick over the window
    for _ in range(24):
        assert judge(watch) is None
    assert judge(watch, command=(25.0, 0.0)) is None  # the first has left the window
    assert judge(watch, command=(0.5, 0.0)) is not None
    watch = monitor(m)
    assert judge(watch, command=(25.03125, 0.0)) is not None
    watch = monitor(m)
    for _ in range(60):  # a large command that does not change is no chatter
        assert judge(watch, command=(50.0, -7.0), previous=(50.0, -7.0)) is None
    assert judge(monitor(m), command=(math.nan, 0.0)) is not None


def only_tracked_coordinates_count(m: ModuleType) -> None:
    watch = monitor(m, replace(SLOW_ROBOT, tracked=(1,)))
    for _ in range(20):
        assert judge(watch, (9.0, 1.0)) is None
    judge(watch, (0.0, 1.5))
    judge(watch, (0.0, 1.5))
    verdict = judge(watch, (0.0, 1.5))
    assert verdict is not None
    assert "joint 2 is 1.50 times" in verdict


def a_chattering_command_is_told_in_its_own_unit(m: ModuleType) -> None:
    turning = replace(SLOW_ROBOT, mode="position")
    verdict = judge(monitor(m, turning), command=(50.0, 0.0))
    assert verdict is not None
    assert "the command changes by 2 rad per tick, simulation allows 1" in verdict


def only_a_moving_reference_counts_as_excitation(m: ModuleType) -> None:
    def excited(*qd_ref: float, robot: Robot = SLOW_ROBOT) -> bool:
        reference = Reference(q_ref=[0.0, 0.0], qd_ref=list(qd_ref), qdd_ref=[9.0, 9.0])
        return bool(monitor(m, robot).is_excited(reference))

    assert not excited(0.0, 0.0)
    assert not excited(0.02, -0.02)
    assert excited(0.021, 0.0)
    assert excited(0.0, -0.021)
    assert excited(-0.021, 0.5)
    # a joint that is slow by nature moves when it moves at a fiftieth of what it can
    slow = replace(SLOW_ROBOT, limits=replace(SLOW_ROBOT.limits, speed=(0.125, 8.0)))
    assert not excited(0.0025, 0.02, robot=slow)
    assert excited(-0.0026, 0.0, robot=slow)
    assert not excited(0.0, 0.0026, robot=slow)


def lists_of_the_wrong_length_are_a_programming_error(m: ModuleType) -> None:
    for arguments in ({"error": (0.0,)}, {"command": (0.0,)}):
        with pytest.raises((ValueError, IndexError)):
            judge(monitor(m), **arguments)  # type: ignore[arg-type]


CANARY_RULES: tuple[Rule, ...] = (
    an_error_that_simulation_allows_is_never_a_reason,
    three_bad_ticks_of_ten_are_a_verdict_and_two_are_noise,
    full_authority_is_held_to_the_settled_error_only_once_settled,
    the_diagnosed_encoder_offset_is_taken_out_first,
    a_measurement_that_is_not_finite_counts_as_bad_in_any_joint,
    limits_that_say_nothing_allow_nothing,
    a_command_that_chatters_is_a_reason,
    only_tracked_coordinates_count,
    a_chattering_command_is_told_in_its_own_unit,
    only_a_moving_reference_counts_as_excitation,
    lists_of_the_wrong_length_are_a_programming_error,
)


# --- transitions ------------------------------------------------------------------------------------------------------


def only_the_named_successors_can_be_reached(m: ModuleType) -> None:
    for before in m.PatchStatus:
        for after in m.PatchStatus:
            legal = after in m.SUCCESSORS[before]
            with contextlib.nullcontext() if legal else pytest.raises(Conflict) as caught:
                m.require_transition(before, after)
            if not legal:
                assert str(caught.value) == f"a patch that is {before.value} cannot become {after.value}"


def nothing_reaches_the_robot_without_approval(m: ModuleType) -> None:
    status = m.PatchStatus
    reached = {status.PROPOSED}
    for _ in status:
        reached |= {after for before in reached if before is not status.APPROVED for after in m.SUCCESSORS[before]}
    assert not reached & {status.STAGED, status.SHADOW, status.CANARY, status.ACTIVE}
    assert status.APPROVED in reached


STATUS_RULES: tuple[Rule, ...] = (only_the_named_successors_can_be_reached, nothing_reaches_the_robot_without_approval)
