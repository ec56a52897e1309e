"""Nobody downstream of the plant can read the truth: what a simulated robot's state, constants and faults really are.

What knows it, and may: the plant itself, the rollout's trace, the scorer of record, the robot's own process, the
environment's `info`, whoever injects a fault on a user's behalf, and benchmarks. Everything else has frames.
"""

from __future__ import annotations

import ast
import inspect
import struct
import threading
import tomllib
from dataclasses import fields
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from core.frames import Frame, Reference, TelemetryRow, pack_frame, unpack_frame
from core.robot import Robot
from core.robot_toml import load_robot
from core.signals import SIGNALS
from sim import robot_process
from sim.catalogue import robot_file, shipped_robots
from sim.kinds import kind_of
from sim.plant import Plant

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "controllers", "telemetry", "sim", "patcher", "remend")
BENCHES = ("remend/bench/", "sim/twin_study.py")
DOORS = {"sim/environment.py", "sim/trial.py", "sim/workday.py"}  # where a user of the Python API says what is injected

# Name -> the modules that may use it, besides benchmarks. The lists are exact: whoever stops needing it leaves.
SECRETS = {
    # what the body really does
    "true_state": {"sim/plant.py", "sim/rollout.py", "sim/environment.py", "sim/practice.py"},
    "q_true": {"sim/rollout.py", "sim/judge.py", "sim/filmstrip.py"},
    # the robot that nobody may look into
    "hidden_physics": {"sim/kinds.py", "sim/truth.py", "sim/robot_process.py", "sim/ros_robot.py", *DOORS},
    # which fault a user asked for, and when it sets in
    "parse_faults": {
        "sim/faults/notation.py",
        "sim/robot_process.py",
        "sim/ros_robot.py",
        "sim/environment.py",
        "sim/workday.py",
        "remend/simulation.py",
        "remend/validation.py",
    },
    "full_effect": {"sim/faults/notation.py", "sim/truth.py", "sim/trial.py"},
    "fault_course": {"sim/robot_process.py", "sim/ros_robot.py", "remend/simulation.py"},
    "robot_main": {"sim/robot_process.py", "remend/links/simulated.py"},
    "measure_truth": {"sim/truth.py", "remend/simulation.py"},
    # faults over time; a twin simulates the one that it has inferred
    "FaultCourse": {
        "sim/faults/course.py",
        "sim/plant.py",
        "sim/kinds.py",
        "sim/worlds.py",
        "sim/rollout.py",
        "sim/practice.py",
        "sim/robot_process.py",
        "sim/environment.py",
        "sim/workday.py",
        "sim/twin/fidelity.py",
        "sim/uses.py",
        "remend/validation.py",
    },
}
INSIDE = ("sim/plant.py", "sim/plants/")


def modules() -> list[Path]:
    return sorted(
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not {"laws", "robots"} & set(path.relative_to(ROOT).parts)
    )


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def words(tree: ast.AST) -> set[str]:
    """Every name that a module binds, reads, imports or spells out as a text."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias(name=name):
                found.update(name.split("."))
            case ast.Constant(value=str(name)):  # as getattr would take it
                found.add(name)
    return found


WORDS = {place(path): words(ast.parse(path.read_text())) for path in modules()}


@pytest.mark.parametrize("secret", SECRETS)
def test_the_truth_is_used_where_it_may_be_and_nowhere_else(secret: str) -> None:
    users = {name for name, used in WORDS.items() if secret in used and not name.startswith(BENCHES)}
    assert users == SECRETS[secret]


def test_nothing_that_runs_on_a_robot_or_heals_it_knows_a_secret_by_any_way_of_writing_it() -> None:
    source = "\n".join(
        path.read_text()
        for path in modules()
        if place(path).split("/")[0] in ("core", "controllers", "telemetry", "patcher")
    )
    code = ast.unparse(ast.parse(source.replace("from __future__ import annotations", "")))
    assert not [secret for secret in SECRETS if secret in code]


def test_the_pipeline_does_not_look_at_what_the_result_of_a_simulated_healing_also_holds() -> None:
    for module in ("remend/pipeline.py", "remend/deploy.py"):
        assert not {"truth", "fault", "spec"} & WORDS[module]


def test_nobody_reaches_into_a_plant() -> None:
    """What a plant keeps to itself is touched as `self.` alone, and by plants alone."""
    private = {name for kind in {Plant, *(type_of(robot) for robot in shipped())} for name in kept_by(kind)}
    assert {"_q", "_v", "_course", "_effect", "_client", "_applied"} <= private
    reached = []
    for path in modules():
        if place(path).startswith(INSIDE):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in private and owner(node) != "self":
                reached.append(f"{place(path)}:{node.lineno}: {ast.unparse(node)}")
    assert [line for line in reached if "plant" in line or "world" in line] == []


def owner(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


def type_of(robot: Robot) -> type[Plant]:
    return kind_of(robot).plant


def shipped() -> list[Robot]:
    return [load_robot(file) for file in shipped_robots().values()]


def kept_by(kind: type[Plant]) -> set[str]:
    """Private attributes that a plant sets on itself."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(kind)))  # type: ignore[arg-type]
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr.startswith("_")
    }


def test_the_contract_on_imports_covers_all_that_knows_the_truth() -> None:
    """test_layout runs import-linter; here is that the contract says what it must."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    contract = next(item for item in contracts if item["name"] == "nobody who heals a robot knows the truth about it")
    assert {"patcher", "sim.twin", "sim.validate", "sim.workers", "remend.deploy"} <= set(contract["source_modules"])
    assert {"sim.truth", "sim.robot_process", "sim.environment", "sim.faults.notation"} <= set(
        contract["forbidden_modules"]
    )


# what leaves a robot


def test_a_frame_has_no_field_for_the_truth() -> None:
    assert Frame._fields == ("seq", "stamp_ns", "q", "qd", "tau_meas", "tau_cmd")
    assert Reference._fields == ("q_ref", "qd_ref", "qdd_ref")
    assert [field.name for field in fields(TelemetryRow)] == ["frame", "reference"]


def test_a_law_can_read_no_signal_that_is_the_truth() -> None:
    assert {signal.source for signal in SIGNALS.values()} <= {"clock", "measured", "reference", "model"}


@pytest.mark.parametrize("name", shipped_robots())
def test_a_robot_process_sends_frames_and_nothing_else(name: str) -> None:
    """Byte for byte: each message is the packed form of the frame that it unpacks to, so there is no room for more."""
    file = robot_file(name)
    robot = load_robot(file)
    n, m = robot.dof, len(robot.actuators)
    here, there = Pipe()

    def serve() -> None:
        with there:  # however it ends, this end is closed and nobody waits for it
            robot_process.robot_main(there, file, "delay:ms=10,onset=0", 3, 0.0)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for tick in range(20):
            message = here.recv_bytes()
            frame = unpack_frame(message, n, m)
            assert frame.seq == tick
            assert pack_frame(frame) == message
            assert len(message) == 8 * (2 + 2 * n + 2 * m)
            here.send_bytes(struct.pack(f"<{m}d", *frame.tau_cmd))
    finally:
        here.close()
        thread.join()


def test_what_a_robot_says_differs_from_what_is_so() -> None:
    """Noise on every channel: not even by chance does a reading hand the truth on."""
    from sim.faults.course import FaultCourse  # noqa: PLC0415
    from sim.kinds import hidden_physics, open_plant  # noqa: PLC0415

    robot = load_robot(robot_file("iiwa"))
    with open_plant(robot, hidden_physics(robot, 1), FaultCourse(), seed=1) as plant:
        for _ in range(20):
            frame = plant.measure()
            q, v = plant.true_state()
            assert not np.any(np.array(frame.q) == q)
            assert not np.any(np.array(frame.qd) == v)
            plant.apply(frame.tau_cmd)
