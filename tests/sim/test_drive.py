"""Motor, supply and gear: each loss is where its docstring says, and the current sensor sees what lies before it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.drive import Drive
from sim.effect import Effect

DT_S = 0.001
LIMIT = np.array([10.0, 20.0])
INERTIA = np.array([0.1, 0.1])


def drive(lag_s: float = 0.0, low: float = -1.0, **effect: object) -> Drive:
    made = Drive(LIMIT, INERTIA, np.full(2, lag_s), DT_S, low=low * LIMIT)
    made.take(Effect(**effect))  # type: ignore[arg-type]
    made.restart(np.zeros(2))
    return made


def step(made: Drive, *asked: float) -> list[float]:
    return made.step(np.array(asked)).tolist()


def test_a_healthy_drive_gives_what_it_is_asked_for_up_to_its_limit() -> None:
    made = drive()
    assert step(made, 3.0, -4.0) == [3.0, -4.0]
    assert step(made, 11.0, -25.0) == [10.0, -20.0]
    assert made.measured.tolist() == [10.0, -20.0]


def test_a_rotor_does_not_push_backwards() -> None:
    assert step(drive(low=0.0), -3.0, 4.0) == [0.0, 4.0]


def test_a_derated_drive_saturates_early_and_its_current_shows_it() -> None:
    made = drive(limit_loss=(0.6, 0.0))
    assert step(made, 9.0, -15.0) == pytest.approx([4.0, -15.0])
    assert made.measured.tolist() == pytest.approx([4.0, -15.0])


def test_a_weak_motor_loses_torque_behind_the_current_sensor() -> None:
    made = drive(gain_loss=(0.0, 0.25))
    assert step(made, 4.0, 8.0) == [4.0, 6.0]
    assert made.measured.tolist() == [4.0, 8.0]


def test_a_lagging_drive_follows_exponentially_whatever_the_step() -> None:
    made = drive(motor_lag_s=(0.02, 0.0))
    values = [step(made, 5.0, 5.0) for _ in range(40)]
    expected = [5.0 * -math.expm1(-(k + 1) * DT_S / 0.02) for k in range(40)]
    assert [value[0] for value in values] == pytest.approx(expected)
    assert values[0][1] == pytest.approx(5.0)


def test_the_own_lag_of_a_motor_adds_to_that_of_the_fault() -> None:
    made = drive(lag_s=0.03, motor_lag_s=(0.01, 0.0))
    first = step(made, 1.0, 1.0)
    assert first == pytest.approx([-math.expm1(-DT_S / 0.04), -math.expm1(-DT_S / 0.03)])


def test_a_sagging_supply_takes_from_all_drives_in_proportion_to_their_load_together() -> None:
    made = drive(sag=0.3)
    assert step(made, 10.0, -20.0) == pytest.approx([7.0, -14.0])
    assert step(made, 3.0, 0.0) == pytest.approx([3.0 * (1 - 0.3 * 0.1), 0.0])
    assert made.measured.tolist() == pytest.approx([2.91, 0.0])


def test_a_dead_band_swallows_small_efforts_and_the_first_part_of_large_ones() -> None:
    made = drive(deadband=(1.0, 0.0))
    assert [step(made, x, x)[0] for x in (0.5, -1.0, 1.5, -4.0)] == [0.0, 0.0, 0.5, -3.0]
    assert made.measured.tolist() == [-4.0, -4.0]


def test_play_takes_the_time_that_the_rotor_needs_to_cross_the_gap() -> None:
    made = drive(backlash=(0.02, 0.0))
    made.restart(np.array([5.0, 5.0]))
    assert step(made, 5.0, 5.0) == [5.0, 5.0]  # in contact on the side that it pushes
    free = 0
    while step(made, -5.0, -5.0)[0] == 0.0:
        free += 1
    expected_s = math.sqrt(2 * 0.02 * INERTIA[0] / 5.0)  # x = a t^2 / 2
    assert free * DT_S == pytest.approx(expected_s, abs=2 * DT_S)
    assert step(made, -5.0, -5.0) == [-5.0, -5.0]  # and then it pushes


@given(st.lists(st.floats(-30.0, 30.0), min_size=1, max_size=60), st.floats(0.0, 0.05))
def test_play_passes_all_or_nothing_and_never_the_other_sign(asked: list[float], gap: float) -> None:
    made = drive(backlash=(gap, 0.0))
    for value in asked:
        out = step(made, value, value)
        limited = min(max(value, -10.0), 10.0)
        assert out[0] in (0.0, limited)
        assert out[1] == min(max(value, -20.0), 20.0)


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 0.6))
def test_no_fault_of_a_drive_adds_effort(asked: float, gain: float, limit: float, dead: float, sag: float) -> None:
    made = drive(gain_loss=(gain, gain), limit_loss=(limit, limit), deadband=(dead, dead), sag=sag)
    out = step(made, asked, asked)
    for value, most in zip(out, LIMIT, strict=True):
        assert abs(value) <= min(abs(asked), most) + 1e-12
        assert value * asked >= 0.0
