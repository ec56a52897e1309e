"""A researcher's own package: its fault, task, robot, kind of robot and proposer are found by their entry points."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sim.catalogue import robot_file

# One module with everything in it, which imports the modules that look it up: the hard case for the order of imports.
LAB = '''
"""A small laboratory."""
from pathlib import Path

import numpy as np

from core.metrics import METRICS
from patcher.propose.base import params_proposal
from patcher.search import PROPOSERS
from sim.effect import Effect, on
from sim.faults.kind import FaultKind, Parameter
from sim.kinds import Kind
from sim.physics import Physics
from sim.plant import Plant
from sim.rollout import rollout
from sim.tasks.task import TaskKind
from telemetry.watch.average import Average
from telemetry.watch.kinds import WatchedKind
from telemetry.watch.row import Row

LEAK = FaultKind(
    name="leak",
    meaning="oil where none should be",
    parameters=(Parameter(name="share", unit="1", default=0.5, low=0.0, high=1.0, meaning="share of the effort lost"),),
    target="actuator",
    effect=lambda robot, values, targets: Effect(gain_loss=on(targets, len(robot.actuators), values["share"])),
)


def _nod(robot, start, ticks, rng):
    t = np.arange(1, ticks + 1)[:, None] / ticks
    shape = rng.uniform(0.5, 1.0) * 0.1 * np.ones(robot.dof)
    T = ticks * robot.dt_s
    return (
        start + shape * np.sin(np.pi * t) ** 2,
        shape * np.pi / T * np.sin(2 * np.pi * t),
        shape * 2 * (np.pi / T) ** 2 * np.cos(2 * np.pi * t),
    )


NOD = TaskKind(name="nod", meaning="down and up again", draw=_nod)


class Cautious:
    """Changes nothing."""

    name = "cautious"

    def propose(self, situation, workers):
        return []


CAUTIOUS = Cautious()


class Puck(Plant):
    """A mass on ice that one drive pushes."""

    def _load(self):
        self._mass = self.physics.constants["mass"]

    def _place(self, q, v):
        pass

    def _holding(self, q):
        return np.zeros(1)

    def _take(self, effect):
        pass

    def _advance(self, command, steps):
        for _ in range(steps):
            self._applied = self._drive.step(np.array(command))
            self._v = self._v + self.step_s * self._applied / self._mass
            self._q = self._q + self.step_s * self._v


def _made(robot, rng=None):
    zero = np.zeros(robot.dof)
    mass = robot.constants["mass"] * (1.0 if rng is None else rng.uniform(0.9, 1.1))
    return Physics(substeps=1, inertials=zero, viscous=zero, coulomb=zero, stiction=zero, constants={"mass": mass})


PUCK = Kind(name="puck", plant=Puck, nominal=_made, hidden=_made)


def arm():
    return Path(__file__).parent / "arm" / "robot.toml"


class PuckBalances:
    """The puck's speed against what pushes it."""

    ticks, history = 2, 0

    def __init__(self, robot):
        self._average = Average(2, robot.dt_s)

    def learn(self, robot, head):
        pass

    def rows(self, block):
        v, u = block.group("qd"), block.group("tau_meas")
        gained, push = self._average.increment(v)[:, 0], self._average.under(u, late=1.0)
        return [Row(channel="puck.push", target=gained, features=push, rate=self._average.mean(v)[:, 0])]


WATCHED_PUCK = WatchedKind(name="puck", balances=PuckBalances)
RINK = str(Path(__file__).parent / "rink")
'''

POINTS = """
[remend.faults]
leak = lab:LEAK
[remend.tasks]
nod = lab:NOD
[remend.proposers]
cautious = lab:CAUTIOUS
[remend.kinds]
puck = lab:PUCK
[remend.balances]
puck = lab:WATCHED_PUCK
[remend.robots]
lab_arm = lab:arm
rink = lab:RINK
"""

RINK_TOML = """
name = "rink"
title = "A puck on ice"
kind = "puck"
urdf = "puck.urdf"
joints = ["x"]
units = ["m"]
actuators = ["x"]
control_rate_hz = 100
controller = "own"
safety_controller = "own"
home = [0.0]
[constants]
mass = 2.0
[limits]
low = [-5.0]
high = [5.0]
speed = [3.0]
effort_low = [-4.0]
effort_high = [4.0]
[drive]
command_delay_s = 0.0
command_rate = [1000.0]
[sensors]
position_noise = 1e-3
velocity_noise = 1e-2
effort_noise = 1e-2
[tasks]
kinds = ["nod"]
low = [-1.0]
high = [1.0]
speed_fraction = 0.5
effort_fraction = 0.5
[envelope]
power_w = 50.0
speed_fraction = 1.0
braking_fraction = 0.5
reject_factor = 3.0
stale_after_s = 0.05
[canary]
stages = [1.0]
hold_s = [1.0]
fade_s = 0.1
shadow_s = 0.1
"""

# Looks at everything from Python, in a process of its own.
LOOK = """
import json, sys
import gymnasium, numpy as np
from itertools import islice
from controllers.library import find_law
from patcher.search import choose_proposers
from sim.catalogue import find_robot
from sim.faults.course import FaultCourse
from sim.faults.notation import full_effect, parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.rollout import rollout
from sim.scenario import Scenario
from sim.tasks.catalogue import endless_tasks
from core.block import Block
from telemetry.watch.kinds import balances_of

arm = find_robot("lab_arm")
law = find_law(arm, arm.controller)
def error(spec):
    scenario = Scenario(name="look", physics=nominal_physics(arm), effect=full_effect(spec, arm), task_kind="nod",
                        task_seed=1, noise_seed=1, duration_s=0.5)
    return rollout(arm, law, scenario).metrics()["rms_tracking_error"]

env = gymnasium.make("sim.environments:remend/LabArm-v0", fault="leak:share=0.5", task="nod", duration_s=0.2)
_, info = env.reset(seed=1)
rink = find_robot("rink")
watched = list(balances_of(rink).rows(Block(data=np.ones((8, 9)), actuators=1)))
with open_plant(rink, hidden_physics(rink, 1), FaultCourse(), seed=1) as plant:
    for _ in range(100):
        plant.apply([1.0])
    x = float(plant.true_state()[0][0])
print(json.dumps({
    "healthy": error("none"), "leaking": error("leak"),
    "day": [reference.q_ref[0] - arm.home[0] for reference in islice(endless_tasks(arm, 1), 3000)],
    "kinds": list(arm.tasks.kinds), "task": info["task"], "fault": info["fault"]["label"],
    "proposer": [proposer.name for proposer in choose_proposers("cautious")],
    "auto": [proposer.name for proposer in choose_proposers("auto")],
    "x": x,
    "watched": [row.channel for row in watched],
}))
"""


def install(folder: Path, module: str, points: str, name: str = "lab") -> None:
    """What pip would leave behind of a package with one module."""
    (folder / f"{name}.py").write_text(module)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(points)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder), "REMEND_HOME": str(folder / "home")}
    return subprocess.run([sys.executable, *command], env=env, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    install(folder, LAB, POINTS)
    shutil.copytree(robot_file("arm2").parent, folder / "arm")
    toml = (folder / "arm" / "robot.toml").read_text()
    name, kinds = 'name = "arm2"', 'kinds = ["'
    assert name in toml
    assert kinds in toml
    (folder / "arm" / "robot.toml").write_text(
        toml.replace(name, 'name = "lab_arm"').replace(kinds, 'kinds = ["nod", "')
    )
    (folder / "rink").mkdir()
    (folder / "rink" / "robot.toml").write_text(RINK_TOML)
    (folder / "rink" / "puck.urdf").write_text('<robot name="puck"><link name="puck"/></robot>')
    return folder


@pytest.fixture(scope="module")
def seen(lab):
    done = run(lab, "-c", LOOK)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_line_lists_what_is_installed(lab):
    faults, robots = run(lab, "-m", "remend", "faults", "--robot", "lab_arm"), run(lab, "-m", "remend", "robots")
    assert "leak:joint=J,share=0.5    oil where none should be" in faults.stdout.splitlines()
    assert any(line.startswith("lab_arm: ") for line in robots.stdout.splitlines())
    assert any(line.startswith("rink: A puck on ice; 1 ") for line in robots.stdout.splitlines())
    assert (faults.returncode, robots.returncode) == (0, 0)


def test_an_own_fault_is_injected(seen):
    assert seen["leaking"] > 2.0 * seen["healthy"] > 0.0
    assert seen["fault"] == "leak:share=0.5"


def test_an_own_task_is_drawn(seen):
    assert seen["task"] == "nod"
    assert seen["kinds"][0] == "nod"
    assert max(map(abs, seen["day"])) > 0.01


def test_an_own_robot_of_an_own_kind_moves_as_its_plant_says(seen):
    """Half of acceleration times time squared, for a mass within 10 % of 2 kg."""
    assert 0.5 / 2.2 * 0.99 < seen["x"] < 0.5 / 1.8 * 1.02
    assert seen["watched"] == ["puck.push"]


def test_an_own_proposer_is_chosen_and_asked_last(seen):
    assert seen["proposer"] == ["cautious"]
    assert seen["auto"][-1] == "cautious"
    assert len(seen["auto"]) > 1


BROKEN = {
    "absent": ("remend.faults", "broken:NOTHING", "", ("faults",), "cannot be loaded"),
    "fails": ("remend.faults", "broken:X", "1 / 0", ("faults",), "division by zero"),
    "wrong": ("remend.faults", "broken:X", "X = 3", ("faults",), "must be an instance of FaultKind"),
    "class": (
        "remend.proposers",
        "broken:X",
        "class X: name, propose = 'x', print",
        ("heal", "--proposer", "x"),
        "instance",
    ),
    "taken": ("remend.robots", "broken:X", "X = 'robot.toml'", ("robots",), "the name 'iiwa' is taken"),
    "pathless": ("remend.robots", "broken:X", "X = 3", ("robots",), "must lead to the path of a robot.toml"),
    "raises": (
        "remend.robots",
        "broken:X",
        "def X(): raise OSError('no disk')",
        ("robots",),
        "gives no robot (no disk)",
    ),
    "nowhere": ("remend.robots", "broken:X", "X = 'nowhere/robot.toml'", ("robots",), "no such file"),
    "task": ("remend.tasks", "broken:X", "X = 3", ("heal",), "must be an instance of TaskKind"),
    "kind": ("remend.kinds", "broken:X", "X = 3", ("heal",), "must be an instance of Kind"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_is_one_clear_sentence_and_exit_code_2(case, tmp_path):
    group, value, module, command, sentence = BROKEN[case]
    point = "iiwa" if case == "taken" else "x"
    install(tmp_path, module, f"[{group}]\n{point} = {value}\n", name="broken")
    done = run(tmp_path, "-m", "remend", *command)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("remend: ")
    assert sentence in line
    assert ";" in line
    if case != "nowhere":  # there the file is to blame, and named
        assert group in line
        assert value in line


def test_what_is_broken_breaks_nothing_that_does_not_need_it(tmp_path):
    install(tmp_path, "X = 3", "[remend.faults]\nx = broken:X\n", name="broken")
    assert run(tmp_path, "-m", "remend", "robots").returncode == 0
    assert run(tmp_path, "-m", "remend", "--help").returncode == 0
