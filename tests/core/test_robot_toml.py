"""robot.toml: every mistake is answered with one sentence that names the file and the key."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import BadInput
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from core.robot_toml import load_robot
from core.urdf import read_joint_limits


@pytest.fixture
def folder(iiwa: Robot, tmp_path: Path) -> Path:
    """A copy of the arm's files, to be broken."""
    there = tmp_path / "arm"
    shutil.copytree(iiwa.folder, there)
    return there


def edit(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1
    file.write_text(text, encoding="utf-8")


def complaint(load: Callable[[], object]) -> str:
    """The one sentence of a refusal."""
    with pytest.raises(BadInput) as caught:
        load()
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    assert caught.value.exit_code == 2
    return message


def test_the_shipped_robot_is_read(iiwa: Robot) -> None:
    assert iiwa.dof == 7
    assert iiwa.dt_s == 0.002
    assert iiwa.limits.effort == (176.0, 176.0, 110.0, 110.0, 110.0, 40.0, 40.0)
    assert iiwa.limits.damping == (0.5,) * 7
    assert iiwa.urdf.is_file()
    assert iiwa.payload_point_m == (0.0, 0.0, 0.1)
    assert iiwa.canary.stages[-1] == 1.0


def test_joints_are_found_by_name_and_by_number_from_one(iiwa: Robot) -> None:
    assert [iiwa.joint_index(str(k + 1)) for k in range(7)] == list(range(7))
    assert [iiwa.joint_index(name) for name in iiwa.joints] == list(range(7))
    for wrong in ("0", "8", "", "joint_8", "-1", "1.0", "²", " 1"):
        assert f"has no joint '{wrong}'; give 1 to 7 or one of joint_1" in complaint(
            lambda w=wrong: iiwa.joint_index(w)
        )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "robot.toml"
    assert complaint(lambda: load_robot(file)) == f"{file}: no such file; give the path of a robot.toml"
    assert str(tmp_path) in complaint(lambda: load_robot(tmp_path))


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b"a = 1\na = 2", b"[drive\n"])
def test_broken_toml_is_named_with_its_place(folder: Path, content: bytes) -> None:
    file = folder / "robot.toml"
    file.write_bytes(content)
    assert complaint(lambda: load_robot(file)).startswith(f"{file}: cannot be read as TOML (")


KEYS = {
    "": "name title urdf joints control_rate_hz controller safety_controller home"
    " payload drive sensors tasks envelope canary",
    "payload": "link point_m",
    "drive": "rotor_inertia command_delay_s command_rate",
    "sensors": "position_noise velocity_noise effort_noise",
    "tasks": "kinds low high speed_fraction effort_fraction",
    "envelope": "power_w speed_fraction braking_fraction reject_factor stale_after_s",
    "canary": "stages hold_s fade_s shadow_s",
}
ALL_KEYS = [(table, key) for table, keys in KEYS.items() for key in keys.split()]


def spoil(file: Path, table: str, key: str, line: str) -> None:
    """Put `line` where `key` of `table` stands; a table of its own is renamed."""
    section, out, done = "", [], False
    for old in file.read_text(encoding="utf-8").splitlines():
        header = re.match(r"\[(\w+)\]", old)
        section = header.group(1) if header else section
        if header and not table and header.group(1) == key:
            out.append("[elsewhere]")
        elif not header and section == table and re.match(rf"{key}\s*=", old):
            out.append(line)
        else:
            out.append(old)
        done = done or out[-1] is not old
    assert done
    file.write_text("\n".join(out), encoding="utf-8")


@pytest.mark.parametrize(("table", "key"), ALL_KEYS)
def test_a_missing_key_is_named(folder: Path, table: str, key: str) -> None:
    file = folder / "robot.toml"
    spoil(file, table, key, "")
    path = f"{table}.{key}" if table else key
    assert complaint(lambda: load_robot(file)) == f"{file}: {path} is missing; add it"


@pytest.mark.parametrize(("table", "key"), [(table, key) for table, key in ALL_KEYS if table or key not in KEYS])
def test_a_value_of_the_wrong_kind_is_named(folder: Path, table: str, key: str) -> None:
    file = folder / "robot.toml"
    spoil(file, table, key, f"{key} = true")
    path = f"{table}.{key}" if table else key
    assert complaint(lambda: load_robot(file)).startswith(f"{file}: {path} must be a ")


@pytest.mark.parametrize("table", list(KEYS))
def test_an_unknown_key_is_named(folder: Path, table: str) -> None:
    file = folder / "robot.toml"
    text = file.read_text(encoding="utf-8")
    place = f"[{table}]" if table else 'name = "iiwa"'
    text = re.sub(rf"^{re.escape(place)}.*$", r"\g<0>\ntypo_rad = 1.0", text, count=1, flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")
    path = f"{table}.typo_rad" if table else "typo_rad"
    assert complaint(lambda: load_robot(file)).startswith(f"{file}: {path} is not known here; use one of ")


@pytest.mark.parametrize(
    ("table", "key", "line", "words"),
    [
        ("", "home", "home = [0.0, 0.5]", "home must be a list of 7 entries"),
        ("drive", "command_rate", "command_rate = [1.0]", "drive.command_rate must be a list of 7 entries"),
        (
            "drive",
            "command_rate",
            f"command_rate = {[-1.0] * 7}",
            "drive.command_rate must be a number between",
        ),
        ("tasks", "low", "low = []", "tasks.low must be a list of 7 entries"),
        ("payload", "point_m", "point_m = [0.0, 0.1]", "payload.point_m must be a list of 3 entries"),
        ("canary", "hold_s", "hold_s = [0.1, 0.1]", "canary.hold_s must be a list of 3 entries"),
        ("", "control_rate_hz", "control_rate_hz = 5", "control_rate_hz must be a number between 10 and 2000, not 5"),
        (
            "",
            "control_rate_hz",
            'control_rate_hz = "500"',
            "control_rate_hz must be a number between 10 and 2000, not '500'",
        ),
        ("", "joints", "joints = []", "joints must be a list of texts in quotes"),
        ("", "joints", "joints = [1, 2]", "joints must be a list of texts in quotes"),
        ("", "name", 'name = ""', "name must be a text in quotes"),
        (
            "sensors",
            "effort_noise",
            "effort_noise = nan",
            "sensors.effort_noise must be a number between 0 and 100",
        ),
        (
            "sensors",
            "effort_noise",
            "effort_noise = -0.1",
            "sensors.effort_noise must be a number between 0 and",
        ),
        ("canary", "stages", "stages = [0.1, 0.3, 2.0]", "canary.stages must be a number between 0 and 1, not 2.0"),
        ("canary", "stages", "stages = [0.5, 0.3, 1.0]", "canary.stages must rise and end at 1.0"),
        ("canary", "stages", "stages = [0.1, 0.3, 0.9]", "canary.stages must rise and end at 1.0"),
        (
            "tasks",
            "low",
            f"low = {[-3.0] * 7}",
            "tasks.low and high of joint_1 must be a range inside",
        ),
        (
            "tasks",
            "low",
            f"low = {[2.0] * 7}",
            "tasks.low and high of joint_1 must be a range inside",
        ),
        ("", "home", f"home = {[0.0] * 6 + [3.1]}", "home of joint_7 must lie inside its joint limits"),
        ("", "urdf", 'urdf = "nowhere.urdf"', "nowhere.urdf: no such file; correct `urdf` in robot.toml"),
        ("", "urdf", 'urdf = "."', "cannot be read"),
    ],
)
def test_a_value_that_does_not_fit_is_named(folder: Path, table: str, key: str, line: str, words: str) -> None:
    file = folder / "robot.toml"
    spoil(file, table, key, line)
    message = complaint(lambda: load_robot(file))
    assert words in message
    assert message.startswith(str(folder))


def test_an_empty_list_of_stages_is_refused(folder: Path) -> None:
    file = folder / "robot.toml"
    spoil(file, "canary", "stages", "stages = []")
    spoil(file, "canary", "hold_s", "hold_s = []")
    assert complaint(lambda: load_robot(file)) == f"{file}: canary.stages must rise and end at 1.0"


def test_a_table_written_as_a_value_is_named(folder: Path) -> None:
    file = folder / "robot.toml"
    spoil(file, "", "drive", "")
    edit(file, r"^name = .*$", r"\g<0>\ndrive = 3")
    assert complaint(lambda: load_robot(file)) == f"{file}: drive must be a table"


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        (r"</robot>", "", "is not well-formed XML ("),
        (
            r'<joint name="joint_3"',
            '<joint name="elbow"',
            "has no joint 'joint_3'; robot.toml may name joint_1, joint_2, elbow",
        ),
        (
            r'<limit lower="-2.967060" upper',
            "<limit upper",
            "joint 'joint_1' has no <limit lower= upper=>; add the range",
        ),
        (r"<limit [^>]*/>", "", "joint 'joint_1' has no <limit lower= upper=>; add the range"),
        (r' velocity="1.710423"', "", "joint 'joint_1' has no finite number for limit velocity=; add it"),
        (r' effort="176"', ' effort="strong"', "joint 'joint_1' has no finite number for limit effort=; add it"),
        (r' effort="176"', ' effort="inf"', "joint 'joint_1' has no finite number for limit effort=; add it"),
        (
            r' effort="176"',
            ' effort="0"',
            "joint 'joint_1' needs lower < upper and positive velocity and effort limits",
        ),
        (r'lower="-2.967060" upper="2.967060"', 'lower="1" upper="1"', "joint 'joint_1' needs lower < upper"),
        (r'damping="0.5"', 'damping="oil"', "joint 'joint_1' needs a number of at least 0 for dynamics damping="),
        (r'damping="0.5"', 'damping="-0.5"', "joint 'joint_1' needs a number of at least 0 for dynamics damping="),
        (r'damping="0.5"', 'damping="nan"', "joint 'joint_1' needs a number of at least 0 for dynamics damping="),
        (r'<mass value="4.0"/>', "", "link 'link_1' moves but has no <inertial> mass and inertia; add both"),
        (r'<mass value="4.0"/>', '<mass value="0"/>', "link 'link_1' moves but has no positive mass and inertia"),
        (r'<mass value="4.0"/>', '<mass value="heavy"/>', "link 'link_1' moves but has no positive mass and inertia"),
        (r'<mass value="4.0"/>', '<mass value="inf"/>', "link 'link_1' moves but has no positive mass and inertia"),
        (r'<inertia ixx="0.1" ', '<inertia ixx="-0.1" ', "link 'link_1' moves but has no positive mass and inertia"),
        (r'<inertia ixx="0.1" ', '<inertia ixx="big" ', "link 'link_1' moves but has no positive mass and inertia"),
        (
            r'<child link="link_1"/>',
            '<child link="link_x"/>',
            "link 'link_x' is the child of a joint but is not defined",
        ),
        (r'<child link="link_1"/>', "", "link 'None' is the child of a joint but is not defined"),
    ],
)
def test_a_urdf_that_cannot_be_simulated_is_refused(folder: Path, pattern: str, replacement: str, words: str) -> None:
    edit(folder / "iiwa.urdf", pattern, replacement)
    message = complaint(lambda: load_robot(folder / "robot.toml"))
    assert message.startswith(f"{folder / 'iiwa.urdf'}: ")
    assert words in message


def test_a_joint_without_dynamics_has_no_friction(folder: Path) -> None:
    edit(folder / "iiwa.urdf", r'<dynamics damping="0.5"/>', "")
    limits = read_joint_limits(folder / "iiwa.urdf", ("joint_1", "joint_2"), ("joint_1",))
    assert limits.damping == (0.0, 0.5)


def test_a_link_without_inertia_may_move_with_one_that_has_it(folder: Path) -> None:
    """Frames such as a flange have none; neither need the fingers of a gripper that is held still."""
    file = folder / "iiwa.urdf"
    hand = '<joint name="hand" type="fixed"><parent link="flange"/><child link="link_7"/></joint>'
    grip = '<joint name="grip" type="prismatic"><parent link="link_7"/><child link="finger"/></joint>'
    edit(file, r'<child link="link_7"/>', '<child link="flange"/>')
    edit(file, r"</robot>", f'<link name="flange"/>{hand}<link name="finger"/>{grip}</robot>')
    assert load_robot(folder / "robot.toml").dof == 7


def test_a_payload_link_that_is_not_in_the_urdf_is_named(folder: Path) -> None:
    file = folder / "robot.toml"
    spoil(file, "payload", "link", 'link = "gripper"')
    message = complaint(lambda: RigidBodyModel(load_robot(file)))
    assert message == f"{folder / 'iiwa.urdf'}: has no link 'gripper'; correct payload.link in robot.toml"


def test_joints_out_of_order_or_fixed_are_named(folder: Path) -> None:
    file = folder / "robot.toml"
    names = ["joint_2", "joint_1", *[f"joint_{k}" for k in range(3, 8)]]
    spoil(file, "", "joints", f"joints = {names}".replace("'", '"'))
    assert "list joints from base to tip: joint_1, joint_2" in complaint(lambda: RigidBodyModel(load_robot(file)))
    spoil(file, "", "joints", f"joints = {sorted(names)}".replace("'", '"'))
    edit(folder / "iiwa.urdf", r'name="joint_4" type="revolute"', 'name="joint_4" type="fixed"')
    assert "joint 'joint_4' is fixed; name only joints of type revolute or prismatic" in complaint(
        lambda: RigidBodyModel(load_robot(file))
    )
