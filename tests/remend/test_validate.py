"""`remend validate`: a controller of one's own, against the one that a robot has."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from controllers.library import find_law
from core.errors import BadInput
from core.status import Verdict
from remend.cli import main
from remend.console import Console
from remend.validation import twin_of_fault, validate_folder
from sim.catalogue import find_robot

ARM = find_robot("arm2")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The controller of the arm, in a folder to change it in."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in find_law(ARM, ARM.controller).files.items():
        (folder / name).write_bytes(data)
    return folder


def with_param(folder: Path, name: str, value: str) -> Path:
    lines = (folder / "params.toml").read_text().splitlines()
    changed = [f"{name} = {value}" if line.startswith(f"{name} =") else line for line in lines]
    assert changed != lines
    (folder / "params.toml").write_text("\n".join(changed) + "\n")
    return folder


def test_a_law_that_is_no_better_is_refused_after_a_few_runs(mine: Path) -> None:
    out = io.StringIO()
    found = validate_folder(
        with_param(mine, "mass", "0.001"), "arm2", "payload:mass=1", 3, Console(file=out, width=100)
    )
    assert found.report.verdict is Verdict.FAIL
    assert found.report.rollouts < 40
    assert found.diagnosis.causes[0].cause == "payload"
    assert "hopeless" in out.getvalue()
    answer = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (answer["verdict"], answer["robot"], answer["fault"], answer["seed"]) == (
        "fail",
        "arm2",
        "payload:mass=1",
        3,
    )
    assert answer["result_sha"] == found.report.result_sha != answer["base_sha"]
    assert {gate["name"] for gate in answer["gates"]} >= {"superior_tracking", "limits", "fidelity"}
    assert answer["metrics"]["rms_tracking_error"]["n_pairs"] == 6


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("payload:mass=1,onset=3", "leave onset= out"),
        ("thrust_loss", "thrust_loss"),
        ("payload:mass=", "payload"),
    ],
)
def test_a_fault_that_cannot_be_had_is_named_before_any_work(mine: Path, fault: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        validate_folder(with_param(mine, "mass", "1.0"), "arm2", fault, 1, Console(file=io.StringIO()))


def test_a_controller_is_not_compared_with_itself(mine: Path) -> None:
    with pytest.raises(BadInput, match="nothing to compare"):
        validate_folder(mine, "arm2", "none", 1, Console(file=io.StringIO()))


def test_a_controller_of_another_robot_does_not_fit(mine: Path) -> None:
    with pytest.raises(BadInput):
        validate_folder(with_param(mine, "mass", "1.0"), "quadrotor", "none", 1, Console(file=io.StringIO()))


def test_the_command_says_no_by_its_exit_code(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    arguments = ["validate", str(with_param(mine, "mass", "0.001")), "--robot", "arm2", "--json", str(result)]
    monkeypatch.setattr("sys.argv", ["remend", *arguments, "--fault", "payload:mass=1"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    assert json.loads(result.read_text())["verdict"] == "fail"
    assert "Verdict: " in capsys.readouterr().out
    shutil.rmtree(mine)
    monkeypatch.setattr("sys.argv", ["remend", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("quadrotor", "thrust_loss"),
        ("diffdrive", "wheel_radius:wheel=1,share=-0.05"),
        ("cartpole", "friction"),
        ("quadruped", "payload"),
    ],
)
def test_the_twin_of_a_law_with_a_memory_repeats_the_fault(name: str, fault: str) -> None:
    """What the law remembers and the noise of sensors are no fault of a twin."""
    robot = find_robot(name)
    law = find_law(robot, robot.controller)
    twin, faulty, repeated = twin_of_fault(robot, law, fault, 1, 0.7, Console(file=io.StringIO()))
    assert twin.causes[0].cause == fault.partition(":")[0]
    assert repeated > 0.8
    assert len(faulty) >= 2 * robot.control_rate_hz
