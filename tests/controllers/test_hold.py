"""A hold brings the reference to rest where the robot is, keeps it there, and lets go of it as smoothly."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.desk import Desk
from controllers.hold import STOP_S, Hold
from controllers.mark import HOLD
from controllers.requests import BeginShadow, RollBack
from controllers.requests import Hold as HoldOrder
from controllers.runtime import Stage
from core.errors import Refused
from core.frames import Reference
from sim.catalogue import find_robot
from tests.controllers.test_host import BASELINE, BETTER, GOOD, LIMITS, NOW_NS, Robot, boot, patch

__all__ = ["boot"]

ARM = find_robot("arm2")
DT_S = ARM.dt_s
SECOND = round(1.0 / DT_S)
REST = round(STOP_S / DT_S)


def moving(tick: int, speed: float) -> Reference:
    """A shoulder that goes on at one speed, an elbow that stays."""
    return Reference(q_ref=[0.2 + speed * tick * DT_S, 0.9], qd_ref=[speed, 0.0], qdd_ref=[0.0, 0.0])


@settings(max_examples=20)
@given(speed=st.floats(-0.4, 0.4), behind=st.floats(-0.02, 0.02), returns_after=st.integers(1, 2 * SECOND))
def test_no_reference_jumps_on_the_way_into_a_hold_and_out_of_it(
    speed: float, behind: float, returns_after: int
) -> None:
    hold, rows, path = Hold(ARM), [], 0
    for tick in range(4 * SECOND):
        if tick == 5:
            hold.begin("stop")
        if tick == 5 + returns_after:
            hold.end()
        asked = moving(path, speed)
        path += hold.why is None
        rows.append(hold.at([asked.q_ref[0] + behind, asked.q_ref[1]], asked))
    fastest, steepest = max(ARM.limits.speed), 10.0  # rad/s, rad/s^2
    for before, after in pairwise(rows):
        for i in range(ARM.dof):
            assert abs(after.q_ref[i] - before.q_ref[i]) <= fastest * DT_S
            assert abs(after.qd_ref[i] - before.qd_ref[i]) <= steepest * DT_S
            moved = 0.5 * (before.qd_ref[i] + after.qd_ref[i]) * DT_S
            assert after.q_ref[i] - before.q_ref[i] == pytest.approx(moved, abs=2e-6)
    assert rows[-1] == moving(path - 1, speed), "in the end the robot follows what is asked for, to the bit"


def test_a_held_robot_stays_where_it_was_measured_however_long() -> None:
    hold = Hold(ARM)
    hold.at([0.2, 0.9], moving(0, 0.0))
    hold.begin("stop")
    rows = [hold.at([0.25, 0.9], moving(tick, 1.0)) for tick in range(4 * REST)]
    assert rows[REST:] == [Reference(q_ref=[0.25, 0.9], qd_ref=[0.0, 0.0], qdd_ref=[0.0, 0.0])] * (3 * REST)


def test_a_hold_ends_within_the_joint_limits() -> None:
    hold, upper = Hold(ARM), ARM.limits.upper[0]
    fast = Reference(q_ref=[upper - 0.01, 0.9], qd_ref=[1.0, 0.0], qdd_ref=[0.0, 0.0])
    hold.at([upper - 0.01, 0.9], fast)
    hold.begin("stop")
    assert [hold.at([upper - 0.01, 0.9], fast) for _ in range(REST)][-1].q_ref[0] == upper


def test_a_measurement_that_is_not_whole_holds_where_the_reference_was() -> None:
    hold = Hold(ARM)
    hold.at([0.2, 0.9], moving(0, 0.1))
    hold.begin("stop")
    blind = hold.at([float("nan"), 0.9], moving(1, 0.1))
    assert blind == Reference(q_ref=[0.2, 0.9], qd_ref=[0.0, 0.0], qdd_ref=[0.0, 0.0])


def test_what_nobody_drives_is_asked_to_rest_where_it_rests() -> None:
    cart = find_robot("cartpole")
    hold = Hold(cart, "stop")
    leaning = [0.3, 0.1]
    still = Reference(q_ref=leaning, qd_ref=[0.0, 0.0], qdd_ref=[0.0, 0.0])
    rows = [hold.at(leaning, still) for _ in range(2 * round(STOP_S / cart.dt_s))]
    assert rows[-1].q_ref == [0.3, cart.home[1]]


def test_a_hold_takes_back_a_trial_refuses_patches_and_outlives_a_restart(
    boot: Callable[..., Robot], tmp_path: Path
) -> None:
    robot = boot()
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    robot.host.begin_shadow(LIMITS)
    robot.tick(5)
    robot.host.runtime.begin_canary()
    robot.tick(8)
    robot.host.obey(HoldOrder(reason="a visitor"))
    assert {command.source for command in robot.tick(3)} == {"a"}
    status = robot.host.status(None)
    assert (status.stage, status.active_sha, status.held) == (Stage.COMMITTED, BASELINE.sha256, "a visitor")
    assert status.rollback_reason == "held: a visitor"
    with pytest.raises(Refused, match=r"held \(a visitor\); let it go on with remend resume"):
        robot.host.stage(patch(BETTER, version=2).to_json(), BETTER.files, NOW_NS)
    again = boot()
    assert again.host.held == "a visitor"
    again.tick(10)
    assert again.host.reference is not None
    assert again.host.reference.qd_ref == [0.0] * len(again.host.reference.qd_ref), "it is held from its first tick on"
    again.host.resume()
    assert not (tmp_path / HOLD).exists()
    again.swap(patch(BETTER, version=2), BETTER)
    assert again.running == BETTER.sha256


def test_a_patch_that_was_staged_before_a_hold_waits_for_its_end(boot: Callable[..., Robot]) -> None:
    robot = boot()
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    robot.host.hold("a visitor")
    with pytest.raises(Refused, match="held"):
        robot.host.obey(BeginShadow(limits=LIMITS))
    robot.host.resume()
    robot.host.obey(BeginShadow(limits=LIMITS))


def test_kill_rollback_and_hold_get_along(boot: Callable[..., Robot]) -> None:
    robot = boot()
    robot.swap(patch(GOOD), GOOD)
    robot.host.hold("a visitor")
    robot.host.obey(RollBack(reason="worse"))
    robot.tick(3)
    assert (robot.running, robot.host.held) == (BASELINE.sha256, "a visitor")
    robot.host.kill("smoke")
    robot.tick(3)
    status = robot.host.status(None)
    assert (status.killed, status.held) == ("smoke", "a visitor")
    robot.host.resume()
    robot.tick(3)
    assert (robot.host.status(None).killed, robot.host.held) == ("smoke", None)


def test_a_hold_that_the_disk_refuses_holds_all_the_same_and_says_so(
    boot: Callable[..., Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(desk: Desk, why: str | None) -> None:
        raise OSError("no space")

    robot = boot()
    monkeypatch.setattr(Desk, "mark_hold", refuse)
    robot.host.hold("a visitor")
    robot.tick(3)
    status = robot.host.status(None)
    assert status.held == "a visitor"
    assert "not on disk and ends with this process: no space" in status.notes[-1].what


@pytest.mark.parametrize("seed", range(3))
def test_telemetry_says_what_was_followed(boot: Callable[..., Robot], seed: int) -> None:
    robot = boot()
    robot.tick(int(np.random.default_rng(seed).integers(1, 20)))
    assert robot.host.reference == robot.world.reference()
    robot.host.hold("a visitor")
    robot.tick(REST * 2)
    assert robot.host.reference is not None
    assert robot.host.reference.q_ref == pytest.approx(
        [q + 0.5 * STOP_S * v for q, v in zip(robot.world.robot.home, robot.world.reference().qd_ref, strict=True)]
    )
