"""What `remend init` writes: a folder that loads, in which every derived number says where it comes from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from controllers.library import find_law
from controllers.manifest import parse_manifest
from controllers.params import parse_params
from core.errors import BadInput
from core.rigid_body import RigidBodyModel
from core.robot_toml import load_robot
from remend.own_robot.folder import set_up
from sim.faults.course import FaultCourse
from sim.kinds import nominal_physics, open_plant

HERE = Path(__file__).parent
ARMS = ("pendulum", "scara", "six")
FILES = {
    "computed_torque": ["law.py", "manifest.toml", "params.toml"],
    "joint_pd": ["law.py", "manifest.toml", "params.toml"],
}
DERIVED = (  # every number that a rule chose, and the unit that its comment names
    ("home", "rad"),
    ("point_m", "m"),
    ("rotor_inertia", "kg*m^2"),
    ("command_delay_s", "s"),
    ("command_rate", "N*m"),
    ("position_noise", "rad"),
    ("velocity_noise", "rad"),
    ("effort_noise", "N*m"),
    ("low", "rad"),
    ("power_w", "W"),
)


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tasks use takes seconds of simulation (test_own_arm.py)."""
    monkeypatch.setattr("remend.own_robot.folder.measure_uses", lambda robot: None)


def urdf(arm: str) -> Path:
    return HERE / f"{arm}.urdf"


@pytest.mark.parametrize("arm", ARMS)
def test_the_folder_is_complete_and_loads(tmp_path: Path, arm: str) -> None:
    own = set_up(tmp_path / "arm", urdf(arm))
    name = {"six": "six_joints"}.get(arm, arm)
    assert sorted(path.name for path in (tmp_path / "arm").iterdir()) == sorted([*FILES, "robot.toml", f"{name}.urdf"])
    robot = load_robot(own.toml)
    assert (robot.name, robot.kind, robot.mode) == (name, "fixed_base", "torque")
    assert robot.units == own.chain.units
    for law in (robot.controller, robot.safety_controller):
        assert sorted(find_law(robot, law).files) == FILES[law]
    RigidBodyModel(robot)  # joints run from base to tip, and the payload link exists


@pytest.mark.parametrize("arm", ARMS)
def test_the_same_urdf_gives_the_same_bytes(tmp_path: Path, arm: str) -> None:
    for place in ("a", "b"):
        set_up(tmp_path / place, urdf(arm))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 8
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


@pytest.mark.parametrize("arm", ARMS)
def test_every_derived_number_has_unit_and_origin(tmp_path: Path, arm: str) -> None:
    lines = set_up(tmp_path / "arm", urdf(arm)).toml.read_text().splitlines()
    for key, unit in DERIVED:
        (at,) = [k for k, line in enumerate(lines) if line.startswith(f"{key} = ")]
        above = at
        while lines[above - 1].startswith("# "):
            above -= 1
        comment = " ".join(lines[above : at + 1])
        assert "TO CHECK" in comment or key in ("command_rate",), key
        assert re.search(rf"[\[# ]{re.escape(unit)}[\];:. /]", comment.split(" = ")[0] + comment.split("]")[-1]), (
            comment
        )
    assert all(len(line) <= 120 for line in lines if line.startswith("#"))


@pytest.mark.parametrize("arm", ARMS)
def test_numbers_have_few_digits(tmp_path: Path, arm: str) -> None:
    set_up(tmp_path / "arm", urdf(arm))
    for file in (tmp_path / "arm").rglob("*.toml"):
        for value in re.findall(r"(?<![\w.])-?\d+\.\d+(?:e-?\d+)?", file.read_text()):
            digits = value.split("e")[0].replace("-", "").replace(".", "").strip("0")
            assert len(digits) <= 4, f"{file.name}: {value}"


@pytest.mark.parametrize("arm", ARMS)
def test_the_motors_hold_arm_and_load_in_the_working_range(tmp_path: Path, arm: str) -> None:
    own = set_up(tmp_path / "arm", urdf(arm))
    robot = load_robot(own.toml)
    low, high, effort = np.array(robot.tasks.low), np.array(robot.tasks.high), np.array(robot.limits.effort)
    lower, upper = np.array(robot.limits.lower), np.array(robot.limits.upper)
    assert np.all(low > lower)
    assert np.all(high < upper)
    assert np.all((low <= robot.home) & (robot.home <= high))
    for load_kg, allowed in ((0.0, 0.47), (own.sizing.load_kg, 0.67)):
        model = RigidBodyModel(robot, payload_kg=load_kg)
        poses = np.random.default_rng(3).uniform(low, high, (200, robot.dof))
        assert max(float(np.max(np.abs(model.gravity(q)) / effort)) for q in poses) <= allowed


@pytest.mark.parametrize("arm", ARMS)
def test_the_safety_gains_leave_a_margin_in_every_pose(tmp_path: Path, arm: str) -> None:
    """No direction of the coupled arm has its damping act faster than the loop can answer."""
    robot = load_robot(set_up(tmp_path / "arm", urdf(arm)).toml)
    law = find_law(robot, robot.safety_controller)
    values = parse_params(law.files["params.toml"], parse_manifest(law.files["manifest.toml"]))
    kp, kd = np.array(values["kp"]), np.array(values["kd"])
    model, rates = RigidBodyModel(robot), []
    for q in np.random.default_rng(3).uniform(robot.tasks.low, robot.tasks.high, (100, robot.dof)):
        inverse = np.linalg.inv(model.link_inertia(q) + np.diag(model.rotor_inertia))
        rates.append(np.max(np.abs(np.linalg.eigvals(inverse * kd))))
        assert np.all(1.0 / np.diag(inverse) >= 0.9 * kd / 50.0)
    delay_s = robot.drive.command_delay_s + 1.5 * robot.dt_s
    assert max(rates) * delay_s < 0.4, "phase lost to delay at the crossover of the velocity loop [rad]"
    assert np.allclose(kp / kd, 10.0, rtol=0.02)


def test_a_slower_loop_is_softer(tmp_path: Path) -> None:
    fast, slow = (set_up(tmp_path / str(rate), urdf("scara"), control_rate_hz=rate) for rate in (500, 100))
    assert (fast.sizing.bandwidth, fast.sizing.physics_rate_hz) == (pytest.approx(25.0), 1000)
    assert slow.sizing.bandwidth == pytest.approx(0.175 / 0.019)
    assert slow.sizing.physics_rate_hz == 1000
    assert np.all(slow.sizing.kp < 0.25 * fast.sizing.kp)
    robot = load_robot(slow.toml)
    assert (robot.control_rate_hz, robot.envelope.stale_after_s) == (100, 0.05)


def test_what_the_urdf_says_of_a_drive_is_taken(tmp_path: Path) -> None:
    own = set_up(tmp_path / "arm", urdf("six"))
    assert own.sizing.rotors_given == (True, False, False, False, False, False)
    assert own.sizing.rotor_inertia[0] == pytest.approx(3e-5 * 100**2)
    assert own.sizing.rotor_inertia[1] == pytest.approx(0.005 * 120 / 2.5)
    assert "From the URDF: yaw." in own.toml.read_text()


def test_gains_may_move_from_a_quarter_to_four_times(tmp_path: Path) -> None:
    robot = load_robot(set_up(tmp_path / "arm", urdf("scara")).toml)
    for name in (robot.controller, robot.safety_controller):
        law = find_law(robot, name)
        manifest = parse_manifest(law.files["manifest.toml"])
        values = parse_params(law.files["params.toml"], manifest)
        for key, param in manifest.params.items():
            if param.role == "gain":
                assert np.allclose(param.low, np.array(values[key]) / 4, rtol=0.01)
                assert np.allclose(param.high, np.array(values[key]) * 4, rtol=0.01)


def test_a_slide_has_metres_and_newtons(tmp_path: Path) -> None:
    toml = set_up(tmp_path / "arm", urdf("scara")).toml
    text = " ".join(toml.read_text().replace("#", " ").split())
    for units in ("[rad; m for quill]", "[rad/s; m/s for quill]", "[N*m/s; N/s for quill]"):
        assert units in text
    robot = load_robot(toml)
    manifest = parse_manifest(find_law(robot, robot.controller).files["manifest.toml"])
    assert manifest.params["encoder_offset"].units == ("rad", "rad", "m", "rad")
    assert manifest.params["coulomb"].units[2] == "N"
    assert manifest.outputs["tau"].units == ("N*m", "N*m", "N", "N*m")
    assert robot.sensors.position_noise[2] == pytest.approx(0.25 / 2**17, rel=0.01)
    assert robot.lost_error[2] == pytest.approx(0.3 * 0.25)


def test_it_says_what_to_check_and_what_to_run(tmp_path: Path) -> None:
    own = set_up(tmp_path / "arm", urdf("six"))
    lines = own.lines()
    assert "  locked: pan (beside the longest chain)" in lines
    assert "  made revolute, within its limits: spin (continuous before)" in lines
    checks = [line[2:17].strip() for line in lines[lines.index("Check in robot.toml what a URDF does not say:") + 1 :]]
    wanted = ["sensor noise", "command delay", "rotor inertia", "payload point", "task space", "envelope power"]
    assert checks[: len(wanted)] == wanted
    assert lines[-1] == f"  remend heal --robot {own.toml} --fault payload:mass=1.2"
    assert all(len(line) <= 120 for line in lines[1:-1])


def test_a_load_that_nothing_would_show_is_not_suggested(tmp_path: Path) -> None:
    flat = urdf("pendulum").read_text().replace('<axis xyz="0 1 0"/>', '<axis xyz="0 0 1"/>')
    file = tmp_path / "turntable.urdf"
    file.write_text(flat)
    assert set_up(tmp_path / "arm", file).lines()[-1].endswith("--fault actuator_loss:joint=1,gain=0.6")


def test_made_up_effort_limits_are_pointed_at(tmp_path: Path) -> None:
    file = tmp_path / "strong.urdf"
    file.write_text(urdf("pendulum").read_text().replace('effort="12"', 'effort="10000"'))
    (line,) = [line for line in set_up(tmp_path / "arm", file).lines() if line.startswith("  effort limits")]
    assert "if they are made up, faults drown in the noise derived from them" in line


def test_made_up_speed_limits_are_pointed_at(tmp_path: Path) -> None:
    file = tmp_path / "fast.urdf"
    file.write_text(urdf("pendulum").read_text().replace('velocity="6"', 'velocity="10000"'))
    own = set_up(tmp_path / "arm", file)
    (line,) = [line for line in own.lines() if line.startswith("  speed limits")]
    assert "no arm is as fast as pivot" in line
    assert own.sizing.rotor_inertia[0] == pytest.approx(0.005 * 12 / 10)


# where it goes


def test_a_missing_folder_is_made_and_an_empty_one_used(tmp_path: Path) -> None:
    set_up(tmp_path / "new" / "arm", urdf("pendulum"))
    (tmp_path / "empty").mkdir()
    set_up(tmp_path / "empty", urdf("pendulum"))
    assert (tmp_path / "new" / "arm" / "robot.toml").is_file()
    assert (tmp_path / "empty" / "robot.toml").is_file()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match="is not empty; give a folder that is new or empty"):
        set_up(tmp_path, urdf("pendulum"))
    with pytest.raises(BadInput, match=r"thesis\.tex: is a file; give a folder that is new or empty"):
        set_up(tmp_path / "thesis.tex", urdf("pendulum"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_bad_urdf_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        set_up(tmp_path / "arm", tmp_path / "nowhere.urdf")
    assert not (tmp_path / "arm").exists()


@pytest.mark.parametrize(
    ("given", "of_urdf", "name"),
    [
        (None, "six joints", "six_joints"),
        (None, "", "arm"),
        (None, "7dof!", "arm"),
        (None, "Müller's arm", "M_ller_s_arm"),
        ("bench-2", "six joints", "bench-2"),
    ],
)
def test_the_name_is_fit_for_files_and_branches(tmp_path: Path, given: str | None, of_urdf: str, name: str) -> None:
    file = tmp_path / "x.urdf"
    file.write_text(urdf("pendulum").read_text().replace('<robot name="pendulum">', f'<robot name="{of_urdf}">'))
    own = set_up(tmp_path / "arm", file, name=given)
    assert tomllib.loads(own.toml.read_text())["name"] == name
    assert (tmp_path / "arm" / f"{name}.urdf").is_file()


@pytest.mark.parametrize("name", ["", "a/b", "two words", "-dash", "x" * 41])
def test_a_name_that_is_not_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="must be up to 40 letters, digits, _ and -, a letter first; give another"):
        set_up(tmp_path / "arm", urdf("pendulum"), name=name)


def test_an_inertia_that_rounding_opened_is_said_and_simulated_with_the_nearest(tmp_path: Path) -> None:
    text = urdf("six").read_text()
    last = text.rindex('izz="0.0008"')
    file = tmp_path / "six.urdf"
    file.write_text(text[:last] + 'izz="0.002014"' + text[last + len('izz="0.0008"') :])
    own = set_up(tmp_path / "arm", file)
    assert any("hand: the largest moment of inertia exceeds the other two by 0.7 %" in line for line in own.lines())
    assert not any("exceeds" in line for line in set_up(tmp_path / "other", urdf("six")).lines())
    robot = load_robot(own.toml)
    with open_plant(robot, nominal_physics(robot), FaultCourse(), seed=1) as plant:
        plant.apply([0.0] * len(robot.actuators))
