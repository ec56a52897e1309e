"""A differential-drive base on paper: what it is made of, and the wheel torques that a motion needs.

With v the speed of the middle of the axle, w the yaw rate, m the mass, s the first moment ahead of the axle and J the
yaw inertia about its middle (Campion, Bastin, d'Andrea-Novel 1996, planar rigid body without side slip):

    m v' - s w^2 = F          F, T: sum of the wheels' traction, and its moment about the middle of the axle
    J w' + s v w = T          traction of a wheel = (torque - friction - spin inertia * its acceleration) / radius
    wheel rate   = (v - y w) / radius        y: how far the wheel stands to the left
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pinocchio as pin

from core.errors import BadInput
from core.rigid_body import Array
from core.robot import Robot
from sim.physics import Physics, from_data_sheet, off_the_line

COORDINATES = ("m", "m", "rad", "rad", "rad")  # units of x, y, yaw and the angles of the left and the right wheel
_SIZES = {"wheel_radius": 2, "caster": 2, "nose": 2, "ground_friction": 1, "coulomb": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base and what it carries, seen from above. The first wheel is the left one."""

    mass_kg: float
    moment_kgm: float  # first moment ahead of the axle
    side_kgm: float  # first moment to the left
    yaw_inertia: float  # about the middle of the axle, wheels included [kg*m^2]
    wheel_y: Array  # (2,) position of the wheels to the left [m]
    radius: Array  # (2,) [m]
    spin: Array  # (2,) inertia of wheel and motor about the wheel's axle [kg*m^2]
    viscous: Array  # (2,) [N*m*s/rad]
    coulomb: Array  # (2,) [N*m]

    @staticmethod
    def of(robot: Robot, physics: Physics, payload_kg: float = 0.0) -> Base:
        """The base that `physics` describes, with a load at its payload point."""
        body, *wheels = (pin.Inertia.FromDynamicParameters(block) for block in physics.inertials.reshape(-1, 10))
        wheel_y = np.array(constant(physics, "wheel_y"))
        load = np.array(robot.payload_point_m) - axle(robot)
        masses = np.array([wheel.mass for wheel in wheels])
        about_axle = body.inertia[2, 2] + body.mass * (body.lever[0] ** 2 + body.lever[1] ** 2)
        across = np.array([wheel.inertia[2, 2] for wheel in wheels])
        return Base(
            mass_kg=body.mass + float(masses.sum()) + payload_kg,
            moment_kgm=float(body.mass * body.lever[0] + payload_kg * load[0]),
            side_kgm=float(body.mass * body.lever[1] + masses @ wheel_y + payload_kg * load[1]),
            yaw_inertia=float(about_axle + np.sum(across + masses * wheel_y**2) + payload_kg * (load[:2] @ load[:2])),
            wheel_y=wheel_y,
            radius=np.array(constant(physics, "wheel_radius")),
            spin=np.array([wheel.inertia[1, 1] for wheel in wheels]) + robot.drive.rotor_inertia[3:],
            viscous=physics.viscous[3:],
            coulomb=physics.coulomb[3:],
        )

    def wheel_rate(self, v: Array, w: Array) -> Array:
        """(N, 2) wheel speed [rad/s], or acceleration, for (N,) forward speed and yaw rate, or their derivatives."""
        rate: Array = (v[:, None] - self.wheel_y * w[:, None]) / self.radius
        return rate

    def wheel_torque(self, v: Array, w: Array, a: Array, alpha: Array) -> Array:
        """(N, 2) torque [N*m] that moves the base so; Coulomb friction has its full size at any speed but zero."""
        force = self.mass_kg * a - self.side_kgm * alpha - self.moment_kgm * w * w
        moment = self.yaw_inertia * alpha + self.moment_kgm * v * w - self.side_kgm * a
        rate = self.wheel_rate(v, w)
        friction = self.viscous * rate + self.coulomb * np.sign(rate)
        return self.traction(force, moment) * self.radius + self.spin * self.wheel_rate(a, alpha) + friction

    def traction(self, force: Array, moment: Array) -> Array:
        """(N, 2) force of each wheel on the base [N] with the given (N,) sum and moment about the axle's middle."""
        left, right = self.wheel_y
        out: Array = np.stack([-(moment + force * right), moment + force * left], axis=1) / (left - right)
        return out


def constant(physics: Physics, name: str) -> tuple[float, ...]:
    """The numbers of one constant."""
    value = physics.constants[name]
    return value if isinstance(value, tuple) else (value,)


def nominal_base(robot: Robot) -> Physics:
    """The base of the data sheet: Coulomb friction of the gears is in `constants`."""
    inertials, constants = _read(robot)
    coulomb = np.array([0.0, 0.0, 0.0, *constants["coulomb"]])
    return replace(from_data_sheet(robot, inertials), coulomb=coulomb, stiction=coulomb, constants=constants)


def hidden_base(robot: Robot, rng: np.random.Generator) -> Physics:
    """A base off the production line.

    What `off_the_line` varies, and wheel radius *U(0.995, 1.005), track *U(0.99, 1.01), ground friction *U(0.9, 1.1),
    Coulomb friction *U(0.9, 1.1), stiction *U(1.1, 1.4) of that.
    """
    sheet = nominal_base(robot)
    made = off_the_line(robot, sheet, rng)
    coulomb = sheet.coulomb * rng.uniform(0.9, 1.1, robot.dof)
    spread = {"wheel_radius": 0.005, "wheel_y": 0.01, "ground_friction": 0.1}
    constants = dict(sheet.constants)
    for name, share in spread.items():
        factor = rng.uniform(1.0 - share, 1.0 + share, 2 if name == "wheel_radius" else 1)
        constants[name] = tuple((np.array(constant(sheet, name)) * factor).tolist())
    return replace(made, coulomb=coulomb, stiction=coulomb * rng.uniform(1.1, 1.4, robot.dof), constants=constants)


def axle(robot: Robot) -> Array:
    """(3,) middle of the axle in the frame of the base link [m]."""
    return _wheel_joints(robot)[1]


def _read(robot: Robot) -> tuple[Array, dict[str, tuple[float, ...]]]:
    """Inertial parameters (30,) of body, left and right wheel about the axle's middle and the hubs, and all constants.

    Raises:
        BadInput: the URDF has not two wheels on one axle, or robot.toml lacks a constant.
    """
    if robot.units != COORDINATES:
        raise BadInput(f"{robot.name}: a diffdrive has joints x, y, yaw, left wheel, right wheel; correct robot.toml")
    constants: dict[str, tuple[float, ...]] = {}
    for name, size in _SIZES.items():
        value = robot.constants.get(name)
        values = value if isinstance(value, tuple) else () if value is None else (value,) * size
        if len(values) != size or any(number < 0 for number in values if name != "caster"):
            raise BadInput(f"{robot.name}: constants.{name} must have {size} numbers; correct robot.toml")
        constants[name] = values
    (body, *wheels), middle, wheel_y = _wheel_joints(robot)
    shifted = pin.Inertia(body.mass, body.lever - middle, body.inertia)
    constants["wheel_y"] = wheel_y
    return np.concatenate([link.toDynamicParameters() for link in (shifted, *wheels)]), constants


def _wheel_joints(robot: Robot) -> tuple[list[pin.Inertia], Array, tuple[float, float]]:
    """Inertias of body, left and right wheel, the axle's middle, and how far left the wheels are."""
    model = pin.buildModelFromUrdf(str(robot.urdf), pin.JointModelFreeFlyer())
    places, inertias = [], [model.inertias[1]]
    for name in robot.joints[3:]:
        if not model.existJointName(name):
            raise BadInput(f"{robot.urdf}: has no wheel joint '{name}'; correct joints in robot.toml")
        index = model.getJointId(name)
        places.append(np.array(model.jointPlacements[index].translation))
        inertias.append(model.inertias[index])
    left, right = places
    if abs(left[0] - right[0]) > 1e-6 or abs(left[2] - right[2]) > 1e-6 or not left[1] > right[1]:
        raise BadInput(f"{robot.urdf}: the wheels must stand on one axle, {robot.joints[3]} to the left; correct it")
    middle = 0.5 * (left + right)
    return inertias, middle, (float(left[1] - middle[1]), float(right[1] - middle[1]))
