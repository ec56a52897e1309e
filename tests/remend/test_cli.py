"""The command line as a user meets it: what is wrong comes as one sentence and an exit code, and before any work."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import sim
from controllers.artefact import shipped_laws
from remend import __version__
from remend.cli import main
from remend.store import Store
from remend.versions import Versions
from sim.catalogue import robot_files

IIWA = Path(str(sim.__file__)).parent / "robots" / "iiwa"
COMPUTED_TORQUE = shipped_laws()["computed_torque"]


class Shell:
    """Runs `remend` in an own folder with an own home."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        environment = {**os.environ, "REMEND_HOME": str(self.home), "NO_COLOR": "1", "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def remend(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "remend", *arguments)

    def done(self, *arguments: str) -> str:
        """Standard output of a command that succeeds and has nothing to complain of."""
        ran = self.remend(*arguments)
        assert (ran.returncode, ran.stderr) == (0, ""), ran
        return ran.stdout

    def complaint(self, *arguments: str) -> str:
        """The one sentence of a command that is given bad input."""
        ran = self.remend(*arguments)
        assert ran.returncode == 2, ran
        assert ran.stdout == ""
        assert re.fullmatch(r"remend: [^\n]+\n", ran.stderr), ran.stderr
        sentence = ran.stderr.removeprefix("remend: ").strip()
        assert "Error" not in sentence
        assert "Traceback" not in sentence
        return sentence


class SameProcess(Shell):
    """The same without the second that a process needs to start: for the many forms of one mistake."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder)
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("REMEND_HOME", str(self.home))

    def remend(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self._monkeypatch.setattr(sys, "argv", ["remend", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        said = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(done.value.code or 0), said.out, said.err)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return SameProcess(tmp_path, monkeypatch, capsys)


# -- bad input of heal ------------------------------------------------------------------------------------------------


def refuse_to_heal(shell: Shell, arguments: list[str], parts: list[str]) -> None:
    sentence = shell.complaint("heal", *arguments)
    for part in parts:
        assert part in sentence
    assert not (shell.home / "remend.db").exists()
    assert not (shell.home / "robots").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--fault", "fire"], ["'fire' is not in the catalogue", "payload", "sensor_bias"]),
        (["--fault", "payload:mas=5"], ["'mas=5' is not understood", "mass"]),
        (["--fault", "friction:joint=9"], ["no joint '9'", "1 to 7"]),
        (["--robot", "iwa"], ["no robot 'iwa'", "did you mean iiwa?"]),
        (["--robot", "quadrotor", "--fault", "payload:mass=5"], ["mass=5 must be a number between 0 and 0.015"]),
        (["--proposer", "oracle"], ["no proposer 'oracle'", "auto, memory, skills, tune, evolve, llm"]),
        (["--json", "missing/result.json"], ["missing/result.json", "cannot be written"]),
    ],
)
def test_a_healing_of_what_does_not_exist_is_refused_before_it_begins(
    shell: Shell, arguments: list[str], parts: list[str]
) -> None:
    refuse_to_heal(shell, arguments, parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--fault", "payload:mass=much"], ["mass=much must be a number between 0 and 10"]),
        (["--fault", "payload:mass=nan"], ["mass=nan must be a number"]),
        (["--robot", "arm.urdf"], ["arm.urdf", "`remend init --urdf` makes one"]),
        (["--fault", ""], ["the fault is empty", "none"]),
        (["--fault", "payload:mass=2+"], ["missing beside +", "none"]),
        (["--fault", "friction:joint=elbow"], ["no joint 'elbow'", "joint_7"]),
        (["--fault", "payload:joint=1"], ["'joint=1' is not understood"]),
        (["--fault", "delay:ms=1,ms=2"], ["ms is given twice"]),
        (["--robot", "octopod"], ["no robot 'octopod'", "iiwa", "robot.toml"]),
        (["--robot", "missing/robot.toml"], ["missing/robot.toml", "no such file"]),
        (["--robot", "."], ["robot.toml", "no such file"]),
        (["--json", "."], ["cannot be written"]),
    ],
)
def test_every_form_of_a_wrong_request_is_one_sentence(inside: Shell, arguments: list[str], parts: list[str]) -> None:
    refuse_to_heal(inside, arguments, parts)


def test_the_tour_refuses_a_bad_path_for_its_result_before_it_begins(inside: Shell) -> None:
    assert "cannot be written" in inside.complaint("demo", "--yes", "--json", "missing/result.json")
    (inside.folder / "taken").write_text("a file")
    assert "--out" in inside.complaint("demo", "--yes", "--out", "taken")


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("robot.toml", 'name = "iiwa"', "name = iiwa", ["robot.toml", "line 2"]),
        ("robot.toml", "control_rate_hz = 500", "", ["robot.toml", "control_rate_hz is missing"]),
        ("robot.toml", "control_rate_hz = 500", 'control_rate_hz = "fast"', ["control_rate_hz", "number", "'fast'"]),
        ("robot.toml", "control_rate_hz = 500", "control_rat_hz = 1", ["control_rate_hz is missing"]),
        ("robot.toml", "power_w = 600.0", "power_w = 600.0\nspede = 1", ["envelope.spede is not known"]),
        ("robot.toml", '"joint_7"]', '"joint_8"]', ["no joint 'joint_8'"]),
        ("robot.toml", 'controller = "computed_torque"', 'controller = "pid"', ["'pid'", "computed_torque, joint_pd"]),
        ("robot.toml", "iiwa.urdf", "other.urdf", ["other.urdf", "no such file"]),
        ("iiwa.urdf", "<mass", "<mas", ["has no <inertial> mass and inertia"]),
        ("iiwa.urdf", "</robot>", "", ["iiwa.urdf", "not well-formed XML"]),
    ],
)
def test_a_broken_robot_is_named_with_file_and_place(
    inside: Shell, file: str, old: str, new: str, parts: list[str]
) -> None:
    break_robot(inside.folder / "own", file, old, new)
    refuse_to_heal(inside, ["--robot", "own/robot.toml"], parts)


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("robot.toml", "control_rate_hz = 500", "control_rate_hz = ", ["own/robot.toml", "line 6"]),
        ("iiwa.urdf", "<inertial>", "<inertal>", ["own/iiwa.urdf", "is not well-formed XML"]),
        ("iiwa.urdf", "inertial>", "inertal>", ["own/iiwa.urdf", "moves but has no <inertial> mass and inertia"]),
    ],
)
def test_a_broken_robot_of_a_user_ends_with_one_sentence(
    shell: Shell, file: str, old: str, new: str, parts: list[str]
) -> None:
    break_robot(shell.folder / "own", file, old, new)
    refuse_to_heal(shell, ["--robot", "own/robot.toml"], parts)


def break_robot(folder: Path, file: str, old: str, new: str) -> None:
    shutil.copytree(IIWA, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")


# -- the catalogue ----------------------------------------------------------------------------------------------------


def test_version_is_that_of_the_package(shell: Shell) -> None:
    assert shell.done("--version") == f"remend {__version__}\n"


def test_robots_are_listed_one_a_line(shell: Shell) -> None:
    listed = shell.done("robots").splitlines()
    assert [line.split(":")[0] for line in listed] == list(robot_files())
    iiwa = next(line for line in listed if line.startswith("iiwa: "))
    assert iiwa.endswith("; 7 joints at 500 Hz, controller computed_torque")


def test_every_fault_is_listed_with_its_notation(shell: Shell) -> None:
    listed = shell.done("faults")
    for notation in ("payload:mass=5", "friction:joint=J,scale=10", "delay:ms=", "onset=S", "severity="):
        assert notation in listed


def test_doctor_finds_this_environment_fit(shell: Shell) -> None:
    listed = shell.done("doctor")
    assert all(re.match(r"(ok|warn) +[\w -]+: ", line) for line in listed.splitlines())
    assert not shell.home.exists()


@pytest.mark.parametrize("command", ["no-such-command", "heal --no-such-option", "check", "heal --seed=-1"])
def test_misuse_exits_with_2_and_leaves_standard_output_alone(shell: Shell, command: str) -> None:
    ran = shell.remend(*command.split())
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr


# -- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped_laws())
def test_shipped_laws_pass_the_check(shell: Shell, name: str) -> None:
    listed = shell.done("check", str(shipped_laws()[name]))
    assert listed.startswith(f"{name}: ")
    assert re.search(r"cost +\d+ operations", listed)
    assert re.search(r"sha256 +[0-9a-f]{64}\n", listed)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("    while True:\n        pass\n", "law.py:11:5: "),
        ("    tau[7] = kp[0]\n", "law.py:11:"),
        ("    tau[0] = open\n", "law.py:11:14: "),
        ("    import os\n", "law.py:11:5: "),
        ("    tau[0] = (\n", "law.py:11:"),
    ],
)
def test_a_broken_law_is_named_with_file_line_and_column(inside: Shell, line: str, place: str) -> None:
    own = inside.folder / "own"
    shutil.copytree(COMPUTED_TORQUE, own)
    text = (own / "law.py").read_text(encoding="utf-8")
    head = text.index("    for i in range(7):")
    assert text[:head].count("\n") == 10
    (own / "law.py").write_text(text[:head] + line + text[head:], encoding="utf-8")
    sentence = inside.complaint("check", "own")
    assert place in sentence
    assert re.search(r"law\.py:\d+:\d+: \S", sentence)


def test_a_broken_law_ends_with_one_sentence(shell: Shell) -> None:
    own = shell.folder / "own"
    shutil.copytree(COMPUTED_TORQUE, own)
    (own / "law.py").write_text("def control(q, tau):\n    tau[0] = q[0] ** 2.0\n")
    assert "law.py:2:14: " in shell.complaint("check", "own")


def test_check_of_no_folder_says_what_to_give(shell: Shell) -> None:
    assert "cannot be read" in shell.complaint("check", "missing")


# -- detect -----------------------------------------------------------------------------------------------------------


def write_recording(path: Path, rows: int, shift_at: int) -> list[float]:
    """Two noisy channels; one moves at row `shift_at`. Returns the times [s]."""
    rng = np.random.default_rng(5)
    times = [round(0.1 * k, 1) for k in range(rows)]
    effort, speed = rng.normal(0.0, 1.0, (2, rows))
    effort[shift_at:] += 6.0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time_s", "effort", "speed"))
        writer.writerows(zip(times, effort, speed, strict=True))
    return times


def test_detect_writes_one_row_for_every_row_it_reads(shell: Shell) -> None:
    times = write_recording(shell.folder / "run.csv", 600, 400)
    said = shell.done("detect", "run.csv", "--out", "scores.csv", "--head", "200", "--events", "events.json")
    assert said.startswith("600 rows, 1 events")
    with (shell.folder / "scores.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["t", "score", "alarm"]
    assert [float(t) for t, _, _ in rows] == times
    alarms = [int(alarm) for _, _, alarm in rows]
    assert set(alarms) == {0, 1}
    assert not any(alarms[:400])
    assert any(alarms[400:430])
    assert all(float(score) >= 0.0 for _, score, _ in rows)
    (event,) = json.loads((shell.folder / "events.json").read_text())
    assert event["channel"].startswith("effort")
    assert 38.0 < event["onset_s"] < 42.0


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "there is no such file"),
        ("", "no rows below a header line"),
        ("t,x\n", "no rows below a header line"),
        ("t,x\n0,1\n1\n", "row 2 has 1 cells"),
        ("t,x\n0,1\n1,2\n", "none are left to judge"),
        ("t,name\n0,left\n1,right\n", "no column of numbers"),
    ],
)
def test_detect_says_what_is_wrong_with_a_recording(inside: Shell, content: str | None, part: str) -> None:
    if content is not None:
        (inside.folder / "run.csv").write_text(content)
    assert part in inside.complaint("detect", "run.csv", "--out", "scores.csv")
    assert not (inside.folder / "scores.csv").exists()


@pytest.mark.parametrize("content", [None, ""], ids=["missing", "empty"])
def test_detect_of_nothing_ends_with_one_sentence(shell: Shell, content: str | None) -> None:
    if content is not None:
        (shell.folder / "run.csv").write_text(content)
    assert shell.complaint("detect", "run.csv", "--out", "scores.csv").startswith("run.csv: ")


@pytest.mark.parametrize("head", ["0", "-3", "many", "600", "60s", "nans"])
def test_detect_says_what_is_wrong_with_a_head(inside: Shell, head: str) -> None:
    write_recording(inside.folder / "run.csv", 600, 600)
    assert "--head" in inside.complaint("detect", "run.csv", "--out", "scores.csv", "--head", head)


# -- the records of a home --------------------------------------------------------------------------------------------


@pytest.fixture
def lived(shell: Shell, samples: ModuleType) -> str:
    """A home with one incident from alarm to commit; returns the id of its patch."""
    shell.home.mkdir(mode=0o700)
    with Store.open(shell.home) as store:
        samples.live_through(store, Versions.open(shell.home), 0, "lived")
        return str(store.patches()[0].id)


@pytest.mark.parametrize("command", [("audit", "verify"), ("show", "pat_1")])
def test_an_empty_home_has_nothing_to_show_and_stays_empty(shell: Shell, command: tuple[str, ...]) -> None:
    sentence = shell.complaint(*command)
    assert str(shell.home) in sentence
    assert not shell.home.exists() or list(shell.home.iterdir()) == []


def test_an_audit_log_that_nobody_touched_is_intact(shell: Shell, lived: str) -> None:
    assert re.match(r"audit log intact: \d+ rows, head [0-9a-f]{16}\n", shell.done("audit", "verify"))


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ("UPDATE audit SET actor = 'mallory' WHERE seq = 3", ["broken at row 3", "edited"]),
        ("DELETE FROM audit WHERE seq = 2", ["broken at row 2", "missing"]),
        ("UPDATE approvals SET record = replace(record, 'approve', 'reject ')", ["record in approvals was edited"]),
    ],
)
def test_a_touched_audit_log_is_found_broken(shell: Shell, lived: str, statement: str, parts: list[str]) -> None:
    with sqlite3.connect(shell.home / "remend.db") as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")  # they guard against accidents, not against intent
        assert database.execute(statement).rowcount > 0
    database.close()
    ran = shell.remend("audit", "verify")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert len(ran.stdout.splitlines()) == 1
    for part in parts:
        assert part in ran.stdout


def test_show_prints_a_patch_and_its_incident_as_json(shell: Shell, lived: str) -> None:
    patch = json.loads(shell.done("show", lived))
    assert (patch["id"], patch["kind"]) == (lived, "patch")
    assert patch["status"] in {row["after"] for row in patch["moves"]}
    (candidate,) = patch["candidates"]
    incident = json.loads(shell.done("show", candidate["incident_id"]))
    assert incident["patches"] == [{"id": lived, "status": patch["status"]}]
    assert [row["seq"] for row in incident["audit"]] == sorted(row["seq"] for row in incident["audit"])


def test_show_of_an_unknown_id_says_so(shell: Shell, lived: str) -> None:
    assert "pat_nobody" in shell.complaint("show", "pat_nobody")


# -- light commands stay light ----------------------------------------------------------------------------------------

_LOADED = """
import sys
from remend.cli import main
sys.argv = ["remend", *sys.argv[1:]]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("command", ["--version", "robots", "faults", f"check {COMPUTED_TORQUE}", "detect", "audit"])
def test_light_commands_load_no_simulation(shell: Shell, command: str, lived: str) -> None:
    arguments = command.split()
    if command == "detect":
        write_recording(shell.folder / "run.csv", 600, 600)
        arguments += ["run.csv", "--out", "scores.csv"]
    if command == "audit":
        arguments.append("verify")
    ran = shell.python("-c", _LOADED, *arguments)
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.rpartition("LOADED")[2].split())
    assert "typer" in loaded
    assert not loaded & {"pybullet", "matplotlib", "cma", "gymnasium"}
    if command != "audit":
        assert not loaded & {"pygit2", "sqlalchemy"}
