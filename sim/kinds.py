"""Kinds of robot that can be simulated: shipped, and of installed packages (entry points `remend.kinds`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from core.errors import BadInput
from core.extensions import Registry
from core.legs import Legs
from core.rigid_body import RigidBodyModel
from core.robot import Robot
from sim.airframe import hidden_flyer, nominal_flyer
from sim.faults.course import FaultCourse
from sim.physics import Physics, closed_inertials, from_data_sheet, off_the_line
from sim.plant import Plant
from sim.plants.diffdrive import DiffDrive
from sim.plants.fixed_base import FixedBase
from sim.plants.legged import Legged
from sim.plants.quadrotor import Quadrotor
from sim.wheeled_base import hidden_base, nominal_base


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of robot."""

    name: str  # `kind` in robot.toml
    plant: type[Plant]
    nominal: Callable[[Robot], Physics]  # as the data sheet says
    hidden: Callable[[Robot, np.random.Generator], Physics]  # off the production line


def _fixed_base_nominal(robot: Robot) -> Physics:
    return from_data_sheet(robot, closed_inertials(RigidBodyModel(robot).inertial_parameters()))


def _fixed_base_hidden(robot: Robot, rng: np.random.Generator) -> Physics:
    return off_the_line(robot, _fixed_base_nominal(robot), rng)


def _legged_nominal(robot: Robot) -> Physics:
    return from_data_sheet(robot, Legs(robot).inertials())


def _legged_hidden(robot: Robot, rng: np.random.Generator) -> Physics:
    """Friction of the ground =U(0.9, 1.1) of nominal, besides what is off on every robot."""
    physics = off_the_line(robot, _legged_nominal(robot), rng)
    grip = np.multiply(physics.constants["ground_friction"], rng.uniform(0.9, 1.1))
    return replace(physics, constants={**physics.constants, "ground_friction": float(grip)})


_SHIPPED = (
    Kind(name="fixed_base", plant=FixedBase, nominal=_fixed_base_nominal, hidden=_fixed_base_hidden),
    Kind(name="quadrotor", plant=Quadrotor, nominal=nominal_flyer, hidden=hidden_flyer),
    Kind(name="diffdrive", plant=DiffDrive, nominal=nominal_base, hidden=hidden_base),
    Kind(name="legged", plant=Legged, nominal=_legged_nominal, hidden=_legged_hidden),
)
KINDS = Registry("remend.kinds", Kind, _SHIPPED)


def kind_of(robot: Robot) -> Kind:
    """The kind of `robot`.

    Raises:
        BadInput: no such kind can be simulated.
    """
    if robot.kind not in KINDS:
        raise BadInput(f"{robot.name}: kind '{robot.kind}' cannot be simulated; use one of {', '.join(KINDS)}")
    return KINDS[robot.kind]


def nominal_physics(robot: Robot) -> Physics:
    """The robot as its data sheet describes it."""
    return kind_of(robot).nominal(robot)


def hidden_physics(robot: Robot, seed: int) -> Physics:
    """A robot off the production line, drawn from `seed`."""
    return kind_of(robot).hidden(robot, np.random.default_rng([seed, 0xB0D7]))


def open_plant(robot: Robot, physics: Physics, course: FaultCourse, seed: int) -> Plant:
    """A simulated robot in a world of its own; close it, or use it as a context manager."""
    return kind_of(robot).plant(robot, physics, course, seed)
