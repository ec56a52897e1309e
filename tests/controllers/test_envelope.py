"""The safety envelope: nothing it lets out can break a limit of the robot."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controllers import envelope
from controllers.envelope import Breach, Envelope
from core.frames import Frame


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rules = _load(Path(__file__).with_name("safety_rules.py"))
ROBOT, INERTIA = rules.ROBOT, rules.INERTIA
LIMITS, SETTINGS = ROBOT.limits, ROBOT.envelope
JOINTS = range(ROBOT.dof)

# Numbers from everyday to absurd: limits are met by small ones, overflow and NaN handling by the rest.
near = st.one_of(st.floats(-3, 3), st.floats(-80, 80), st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 64.0, 8.0, 5e-324]))
wild = st.one_of(near, st.floats(allow_nan=True, allow_infinity=True))
near_pair, wild_pair = st.lists(near, min_size=2, max_size=2), st.lists(wild, min_size=2, max_size=2)
ages_ns = st.one_of(st.integers(-2, 2), st.integers(0, 2 * rules.STALE_NS), st.integers(-(2**62), 2**62))


@pytest.mark.parametrize("rule", rules.ENVELOPE_RULES, ids=lambda rule: rule.__name__)
def test_the_envelope_promises_that(rule: rules.Rule) -> None:  # type: ignore[name-defined]
    rule(envelope)


@given(tau=wild_pair, q=wild_pair, qd=wild_pair, previous=near_pair, age_ns=ages_ns)
def test_nothing_is_let_out_beyond_a_limit(
    tau: list[float], q: list[float], qd: list[float], previous: list[float], age_ns: int
) -> None:
    ruling = Envelope(ROBOT, INERTIA).rule(tau, rules.frame(q, qd, 10**12), previous, 10**12 + age_ns)
    assert (ruling.tau is None) == (ruling.breach is not None)
    if ruling.tau is None:
        return
    assert 0 <= age_ns <= rules.STALE_NS
    assert all(map(math.isfinite, [*tau, *q, *qd, *ruling.tau]))
    assert sum(abs(t * v) for t, v in zip(ruling.tau, qd, strict=True)) <= SETTINGS.power_w
    for i in JOINTS:
        torque, step = LIMITS.effort[i], rules.STEP_NM[i]
        held = min(max(previous[i], -torque), torque)  # what the drive held, which never exceeds its limit
        assert abs(ruling.tau[i]) <= torque
        assert abs(ruling.tau[i] - held) <= step * (1 + 1e-12)
        assert abs(tau[i]) <= SETTINGS.reject_factor * torque
        assert abs(qd[i]) <= SETTINGS.speed_fraction * LIMITS.speed[i]
        stopping_rad = 0.5 * INERTIA[i] * qd[i] ** 2 / (SETTINGS.braking_fraction * torque)
        assert qd[i] <= 0 or q[i] + stopping_rad <= LIMITS.upper[i]
        assert qd[i] >= 0 or q[i] - stopping_rad >= LIMITS.lower[i]
    assert ruling.clipped == (ruling.tau != tau)


@given(tau=st.none() | st.lists(wild, max_size=5), previous=wild_pair)
def test_what_goes_out_is_finite_and_inside_the_torque_limit_whatever_was_sent_before(
    tau: list[float] | None, previous: list[float]
) -> None:
    ruling = Envelope(ROBOT, INERTIA).rule(tau, rules.frame(), previous, 0)
    if ruling.tau is not None:
        assert all(abs(out) <= limit for out, limit in zip(ruling.tau, LIMITS.effort, strict=True))


@given(q=wild_pair, qd=wild_pair, tau=near_pair, bad=st.sampled_from([math.nan, math.inf, -math.inf]), data=st.data())
def test_no_command_passes_for_a_measurement_that_is_not_finite(
    q: list[float], qd: list[float], tau: list[float], bad: float, data: st.DataObject
) -> None:
    where = data.draw(st.sampled_from([q, qd]))
    where[data.draw(st.sampled_from(JOINTS))] = bad
    ruling = Envelope(ROBOT, INERTIA).rule(tau, rules.frame(q, qd), [0.0, 0.0], 0)
    assert ruling.tau is None


@given(speed=st.floats(2.0, 1e300, exclude_min=True), sign=st.sampled_from([-1.0, 1.0]), tau=near_pair)
def test_no_command_passes_for_a_joint_that_is_too_fast(speed: float, sign: float, tau: list[float]) -> None:
    ruling = Envelope(ROBOT, INERTIA).rule(tau, rules.frame(q=(-sign, 0.0), qd=(sign * speed, 0.0)), tau, 0)
    assert ruling.tau is None
    assert ruling.breach in (Breach.OVERSPEED, Breach.FAR_BEYOND_LIMIT)


@given(speed=st.floats(1e-3, 2.0), beyond=st.floats(1e-9, 100.0), sign=st.sampled_from([-1.0, 1.0]), tau=near_pair)
def test_no_command_passes_for_a_joint_that_cannot_stop_in_time(
    speed: float, beyond: float, sign: float, tau: list[float]
) -> None:
    assume(all(abs(t) <= limit for t, limit in zip(tau, LIMITS.effort, strict=True)))
    room = 0.5 * INERTIA[0] * speed**2 / (SETTINGS.braking_fraction * LIMITS.effort[0])
    ruling = Envelope(ROBOT, INERTIA).rule(
        tau, rules.frame(q=(sign * (LIMITS.upper[0] - room + beyond), 0.0), qd=(sign * speed, 0.0)), tau, 0
    )
    assert ruling.tau is None
    assert ruling.breach is Breach.JOINT_LIMIT
    assert ruling.joint == 0


@given(tau=wild_pair, previous=wild_pair, length=st.integers(0, 6).filter(lambda n: n != ROBOT.dof))
def test_default_is_deny(tau: list[float], previous: list[float], length: int) -> None:
    guard = Envelope(ROBOT, INERTIA)
    assert guard.rule(None, rules.frame(), previous, 0).tau is None
    assert guard.rule((tau * 3)[:length], rules.frame(), previous, 0).tau is None


def test_every_breach_is_explained_in_words_of_its_own() -> None:
    assert len({breach.value for breach in Breach}) == len(Breach)
    assert all(" " in breach.value for breach in Breach)


@given(tau=wild_pair, q=near_pair, qd=near_pair, previous=near_pair)
def test_a_ruling_depends_on_nothing_but_its_arguments(
    tau: list[float], q: list[float], qd: list[float], previous: list[float]
) -> None:
    guard, measured = Envelope(ROBOT, INERTIA), rules.frame(q, qd)
    first = guard.rule(tau, measured, previous, 0)
    guard.rule([math.nan, 1e9], measured, [9.0, 9.0], 10**15)
    assert guard.rule(tau, measured, previous, 0) == first
    assert measured == Frame(seq=0, stamp_ns=0, q=q, qd=qd, tau_meas=[0.0, 0.0], tau_cmd=[0.0, 0.0])


def test_limits_come_from_the_robot() -> None:
    weak = replace(ROBOT, limits=replace(LIMITS, effort_low=(-1.0, -1.0), effort_high=(1.0, 1.0), effort=(1.0, 1.0)))
    assert Envelope(weak, (0.0, 0.0)).rule([1.5, -1.5], rules.frame(), [1.0, -1.0], 0).tau == [1.0, -1.0]
