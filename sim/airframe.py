"""A quadrotor on paper: mass, inertia and the wrench of each rotor, with and without a load, and what a motion needs.

The body's frame has x ahead, y to the left and z up. Every rotor pushes along z; its drag torque about z is in
proportion to its thrust (Mahony, Kumar, Corke 2012, eq. 5 and 6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pinocchio as pin

from core.errors import BadInput
from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect
from sim.physics import Physics, from_data_sheet, off_the_line

ROTORS = 4
COORDINATES = ("m", "m", "m", "rad", "rad", "rad")  # units of x, y, z, roll, pitch, yaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Mass:
    """What resists a push and a turn."""

    kg: float
    centre_m: Array  # (3,) centre of mass in the body's frame
    inertia: Array  # (3, 3) about the centre of mass, along the body's axes [kg*m^2]


def constant(robot: Robot, physics: Physics, name: str, size: int) -> Array:
    """(size,) numbers of one constant.

    Raises:
        BadInput: it is missing or has another length.
    """
    values = np.atleast_1d(np.array(physics.constants.get(name, ()), dtype=float))
    if len(values) != size:
        raise BadInput(f"{robot.name}: constants.{name} must have {size} numbers; correct robot.toml")
    return values


def nominal_flyer(robot: Robot) -> Physics:
    """The robot of the data sheet.

    Raises:
        BadInput: `robot.toml` or the URDF does not describe a quadrotor.
    """
    if robot.units != COORDINATES or len(robot.actuators) != ROTORS or robot.mode != "thrust":
        raise BadInput(
            f"{robot.name}: a quadrotor has joints x, y, z, roll, pitch, yaw, {ROTORS} actuators and mode thrust;"
            " correct robot.toml"
        )
    physics = from_data_sheet(robot, _body(robot))
    rotor_wrenches(robot, physics)
    return physics


def hidden_flyer(robot: Robot, rng: np.random.Generator) -> Physics:
    """A quadrotor off the production line.

    What `off_the_line` varies (drag is its viscous friction), and thrust of each rotor *U(0.9, 1.1), drag torque for
    thrust *U(0.9, 1.1), motor lag *U(0.9, 1.1), one for all motors.
    """
    sheet = nominal_flyer(robot)
    physics = off_the_line(robot, sheet, rng)
    constants = dict(physics.constants)
    for name, size in (("thrust_share", ROTORS), ("drag_ratio", 1), ("motor_lag", 1)):
        made = constant(robot, sheet, name, size) * rng.uniform(0.9, 1.1, size)
        constants[name] = tuple(made.tolist())
    return replace(physics, constants=constants)


def _body(robot: Robot) -> Array:
    """(10,) inertial parameters about the root link of everything in the URDF, held still."""
    model = pin.buildModelFromUrdf(str(robot.urdf), pin.JointModelFreeFlyer())
    locked = list(range(2, model.njoints))
    rigid = pin.buildReducedModel(model, locked, pin.neutral(model)) if locked else model
    body: pin.Inertia = rigid.inertias[1]
    if not body.mass > 0:
        raise BadInput(f"{robot.urdf}: no link has a mass; add <inertial>")
    parameters: Array = body.toDynamicParameters()
    return parameters


def loaded(robot: Robot, physics: Physics, effect: Effect) -> Mass:
    """The body with the load of `effect` at the payload point, displaced as its first moment says."""
    body = pin.Inertia.FromDynamicParameters(physics.inertials)
    moment = effect.vector("moment_kgm", 3)
    if effect.payload_kg > 0:
        at = np.array(robot.payload_point_m) + moment / effect.payload_kg
        body = body + pin.Inertia(effect.payload_kg, at, np.zeros((3, 3)))
        moment = np.zeros(3)
    return Mass(kg=float(body.mass), centre_m=body.lever + moment / body.mass, inertia=np.array(body.inertia))


def rotor_wrenches(robot: Robot, physics: Physics) -> Array:
    """(4, 6) force and torque about the body's origin, in the body's frame, of 1 N that each rotor says it gives."""
    x, y = constant(robot, physics, "rotor_x", ROTORS), constant(robot, physics, "rotor_y", ROTORS)
    drag = constant(robot, physics, "rotor_spin", ROTORS) * constant(robot, physics, "drag_ratio", 1)
    wrench = np.zeros((ROTORS, 6))
    wrench[:, 2], wrench[:, 3], wrench[:, 4], wrench[:, 5] = 1.0, y, -x, drag
    return wrench * constant(robot, physics, "thrust_share", ROTORS)[:, None]


def allocation(robot: Robot, physics: Physics, mass: Mass) -> Array:
    """(4, 4) thrust that each rotor has to say for 1 N of lift and 1 N*m about x, y and z of the centre of mass."""
    wrench = rotor_wrenches(robot, physics)
    wrench[:, 3:] -= np.cross(mass.centre_m, wrench[:, :3])
    thrust: Array = np.array(np.linalg.inv(wrench[:, 2:].T))
    return thrust
