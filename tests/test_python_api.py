"""Every code block of docs/python-api.md runs as it stands, in an interpreter of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sim.catalogue import robot_file
from tests import made_up

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+\.py)\n")  # a block that starts so is that file; the others are scripts
FILES = {match[1]: text for kind, text in BLOCKS if kind == "python" and (match := NAMED.match(text))}
SCRIPTS = [text for kind, text in BLOCKS if kind == "python" and not NAMED.match(text)]


def run(folder: Path, *command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PYTHONPATH": str(folder), "PATH": path}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The package of the page, as `remend init` and pip would leave it."""
    folder = tmp_path_factory.mktemp("lab")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    shutil.copy(robot_file("iiwa").with_name("iiwa.urdf"), folder / "arm.urdf")
    (shell,) = (text for kind, text in BLOCKS if kind == "sh")
    run(folder, "sh", "-e", "-c", shell)
    (project,) = (tomllib.loads(text)["project"] for kind, text in BLOCKS if kind == "toml")
    about = folder / "my_lab-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


EXPECTED = {  # script of the page -> what its output must show
    "rollout(robot": r"none: [\d.e-]+ rad, diverged: False\npayload:mass=5: ",
    "in twin.causes": r"0\.\d+ payload \{'mass': (0\.9|1\.0)",
    "diagnose(": r"Most likely .*joint 2 that does not let go.*refuted if .*\nFalse Release",
    "validate(workers": r"pass\nsuperior_tracking pass",
    "Iiwa-v0": r"[\d.]+ 0\.0 \{'label': 'payload:mass=5,onset=1', 'severity': 1\.0\}",
    "PPO(": r"\(array\(\[.*\], dtype=float32\), None\)",
    "LabArm-v0": r"leak \(<my_lab\.proposers\.Stiffer.*\n\{'label': 'leak:share=0\.3', 'severity': 1\.0\}",
}


def test_every_block_is_run_by_one_of_these_tests():
    assert {kind for kind, _ in BLOCKS} == {"python", "sh", "toml"}
    assert sorted(FILES) == [f"my_lab/{name}.py" for name in ("faults", "proposers", "robots", "tasks")]
    assert len(SCRIPTS) == len(EXPECTED)


@pytest.mark.parametrize("mark", EXPECTED)
def test_script_runs_and_prints_what_it_is_about(mark, lab):
    (text,) = (text for text in SCRIPTS if mark in text)
    script = lab / "script.py"
    script.write_text(text)
    assert re.search(EXPECTED[mark], run(lab, sys.executable, str(script)))


def test_the_proposer_proposes(lab):
    spec = importlib.util.spec_from_file_location("my_lab_proposers", lab / "my_lab" / "proposers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (proposal,) = module.STIFFER.propose(made_up.situation(), made_up.FakeWorkers(made_up.load_cancelled))
    assert {change.name.split("[")[0] for change in proposal.candidate.changes} == {"kp"}


def test_the_installed_task_starts_and_ends_at_rest(lab):
    program = """
import numpy as np
from sim.catalogue import find_robot
from sim.tasks.catalogue import draw_task
arm = find_robot("lab_arm")
task = draw_task(arm, "nod", np.array(arm.home), 1.0, np.random.default_rng(1))
print(np.abs(task.q[-1] - arm.home).max() + np.abs(task.qd[-1]).max() + np.abs(task.qd[0]).max() < 0.05)
"""
    assert run(lab, sys.executable, "-c", program).strip() == "True"
