"""The arm that the tests of the control loop run on."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim
from controllers.artefact import Artefact, load_artefact, shipped_laws
from core.robot import Robot
from core.robot_toml import load_robot


@pytest.fixture(scope="session")
def iiwa() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")


@pytest.fixture(scope="session")
def computed_torque(iiwa: Robot) -> Artefact:
    return load_artefact(shipped_laws()[iiwa.controller])
