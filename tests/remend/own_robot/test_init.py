"""`remend init` as a user meets it: exit codes, one sentence for what is wrong, and what it prints."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from core.robot_toml import load_robot
from remend.cli import main

HERE = Path(__file__).parent


@pytest.fixture
def remend(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["remend", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        return int(done.value.code or 0), said.out, said.err

    return command


def test_an_arm_is_set_up_with_its_options(remend, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    six = str(HERE / "six.urdf")
    options = ("--name", "bench", "--control-rate", "250", "--tip", "wrist_1")
    code, out, err = remend("init", "my_arm", "--urdf", six, *options)
    assert (code, err) == (0, "")
    assert out.startswith("my_arm: 4 revolute joints, base to tip: yaw, lift, elbow, roll\n")
    assert "  remend heal --robot my_arm/robot.toml --fault payload:mass=" in out
    robot = load_robot(tmp_path / "my_arm" / "robot.toml")
    assert (robot.name, robot.control_rate_hz, robot.physics_rate_hz) == ("bench", 250, 1000)
    assert robot.payload_link == "wrist_1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("taken", "--urdf", "pendulum"), "taken: is not empty; give a folder that is new or empty"),
        (("new", "--urdf", "nowhere.urdf"), "nowhere.urdf: no such file; give the path of a URDF with --urdf"),
        (("new", "--urdf", "pendulum", "--name", "a b"), "--name a b: must be up to 40 letters"),
        (("new", "--urdf", "pendulum", "--tip", "ceiling"), "has no moving joint up to 'ceiling'; nothing could be"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(  # type: ignore[no-untyped-def]
    remend, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    given = [str(HERE / "pendulum.urdf") if word == "pendulum" else word for word in arguments]
    code, out, err = remend("init", *given)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"remend: [^\n]+\n", err)
    assert words in err
    assert not (tmp_path / "new").exists()


def test_a_rate_that_no_loop_runs_at_is_refused(remend) -> None:  # type: ignore[no-untyped-def]
    code, _, err = remend("init", "new", "--urdf", str(HERE / "pendulum.urdf"), "--control-rate", "5")
    assert code == 2
    assert "--control-rate" in err
