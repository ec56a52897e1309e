"""References: paths through their points, from where the robot is to a hold, and bases that stop when nobody speaks."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.setpoint import SPEED_TIMEOUT_S, Path, Setpoints, Speed
from core.errors import BadInput
from sim.catalogue import find_robot

ARM, BASE = find_robot("arm2"), find_robot("diffdrive")
HOME = [0.5, 0.9]
STEP_NS = 2_000_000
GO = Path(start_ns=None, joints=("elbow",), t_s=(1.0, 2.0), q=((1.0,), (1.2,)), qd=((0.1,), (0.0,)), qdd=())


def test_without_a_wish_the_robot_stays_where_it_is_measured() -> None:
    setpoints = Setpoints(ARM)
    assert setpoints.at(0, HOME) == (HOME, [0.0, 0.0], [0.0, 0.0])
    assert setpoints.at(STEP_NS, [9.0, 9.0]).q_ref == HOME
    assert setpoints.mode == "hold"


def test_a_path_begins_where_the_robot_is_passes_its_points_and_ends_in_a_hold() -> None:
    setpoints = Setpoints(ARM)
    setpoints.at(0, HOME)
    setpoints.follow(GO)
    rows = [setpoints.at(t * STEP_NS, HOME) for t in range(1200)]
    assert rows[0] == (HOME, [0.0, 0.0], [0.0, 0.0])
    assert rows[500].q_ref == [0.5, 1.0]
    assert rows[500].qd_ref == [0.0, 0.1]
    assert rows[-1] == ([0.5, 1.2], [0.0, 0.0], [0.0, 0.0])
    assert setpoints.mode == "hold"
    for before, after in pairwise(rows):
        assert abs(after.q_ref[1] - before.q_ref[1]) < 0.004  # no jump, not even at the points


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6),
    st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6),
    st.floats(0.0, 1.0),
)
def test_velocity_and_acceleration_are_those_of_the_position(
    ends: list[float], slopes: list[float], share: float
) -> None:
    (q0, q1, v0, v1, a0, a1), h = (*ends[:2], *slopes[:4]), 1e-4
    path = Path(start_ns=0, joints=("elbow",), t_s=(0.0, 1.0), q=((q0,), (q1,)), qd=((v0,), (v1,)), qdd=((a0,), (a1,)))
    setpoints = Setpoints(ARM)
    setpoints.at(0, HOME)
    setpoints.follow(path)
    middle = 0.01 + 0.98 * share
    before, here, after = (setpoints.at(round((middle + d) * 1e9), HOME) for d in (-h, 0.0, h))
    assert here.qd_ref[1] == pytest.approx((after.q_ref[1] - before.q_ref[1]) / (2 * h), abs=1e-3)
    assert here.qdd_ref[1] == pytest.approx((after.qd_ref[1] - before.qd_ref[1]) / (2 * h), abs=1e-2)


def test_a_path_that_begins_later_waits_and_a_new_one_takes_over_then() -> None:
    setpoints = Setpoints(ARM)
    setpoints.at(0, HOME)
    later = replace(GO, start_ns=10**9, t_s=(0.5,), q=((0.2,),), qd=())
    setpoints.follow(replace(GO, start_ns=0))
    setpoints.follow(later)
    assert setpoints.at(900_000_000, HOME).q_ref[1] > 0.95
    assert setpoints.at(1_500_000_000, HOME).q_ref[1] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"joints": ("wrist",)}, "no joint 'wrist'"),
        ({"joints": ("elbow", "elbow"), "q": ((1.0, 1.0),) * 2}, "each joint once"),
        ({"t_s": (1.0, 1.0)}, "rise"),
        ({"t_s": (1.0, math.nan)}, "rise"),
        ({"t_s": (-1.0, 1.0)}, "at 0 or later"),
        ({"t_s": (1.0, math.inf)}, "finite"),
        ({"q": ((1.0,),)}, "1 positions"),
        ({"qd": ((1.0,),)}, "1 velocities"),
        ({"q": ((1.0,), (math.nan,))}, "finite"),
        ({"q": ((1.0,), (9.0,))}, "leaves the range of elbow"),
        ({"t_s": (), "q": (), "qd": ()}, "points"),
    ],
)
def test_a_path_that_cannot_be_driven_changes_nothing(change: dict[str, object], why: str) -> None:
    setpoints = Setpoints(ARM)
    setpoints.at(0, HOME)
    with pytest.raises(BadInput, match=why):
        setpoints.follow(replace(GO, **change))  # type: ignore[arg-type]
    assert setpoints.at(10**9, HOME).q_ref == HOME


def test_a_base_drives_at_the_speed_and_stops_when_nobody_speaks_any_more() -> None:
    setpoints, start, period_ns = Setpoints(BASE), [0.0, 0.0, math.pi / 2, 0.0, 0.0], 10**7
    setpoints.at(0, start)
    fast = BASE.tasks.speed_fraction * BASE.limits.speed[0]
    for tick in range(150):  # 1.5 s: ramps up, then constant
        setpoints.drive(Speed(ahead_m_s=9.0, turn_rad_s=0.0), tick * period_ns)
        row = setpoints.at(tick * period_ns, start)
    assert row.qd_ref[1] == pytest.approx(fast)  # never faster than its tasks; along y, where it looks
    assert row.qd_ref[0] == pytest.approx(0.0, abs=1e-9)
    assert setpoints.mode == "speed"
    stop = round((SPEED_TIMEOUT_S + 1.2) * 1e9)
    for tick in range(150, 150 + stop // period_ns):
        row = setpoints.at(tick * period_ns, start)
    assert row.qd_ref == [0.0] * 5
    assert setpoints.mode == "hold"


@pytest.mark.parametrize(("robot", "speed"), [(ARM, 1.0), (BASE, math.nan)])
def test_what_cannot_drive_is_told_so(robot: object, speed: float) -> None:
    with pytest.raises(BadInput, match="speed: "):
        Setpoints(robot).drive(Speed(ahead_m_s=speed, turn_rad_s=0.0), 0)  # type: ignore[arg-type]
