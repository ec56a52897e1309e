"""Robots that are no arm: passive joints, moving bases, rotors, position drives; and what is wrong with them."""

from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path
from types import ModuleType

import pytest

from core.errors import BadInput
from core.ports import Ports
from core.robot import Robot
from core.robot_toml import load_robot
from core.urdf import read_base_link


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


small = _load(Path(__file__).parents[1] / "small_robots.py")


def changed(file: Path, pattern: str, replacement: str) -> Path:
    """The same file with one place of the text replaced."""
    text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1
    file.write_text(text, encoding="utf-8")
    return file


def complaint(file: Path) -> str:
    with pytest.raises(BadInput) as caught:
        load_robot(file)
    message = str(caught.value)
    assert message.startswith(str(file.parent))
    assert "\n" not in message
    assert not message.endswith(".")
    return message.split(": ", 1)[1]


def test_an_arm_is_the_default(iiwa: Robot) -> None:
    assert (iiwa.kind, iiwa.mode) == ("fixed_base", "torque")
    assert iiwa.actuators == iiwa.joints
    assert iiwa.units == ("rad",) * 7
    assert iiwa.tracked == iiwa.drives == tuple(range(7))
    assert iiwa.ports == Ports(joints=7, actuators=7, output="tau")
    assert (iiwa.command_name, iiwa.command_unit, iiwa.effort_unit) == ("tau", "N*m", "N*m")
    assert iiwa.limits.effort_high == iiwa.limits.effort
    assert iiwa.limits.effort_low == tuple(-effort for effort in iiwa.limits.effort)
    assert (iiwa.physics_rate_hz, iiwa.substeps) == (1000, 2)
    assert iiwa.constants == {}
    assert iiwa.lost_error == (1.0,) * 7
    assert iiwa.sensors.effort_noise == (0.3,) * 7
    assert iiwa.tasks.kinds == ("reach", "weave", "pick")
    assert iiwa.envelope.power_w == 600.0
    assert hash(iiwa) == hash(iiwa)


def test_a_joint_without_an_actuator_is_a_coordinate(tmp_path: Path) -> None:
    robot = load_robot(small.write("cartpole", tmp_path))
    assert robot.ports == Ports(joints=2, actuators=1, output="tau")
    assert robot.units == ("m", "rad")
    assert robot.drives == (0,)
    assert (robot.command_unit, robot.effort_unit) == ("N", "N")
    assert robot.substeps == 4
    assert robot.limits.effort == robot.limits.effort_high == (20.0,)
    assert robot.limits.damping == (0.1, 0.002)
    assert robot.lost_error == (1.5, 0.8)
    assert robot.sensors.position_noise == (1e-4, 2e-4)
    assert robot.sensors.velocity_noise == (1e-3, 1e-3)
    assert robot.sensors.effort_noise == (0.05,)
    assert [robot.actuator_index(name) for name in ("cart", "1")] == [0, 0]
    with pytest.raises(BadInput, match="cartpole has no actuator 'pole'; give 1 to 1 or one of cart"):
        robot.actuator_index("pole")


def test_rotors_drive_no_coordinate(tmp_path: Path) -> None:
    robot = load_robot(small.write("quadrotor", tmp_path))
    assert robot.ports == Ports(joints=6, actuators=4, output="thrust")
    assert robot.drives == (None,) * 4
    assert robot.tracked == (0, 1, 2, 5)
    assert (robot.command_unit, robot.effort_unit) == ("N", "N")
    assert (robot.limits.effort_low, robot.limits.effort_high, robot.limits.effort) == (
        (0.0,) * 4,
        (6.0,) * 4,
        (6.0,) * 4,
    )
    assert robot.drive.rotor_inertia == robot.limits.damping == (0.0,) * 6
    assert robot.constants == {"arm_m": 0.2, "thrust_coefficient": (1e-5, 1e-5, 1e-5, 1.1e-5)}
    assert (robot.payload_link, robot.payload_point_m) == ("frame", (0.0, 0.0, 0.0))
    assert robot.envelope.power_w == math.inf


def test_an_actuator_drives_the_coordinate_of_its_name(tmp_path: Path) -> None:
    robot = load_robot(small.write("rover", tmp_path))
    assert robot.drives == (4, 3)
    assert robot.units == ("m", "m", "rad", "rad", "rad")
    assert (robot.command_name, robot.command_unit, robot.effort_unit) == ("tau", "N*m", "N*m")
    assert robot.limits.effort == (2.0, 3.0)
    assert robot.limits.damping == (0.0, 0.0, 0.0, 0.01, 0.01)


def test_a_position_drive_takes_the_range_of_its_joint(tmp_path: Path) -> None:
    file = changed(small.write("rover", tmp_path), r'^kind = "diffdrive"', 'kind = "legged"\nmode = "position"')
    file = changed(file, r"^low = .*", "low = [-10.0, -10.0, -3.0, -0.5, -0.7]")
    file = changed(changed(file, r"^power_w.*\n", ""), r"^braking_fraction.*\n", "")
    robot = load_robot(file)
    assert (robot.command_name, robot.command_unit, robot.effort_unit) == ("q_cmd", "rad", "N*m")
    assert (robot.limits.effort_low, robot.limits.effort_high) == ((-0.7, -0.5), (1e9, 1e9))
    assert robot.limits.effort == (2.0, 3.0)


def test_a_slide_in_position_mode_is_commanded_in_metres(tmp_path: Path) -> None:
    file = changed(small.write("cartpole", tmp_path), r"^actuators", 'mode = "position"\nactuators')
    robot = load_robot(changed(changed(file, r"^power_w.*\n", ""), r"^braking_fraction.*\n", ""))
    assert (robot.command_name, robot.command_unit, robot.effort_unit) == ("q_cmd", "m", "N")
    assert (robot.limits.effort_low, robot.limits.effort_high, robot.limits.effort) == ((-2.0,), (2.0,), (20.0,))


@pytest.mark.parametrize(
    ("robot", "pattern", "replacement", "words"),
    [
        ("cartpole", r"^actuators.*", 'actuators = ["cart", "cart"]', "actuators must be a list without repetition;"),
        ("cartpole", r"^actuators.*", 'actuators = ["wheel"]', "'wheel' is none of the joints"),
        ("cartpole", r"^actuators", 'mode = "thrust"\nactuators', "mode must be torque or position where the kind is"),
        ("cartpole", r"^actuators", 'mode = "speed"\nactuators', "mode must be one of torque, position, thrust, not"),
        ("cartpole", r"^actuators", 'units = ["m", "rad"]\nactuators', "units comes from the URDF where the kind"),
        ("cartpole", r"^\[drive\]", "[limits]\n[drive]", "limits comes from the URDF where the kind is fixed_base"),
        ("cartpole", r"^physics_rate_hz.*", "physics_rate_hz = 250", "physics_rate_hz must be a whole multiple of 100"),
        (
            "cartpole",
            r"^physics_rate_hz.*",
            "physics_rate_hz = 99.5",
            "physics_rate_hz must be a whole number, not 99.5",
        ),
        ("cartpole", r"^rotor_inertia.*\n", "", "drive.rotor_inertia is missing; add it"),
        ("cartpole", r"^lost_error.*", "lost_error = 0.0", "lost_error must be a number between 1e-06 and"),
        ("cartpole", r"^lost_error.*", "lost_error = [1.0]", "lost_error must be a list of 2 entries"),
        ("cartpole", r"^position_noise.*", "position_noise = [0.1]", "sensors.position_noise must be a list of 2"),
        ("cartpole", r"^kinds.*", 'kinds = ["a", "a"]', "tasks.kinds must be a list without repetition; 'a'"),
        ("cartpole", r"^high = .*", "high = [-1.0, 0.5]", "tasks.low and high of cart must be a range inside"),
        ("quadrotor", r"^units.*", 'units = ["m", "rad"]', "units must be a list of 6 entries, each rad or m"),
        (
            "quadrotor",
            r"^units.*",
            f"units = {['cm'] * 6}".replace("'", '"'),
            "units must be a list of 6 entries, each",
        ),
        ("quadrotor", r"^units.*\n", "", "units is missing; add it"),
        ("quadrotor", r"^tracked.*", 'tracked = ["x", "w"]', "tracked must be a list of joints; 'w' is none of x, y"),
        ("quadrotor", r'^mode = "thrust"', 'mode = "position"', "'front' is none of the joints"),
        (
            "quadrotor",
            r"^effort_low.*",
            "effort_low = [0.0, 0.0, 0.0, 6.0]",
            "limits.effort_low must be a list of numbers",
        ),
        (
            "quadrotor",
            r"^speed = .*",
            "speed = [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]",
            "limits.speed must be a number between",
        ),
        ("quadrotor", r"^effort_high", "typo", "limits.effort_high is missing; add it"),
        ("quadrotor", r"^arm_m.*", 'arm_m = "long"', "constants.arm_m must be a number"),
        ("quadrotor", r"^speed_fraction = 1.0", "power_w = 9.0", "envelope.speed_fraction is missing"),
        ("quadrotor", r"^reject_factor", "power_w = 9.0\nreject_factor", "envelope.power_w is not known here"),
        ("quadrotor", r"^high = \[2.0", "high = [-2.0", "tasks.low and high of x must be a range inside"),
    ],
)
def test_what_does_not_fit_the_kind_is_named(
    tmp_path: Path, robot: str, pattern: str, replacement: str, words: str
) -> None:
    assert words in complaint(changed(small.write(robot, tmp_path), pattern, replacement))


def test_a_urdf_without_one_base_is_refused(tmp_path: Path) -> None:
    file = small.write("quadrotor", tmp_path)
    changed(tmp_path / "robot.urdf", r"</robot>", '<link name="stray"/></robot>')
    assert complaint(file) == "2 links are no joint's child; join all links to one base"
    changed(tmp_path / "robot.urdf", r'<link name="stray"/>', "")
    assert read_base_link(tmp_path / "robot.urdf") == "frame"


def test_a_joint_that_turns_without_end_is_no_coordinate_of_an_arm(tmp_path: Path) -> None:
    file = small.write("cartpole", tmp_path)
    changed(tmp_path / "robot.urdf", 'type="revolute"', 'type="continuous"')
    assert complaint(file) == (
        "joint 'pole' is continuous; name only joints of type revolute or prismatic in robot.toml"
    )


def test_moving_links_need_inertia_in_every_kind(tmp_path: Path) -> None:
    file = small.write("rover", tmp_path)
    changed(tmp_path / "robot.urdf", r'<link name="left_wheel">.*</link>', '<link name="left_wheel"/>')
    assert complaint(file) == "link 'left_wheel' moves but has no <inertial> mass and inertia; add both"
