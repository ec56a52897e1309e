"""An arm that was set up from a URDF alone works: its laws follow tasks, hold still, and are healed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from controllers.library import find_law
from core.robot import Robot
from core.robot_toml import load_robot
from remend.own_robot.folder import OwnRobot, set_up
from sim.effect import NO_EFFECT, Effect
from sim.faults.notation import full_effect
from sim.kinds import hidden_physics, nominal_physics
from sim.rollout import Trace, rollout
from sim.scenario import Scenario
from sim.uses import measure_uses

HERE = Path(__file__).parent
ARMS = ("pendulum", "scara", "six")
NOMINAL, HIDDEN, HOLDING = 0.002, 0.02, 0.15  # allowed RMS error, as a share of each joint's working range

SetUp = Callable[[str], tuple[OwnRobot, Robot]]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    @lru_cache
    def make(arm: str) -> tuple[OwnRobot, Robot]:
        done = set_up(tmp_path_factory.mktemp("own") / arm, HERE / f"{arm}.urdf")
        return done, load_robot(done.toml)

    return make


def run(robot: Robot, law: str, hidden: bool, kind: str, effect: Effect = NO_EFFECT, seed: int = 3) -> Trace:
    scenario = Scenario(
        name="one task",
        physics=hidden_physics(robot, seed) if hidden else nominal_physics(robot),
        effect=effect,
        task_kind=kind,
        task_seed=seed,
        noise_seed=seed,
        duration_s=2.0,
    )
    return rollout(robot, find_law(robot, law), scenario)


def check(robot: Robot, trace: Trace, allowed: float) -> None:
    """Inside the band, and no limit broken: no range left, no command replaced or clipped."""
    span = np.array(robot.tasks.high) - np.array(robot.tasks.low)
    share = np.sqrt(np.mean(np.square(trace.error), axis=0)) / span
    assert np.all(share <= allowed), share
    assert not trace.diverged
    assert (trace.safety_share, trace.clipped_share) == (0.0, 0.0)
    assert np.all(trace.q_true > robot.limits.lower)
    assert np.all(trace.q_true < robot.limits.upper)
    # a task that stood still would be followed by any law
    assert np.any(np.ptp(trace.q_true, axis=0) > 0.15 * span)


@pytest.mark.parametrize("arm", ARMS)
def test_what_its_tasks_use_is_measured_the_same_every_time(own: SetUp, tmp_path: Path, arm: str) -> None:
    done, robot = own(arm)
    assert robot.uses is not None
    assert robot.uses == measure_uses(robot)
    assert all(peak < limit for peak, limit in zip(robot.uses.effort_peak, robot.limits.effort, strict=True))
    assert set_up(tmp_path / arm, HERE / f"{arm}.urdf").toml.read_bytes() == done.toml.read_bytes()
    assert full_effect("torque_limit", robot) != full_effect("torque_limit", replace(robot, uses=None))


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("kind", ["reach", "weave", "pick"])
def test_the_controller_follows_its_tasks(own: SetUp, arm: str, kind: str) -> None:
    _, robot = own(arm)
    check(robot, run(robot, robot.controller, hidden=False, kind=kind), NOMINAL)
    check(robot, run(robot, robot.controller, hidden=True, kind=kind), HIDDEN)


@pytest.mark.parametrize("arm", ARMS)
def test_the_safety_law_is_stable_with_load_and_delay(own: SetUp, arm: str) -> None:
    done, robot = own(arm)
    effect = replace(NO_EFFECT, payload_kg=done.sizing.load_kg, delay_s=0.008)
    check(robot, run(robot, robot.safety_controller, hidden=True, kind="reach", effect=effect), HOLDING)


@pytest.mark.parametrize("arm", ARMS)
def test_the_planned_load_shows_and_breaks_nothing(own: SetUp, arm: str) -> None:
    done, robot = own(arm)
    loaded = replace(NO_EFFECT, payload_kg=done.sizing.load_kg)
    bare, heavy = (run(robot, robot.controller, hidden=True, kind="pick", effect=e) for e in (NO_EFFECT, loaded))
    check(robot, heavy, 0.1)
    assert heavy.metrics()["rms_tracking_error"] > 1.3 * bare.metrics()["rms_tracking_error"]


def test_a_slow_loop_works_too(tmp_path: Path) -> None:
    robot = load_robot(set_up(tmp_path / "arm", HERE / "six.urdf", control_rate_hz=100).toml)
    check(robot, run(robot, robot.controller, hidden=False, kind="reach"), 0.02)
    check(robot, run(robot, robot.safety_controller, hidden=False, kind="reach"), HOLDING)


@pytest.mark.e2e
def test_an_arm_with_a_slide_is_healed(own: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from remend.demo import heal_headless  # noqa: PLC0415 only here the whole product starts

    monkeypatch.setenv("REMEND_HOME", str(tmp_path / "home"))
    done, _ = own("scara")
    answer = heal_headless(str(done.toml), "payload:mass=0.76", 1, 300, "auto").to_json()
    assert (answer["verdict"], answer["deployed"], answer["rolled_back"]) == ("pass", True, False), json.dumps(answer)
    assert answer["false_alarms"] == 0
    assert answer["diagnosis"][0]["cause"] == "payload"
    assert answer["diagnosis"][0]["estimate"]["mass"] == pytest.approx(0.76, abs=0.05)
    assert answer["recovery_ratio"] > 0.9
    assert answer["metrics"]["rms_tracking_error"]["unit"] == "1"
    assert answer["metrics"]["rms_effort"]["unit"] == answer["swap"]["unit"] == "N*m or N"
