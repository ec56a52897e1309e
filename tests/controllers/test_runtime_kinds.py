"""The control loop on robots whose coordinates and actuators are not the same: one command per actuator, always."""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from controllers.artefact import Artefact, artefact_from_files
from controllers.canary import CanaryLimits
from controllers.runtime import Runtime, Stage, braking_inertia
from controllers.slot import Slot
from core.frames import Frame, Reference
from core.robot import Robot
from core.robot_toml import load_robot


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


small = _load(Path(__file__).parents[1] / "small_robots.py")
WRONG_FROM = 5  # tick from which a law that goes wrong puts out NaN


def law(robot: Robot, name: str, level: float, *, goes_wrong: bool = False) -> Artefact:
    """The same command for every actuator, and some of the position error of coordinate 0."""
    output, m = robot.command_name, len(robot.actuators)
    text = f"""
def control(q, q_ref, level, ticks, {output}):
    ticks[0] += 1.0
    for i in range({m}):
        {output}[i] = level + 0.5 * (q_ref[0] - q[0])
"""
    if goes_wrong:
        text += f"    if ticks[0] > {WRONG_FROM}.0:\n        {output}[0] = sqrt(-1.0)\n"
    manifest = f"""
name = "{name}"
version = "1"
summary = "A level, and some of an error"
signals = ["q", "q_ref"]
[params.level]
unit = "{robot.command_unit}"
low = -100.0
high = 100.0
max_step = 1.0
effect = "Higher commands more."
[states.ticks]
unit = "calls"
size = 1
[outputs.{output}]
unit = "{robot.command_unit}"
size = {m}
"""
    params = f"level = {level}"
    files = {"law.py": text.encode(), "manifest.toml": manifest.encode(), "params.toml": params.encode()}
    return artefact_from_files(name, files)


def frame(robot: Robot, seq: int = 0, **changes: Any) -> Frame:
    n, m = robot.dof, len(robot.actuators)
    values: dict[str, Any] = {"q": list(robot.home), "qd": [0.0] * n, "tau_meas": [0.0] * m, "tau_cmd": [0.0] * m}
    return Frame(seq=seq, stamp_ns=round(seq * robot.dt_s * 1e9), **{**values, **changes})


def still(robot: Robot, error: float = 0.0) -> Reference:
    zero = [0.0] * robot.dof
    return Reference(q_ref=[robot.home[0] + error, *robot.home[1:]], qd_ref=zero, qdd_ref=zero)


@pytest.fixture(params=["cartpole", "quadrotor", "rover"])
def robot(request: pytest.FixtureRequest, tmp_path: Path) -> Robot:
    return load_robot(small.write(request.param, tmp_path))


def runtime(robot: Robot, committed: Artefact, safety: Artefact | None = None) -> Runtime:
    return Runtime(robot, Slot(robot, committed), Slot(robot, safety or law(robot, "safe", 0.5)))


def test_there_is_one_command_for_each_actuator(robot: Robot) -> None:
    loop = runtime(robot, law(robot, "own", 1.0))
    for seq in range(5):
        measured = frame(robot, seq, tau_cmd=[1.25] * len(robot.actuators))
        command = loop.tick(measured, still(robot, error=0.5), measured.stamp_ns)
        assert command.tau == [1.25] * len(robot.actuators)
        assert command.source == "a"


def test_a_law_that_fails_is_replaced_in_the_same_tick(robot: Robot) -> None:
    loop = runtime(robot, law(robot, "bad", 1.0, goes_wrong=True))
    moved = [x + 0.25 for x in robot.home]
    sources = []
    for seq in range(WRONG_FROM + 3):
        measured = frame(robot, seq, q=moved)
        command = loop.tick(measured, still(robot, error=0.25), measured.stamp_ns)
        assert len(command.tau) == len(robot.actuators)
        assert all(map(math.isfinite, command.tau))
        sources.append(command.source)
    assert sources == ["a"] * WRONG_FROM + ["safety"] * 3
    assert command.tau == [0.5] * len(robot.actuators)  # it holds the robot where it was: no error


def test_a_command_is_clipped_to_its_range_and_rate(robot: Robot) -> None:
    limits, drive = robot.limits, robot.drive
    loop, last = runtime(robot, law(robot, "strong", 1.4 * max(limits.effort_high))), [0.0] * len(robot.actuators)
    if robot.name == "rover":  # the weaker wheel sees 2.1 times its range, more than the factor at which it is refused
        loop = runtime(robot, law(robot, "strong", 1.2 * max(limits.effort_high)))
    for seq in range(60):
        measured = frame(robot, seq)
        command = loop.tick(measured, still(robot), measured.stamp_ns)
        assert command.source == "a"
        assert command.clipped
        for value, before, high, rate in zip(command.tau, last, limits.effort_high, drive.command_rate, strict=True):
            assert value <= high
            assert value - before <= rate * robot.dt_s + 1e-12
        last = command.tau
    assert last == list(limits.effort_high)


def test_a_rotor_never_pulls(tmp_path: Path) -> None:
    quadrotor = load_robot(small.write("quadrotor", tmp_path))
    measured = frame(quadrotor)
    command = runtime(quadrotor, law(quadrotor, "down", -2.0)).tick(measured, still(quadrotor), 0)
    assert (command.tau, command.source, command.clipped) == ([0.0] * 4, "a", True)
    # twice half the range of 6 N from its middle: -3 N is the last that is clipped
    refused = runtime(quadrotor, law(quadrotor, "down", -3.5)).tick(measured, still(quadrotor), 0)
    assert refused.source == "safety"


def test_a_passive_joint_is_watched_but_not_braked(tmp_path: Path) -> None:
    cartpole = load_robot(small.write("cartpole", tmp_path))
    own = law(cartpole, "own", 0.0)

    def source(q: list[float], qd: list[float]) -> str:
        return runtime(cartpole, own).tick(frame(cartpole, q=q, qd=qd), still(cartpole), 0).source

    assert braking_inertia(cartpole)[1] > 0.0
    assert source([0.0, 2.99], [0.0, 5.0]) == "a"  # whatever its inertia: nobody brakes it
    assert source([0.0, 3.01], [0.0, 0.1]) == "safety"
    assert source([0.0, 0.0], [0.0, 20.5]) == "safety"
    assert source([1.99, 0.0], [4.9, 0.0]) == "safety"  # the cart has a motor and needs room


def test_a_base_that_is_no_arm_has_no_stopping_distance(tmp_path: Path) -> None:
    rover = load_robot(small.write("rover", tmp_path))
    assert tuple(braking_inertia(rover)) == (0.0,) * 5
    own = law(rover, "own", 0.0)
    fast = frame(rover, q=[9.99, 0.0, 1e6, 5e8, 0.0], qd=[1.4, 0.0, 2.9, 19.0, -19.0])
    assert runtime(rover, own).tick(fast, still(rover, 9.99), 0).source == "a"
    out = frame(rover, q=[10.01, 0.0, 0.0, 0.0, 0.0], qd=[0.1, 0.0, 0.0, 0.0, 0.0])
    assert runtime(rover, own).tick(out, still(rover, 10.0), 0).source == "safety"


def test_power_is_that_of_the_wheels(tmp_path: Path) -> None:
    rover = load_robot(small.write("rover", tmp_path))
    own = law(rover, "own", 1.9)
    held = [1.9, 1.9]
    fast = frame(rover, qd=[1.4, 1.4, 2.9, 10.0, 10.0], tau_cmd=held)  # 38 W of 50 W
    faster = frame(rover, qd=[0.0, 0.0, 0.0, 14.0, 14.0], tau_cmd=held)
    assert runtime(rover, own).tick(fast, still(rover), 0).source == "a"
    assert runtime(rover, own).tick(faster, still(rover), 0).source == "safety"


@pytest.fixture
def servo(tmp_path: Path) -> Robot:
    """The cartpole with a position drive."""
    file = small.write("cartpole", tmp_path)
    text = (
        file.read_text()
        .replace("actuators =", 'mode = "position"\nactuators =')
        .replace("command_rate = [500.0]", "command_rate = [2.0]")
    )
    file.write_text(re.sub(r"^(power_w|braking_fraction).*\n", "", text, flags=re.MULTILINE))
    return load_robot(file)


def test_a_position_drive_starts_from_where_its_joint_is(servo: Robot) -> None:
    for reading, start in ((math.nan, 0.5), (0.25, 0.25)):
        measured = frame(servo, q=[0.5, 0.1], tau_cmd=[reading])
        command = runtime(servo, law(servo, "own", 1.5)).tick(measured, still(servo, 0.5), 0)
        assert command.tau == [pytest.approx(start + 0.02)]  # 2 m/s for 10 ms
    nowhere = frame(servo, q=[math.nan, 0.1], tau_cmd=[math.nan])
    assert runtime(servo, law(servo, "own", 1.5)).tick(nowhere, still(servo), 0).tau == [0.0]


def test_a_candidate_with_more_coordinates_than_actuators_passes_its_canary(robot: Robot) -> None:
    n = robot.dof
    moving = Reference(q_ref=list(robot.home), qd_ref=[0.5] * n, qdd_ref=[0.0] * n)
    quick = replace(robot, canary=replace(robot.canary, hold_s=(0.05,) * len(robot.canary.stages)))
    loop = runtime(quick, law(quick, "own", 1.0))
    ones = (1.0,) * n
    limits = CanaryLimits(offset=(0.0,) * n, ramp_error=ones, settled_error=ones, settle_s=0.02, variation_nm=1.0)
    loop.begin_shadow(Slot(quick, law(quick, "new", 1.5)), limits)
    loop.begin_canary()
    sources = []
    for seq in range(60):
        measured = frame(quick, seq)
        sources.append(loop.tick(measured, moving, measured.stamp_ns).source)
    assert loop.stage is Stage.READY
    assert sources[0] == "mix"
    assert sources[-1] == "b"
    loop.commit(armed_revert=True)
    assert loop.tick(frame(quick, 60), moving, round(60 * quick.dt_s * 1e9)).tau == [1.5] * len(quick.actuators)
