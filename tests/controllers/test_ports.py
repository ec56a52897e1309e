"""Laws for robots whose coordinates and actuators are not the same: sizes, output names, and what they cannot read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from controllers.artefact import Artefact, artefact_from_files
from controllers.check import check_folder
from controllers.controller import Controller
from controllers.slot import Slot
from core.errors import BadInput, LawError
from core.frames import Frame, Reference
from core.ports import Ports
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

# Height control with an even share for each rotor, and a little of the yaw error and of the measured thrust.
HOVER = """
def control(q, q_ref, tau_meas, lift, thrust):
    for i in range(4):
        thrust[i] = lift + 0.25 * (q_ref[2] - q[2]) + 0.5 * (q_ref[5] - q[5]) + 0.001 * tau_meas[i]
"""


def artefact(law: str, output: str, size: int, signals: str) -> Artefact:
    manifest = f"""
name = "own"
version = "1"
summary = "Made for this robot"
signals = [{signals}]
[params.lift]
unit = "N"
low = 0.0
high = 10.0
max_step = 1.0
effect = "Higher lifts more."
[outputs.{output}]
unit = "N"
size = {size}
"""
    files = {"law.py": law.encode(), "manifest.toml": manifest.encode(), "params.toml": b"lift = 2.0"}
    return artefact_from_files("own", files)


def hover() -> Artefact:
    return artefact(HOVER, "thrust", 4, '"q", "q_ref", "tau_meas"')


@pytest.fixture
def quadrotor(tmp_path: Path) -> Robot:
    return load_robot(small.write("quadrotor", tmp_path))


def test_a_law_reads_coordinates_and_commands_actuators(quadrotor: Robot) -> None:
    zero = [0.0] * 6
    frame = Frame(seq=0, stamp_ns=0, q=zero, qd=zero, tau_meas=[0.0, 1.0, 2.0, 3.0], tau_cmd=[0.0] * 4)
    reference = Reference(q_ref=[0.0, 0.0, 4.0, 0.0, 0.0, 1.0], qd_ref=zero, qdd_ref=zero)
    assert Slot(quadrotor, hover()).compute(frame, reference) == [3.5, 3.501, 3.502, 3.503]


def test_a_law_for_another_mode_or_size_is_refused(quadrotor: Robot) -> None:
    for wrong in (
        artefact(HOVER.replace("thrust", "tau"), "tau", 4, '"q", "q_ref"'),
        artefact(HOVER, "thrust", 6, '"q"'),
    ):
        with pytest.raises(BadInput, match=r"outputs\.thrust: a robot with 4 actuators of this mode needs .* size = 4"):
            Controller.from_artefact(wrong, quadrotor.ports)


def test_measured_efforts_have_one_entry_per_actuator(quadrotor: Robot) -> None:
    law = HOVER.replace("tau_meas[i]", "tau_meas[i + 1]")
    with pytest.raises(LawError, match="index 4 with i = 3 is outside tau_meas; use 0 to 3"):
        Controller.from_artefact(artefact(law, "thrust", 4, '"q", "q_ref", "tau_meas"'), quadrotor.ports)


def test_a_law_cannot_read_the_model_of_a_robot_that_is_no_arm(quadrotor: Robot) -> None:
    law = HOVER.replace("tau_meas[i]", "gravity[i]").replace("tau_meas", "gravity")
    with pytest.raises(BadInput) as caught:
        Slot(quadrotor, artefact(law, "thrust", 4, '"q", "q_ref", "gravity"'))
    assert str(caught.value) == (
        "own/manifest.toml: signals: gravity are known of arms only and not of quadrotor, a robot of kind quadrotor;"
        " remove them from the law"
    )


def folder_of(made: Artefact, folder: Path) -> Path:
    for name, data in made.files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_is_checked_without_knowing_the_robot(tmp_path: Path) -> None:
    report = check_folder(folder_of(hover(), tmp_path))
    assert report.signals == ("q", "q_ref", "tau_meas")
    assert report.call_us > 0.0


def test_a_folder_is_checked_against_the_ports_of_a_robot(tmp_path: Path, quadrotor: Robot) -> None:
    law = tmp_path / "law"
    law.mkdir()
    assert check_folder(folder_of(hover(), law), quadrotor.ports).name == "own"
    with pytest.raises(LawError, match="index 5 with i = 0 is outside q_ref; use 0 to 4"):
        check_folder(law, Ports(joints=5, actuators=4, output="thrust"))


def test_what_fits_no_robot_is_told_for_the_most_likely_one(tmp_path: Path) -> None:
    law = HOVER.replace("q[2]", "q[70]")
    with pytest.raises(LawError, match="index 70 with i = 0 is outside q; use 0 to 3"):
        check_folder(folder_of(artefact(law, "thrust", 4, '"q", "q_ref", "tau_meas"'), tmp_path))


def test_a_law_without_one_command_fits_no_robot(tmp_path: Path) -> None:
    law = HOVER.replace("thrust", "lift_n")
    with pytest.raises(BadInput, match="outputs: a law has one command; declare one of tau, q_cmd, thrust"):
        check_folder(folder_of(artefact(law, "lift_n", 4, '"q", "q_ref", "tau_meas"'), tmp_path))
