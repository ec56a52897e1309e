"""A trunk on legs of three joints each: what it is made of, and its kinematics.

The coordinates are the leg joints, hip, thigh and calf of each leg in turn, then roll, pitch and yaw of the trunk. Hips
turn about the trunk's x axis, thigh and calf about the leg's y axis, as on most quadrupeds. A foot is a sphere. The
rigid bodies are Pinocchio's, with a floating base (Featherstone, Rigid Body Dynamics Algorithms, 2008, ch. 9).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
import pinocchio as pin

from core.errors import BadInput
from core.rigid_body import Array
from core.robot import Robot

ATTITUDE = ("roll", "pitch", "yaw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A collision shape of the URDF, fixed to a moving body."""

    body: int  # 0 is the trunk, i the body behind leg joint i - 1
    placement: pin.SE3  # in the frame of that body
    geometry: ET.Element


class Legs:
    """The nominal legged robot.

    Raises:
        BadInput: the URDF or the coordinates are not those of a trunk on such legs.
    """

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self.joints = robot.actuators
        self.m = len(self.joints)
        self.model = pin.buildModelFromUrdf(str(robot.urdf), pin.JointModelFreeFlyer())
        if list(self.model.names[2:]) != list(self.joints):
            raise BadInput(f"{robot.urdf}: list the actuators leg by leg: {', '.join(self.model.names[2:])}")
        if robot.joints != (*self.joints, *ATTITUDE):
            raise BadInput(f"{robot.folder}/robot.toml: joints must be the actuators, then {', '.join(ATTITUDE)}")
        if not self.model.existFrame(robot.payload_link, pin.FrameType.BODY):
            raise BadInput(f"{robot.urdf}: has no link '{robot.payload_link}'; correct payload.link in robot.toml")
        self.shapes = _shapes(robot, self.model)
        self._find_feet(robot)
        frame = self.model.frames[self.model.getFrameId(robot.payload_link, pin.FrameType.BODY)]
        if frame.parentJoint != 1:
            raise BadInput(f"{robot.urdf}: payload.link must be part of the trunk, not '{robot.payload_link}'")
        self.payload_point = frame.placement.act(np.array(robot.payload_point_m))
        self._payload_axes = np.array(frame.placement.rotation)
        self._unloaded = self.model.inertias[1].copy()
        self.data = self.model.createData()

    def _find_feet(self, robot: Robot) -> None:
        """Where each leg's joints and foot are; legs are vectors over the feet."""
        model = self.model
        spheres = {shape.body: shape for shape in self.shapes if shape.geometry.find("sphere") is not None}
        last = range(3, self.m + 1, 3)
        if self.m % 3 or not all(body in spheres for body in last):
            raise BadInput(f"{robot.urdf}: every third joint must end in a link with a collision sphere, the foot")
        at = [model.jointPlacements[i + 1] for i in range(1, self.m + 1)]
        hip, thigh, calf = at[0::3], at[1::3], at[2::3]
        foot = [spheres[body].placement.translation for body in last]
        axes = [model.joints[i + 1].shortname() for i in range(1, self.m + 1)]
        upright = all(np.allclose(placement.rotation, np.eye(3), atol=1e-9) for placement in at)
        in_plane = all(
            np.allclose((p[0], p[1], q[0], q[1], r[0]), 0.0, atol=1e-9)
            for p, q, r in zip(
                [placement.translation for placement in calf],
                foot,
                [placement.translation for placement in thigh],
                strict=True,
            )
        )
        if axes != ["JointModelRX", "JointModelRY", "JointModelRY"] * (self.m // 3) or not (upright and in_plane):
            raise BadInput(
                f"{robot.urdf}: each leg needs a hip about x, then thigh and calf about y, straight down at 0"
            )
        self.feet = self.m // 3
        self._hip = np.array([placement.translation for placement in hip])  # (k, 3)
        self._side = np.array([placement.translation[1] for placement in thigh])
        self._thigh = np.array([-placement.translation[2] for placement in calf])
        self._shank = np.array([-point[2] for point in foot])
        self.foot_bodies = tuple(last)
        self.foot_radius = np.array([_radius(spheres[body]) for body in last])
        columns = [self._hip, self._side, self._thigh, self._shank, self.foot_radius]
        self.geometry = np.ascontiguousarray(np.column_stack(columns))  # (k, 7), as `sim.footing` wants it

    def inertials(self) -> Array:
        """(10 (m + 1),) inertial parameters of trunk and leg bodies about their joint frames."""
        return np.concatenate([body.toDynamicParameters() for body in list(self.model.inertias)[1:]])

    def set_inertials(self, parameters: Array) -> None:
        """Replace the inertial parameters of all bodies, a load included."""
        for i, block in enumerate(parameters.reshape(-1, 10)):
            self.model.inertias[i + 1] = pin.Inertia.FromDynamicParameters(block)
        self._unloaded = self.model.inertias[1].copy()

    def set_payload(self, mass_kg: float, shift_m: Array | None = None) -> None:
        """Replace the load by a point mass, `shift_m` (3,) away from the payload point in the payload link's frame."""
        at = self.payload_point if shift_m is None else self.payload_point + self._payload_axes @ shift_m
        load = pin.Inertia(mass_kg, at, np.zeros((3, 3)))
        self.model.inertias[1] = self._unloaded + load if mass_kg else self._unloaded

    def foot_positions(self, legs: Array) -> Array:
        """(..., k, 3) centres of the feet in the trunk's frame for joint angles (..., m)."""
        hip, thigh, knee = legs[..., 0::3], legs[..., 1::3], legs[..., 1::3] + legs[..., 2::3]
        ahead = -self._thigh * np.sin(thigh) - self._shank * np.sin(knee)
        down = self._thigh * np.cos(thigh) + self._shank * np.cos(knee)
        y = self._side * np.cos(hip) + down * np.sin(hip)
        z = self._side * np.sin(hip) - down * np.cos(hip)
        feet: Array = np.stack([ahead, y, z], axis=-1) + self._hip
        return feet

    def leg_angles(self, feet: Array) -> Array:
        """(..., m) joint angles, knees to the back, that bring the feet to (..., k, 3) in the trunk's frame.

        Raises:
            BadInput: a foot is out of reach.
        """
        x, y, z = np.moveaxis(feet - self._hip, -1, 0)
        square = y * y + z * z - self._side**2
        bend = (x * x + square - self._thigh**2 - self._shank**2) / (2 * self._thigh * self._shank)
        if not (np.all(square > 0) and np.all(np.abs(bend) <= 1.0)):
            raise BadInput(f"{self.robot.name}: a foot is asked for where no leg reaches")
        down = np.sqrt(square)
        hip = np.arctan2(y * down + self._side * z, self._side * y - down * z)
        calf = -np.arccos(bend)
        thigh = np.arctan2(-x, down) - np.arctan2(self._shank * np.sin(calf), self._thigh + self._shank * np.cos(calf))
        angles: Array = np.stack([hip, thigh, calf], axis=-1).reshape(*x.shape[:-1], self.m)
        return angles

    def weight(self, q: Array) -> Array:
        """(M, 6 + m) force [N] and moment [N*m] on the trunk, in its axes, and torques, that hold `q` (M, n)."""
        held = [pin.computeGeneralizedGravity(self.model, self.data, pose) for pose in self.configurations(q)]
        return np.array(held).reshape(-1, 6 + self.m)

    def configurations(self, q: Array) -> Array:
        """(M, 7 + m) coordinates `q` (M, n) as Pinocchio takes them: place at the origin, quaternion, joints."""
        turns = np.array([pin.Quaternion(pin.rpy.rpyToMatrix(*row)).coeffs() for row in q[:, self.m :]]).reshape(-1, 4)
        return np.concatenate([np.zeros((len(q), 3)), turns, q[:, : self.m]], axis=1)

    def push(self, q: Array) -> Array:
        """(M, 6, m) force [N] and moment [N*m], in the trunk's axes, of the feet on the ground by 1 N*m in each joint.

        `J_trunk^T J_leg^-T`, for legs that press with one foot each (Featherstone 2008, ch. 9).
        """
        points, jacobian = self.contacts(q)
        force = np.linalg.inv(np.swapaxes(jacobian, 2, 3))  # (M, k, 3, 3)
        push = np.zeros((len(q), 6, self.m))
        for k in range(self.feet):
            of_leg = slice(3 * k, 3 * k + 3)
            push[:, :3, of_leg] = force[:, k]
            push[:, 3:, of_leg] = np.cross(points[:, k, None], np.swapaxes(force[:, k], 1, 2)).swapaxes(1, 2)
        return push

    def stand(self, q: Array) -> tuple[Array, Array]:
        """Trunk position (3,) and rotation (3, 3) at coordinates `q` (n,) with the lowest foot on the ground."""
        rotation: Array = pin.rpy.rpyToMatrix(*q[self.m :])
        heights = self.foot_positions(q[: self.m]) @ rotation[2] - self.foot_radius
        return np.array([0.0, 0.0, -float(heights.min())]), rotation

    def contacts(self, q: Array) -> tuple[Array, Array]:
        """Where the feet would touch level ground at coordinates `q` (..., n), in the trunk's frame.

        Returns the lowest points (..., k, 3) and their velocity per joint speed of their leg (..., k, 3, 3). A foot is
        a ball: it rolls, so it is that point, and not its centre, that stands still.
        """
        angles, up = q[..., : self.m], up_in_trunk(q[..., self.m :])
        below = -self.foot_radius[:, None] * up[..., None, :]
        hip, thigh, knee = angles[..., 0::3], angles[..., 1::3], angles[..., 1::3] + angles[..., 2::3]
        shin_ahead, shin_down = -self._shank * np.sin(knee), self._shank * np.cos(knee)
        ahead, down = shin_ahead - self._thigh * np.sin(thigh), shin_down + self._thigh * np.cos(thigh)
        s, c, zero = np.sin(hip), np.cos(hip), np.zeros_like(hip)
        of_hip = np.stack([zero, down * c - self._side * s, down * s + self._side * c], axis=-1)
        of_thigh = np.stack([-down, ahead * s, -ahead * c], axis=-1)
        of_calf = np.stack([-shin_down, shin_ahead * s, -shin_ahead * c], axis=-1)
        across = np.cross(np.stack([zero, c, s], axis=-1), below)
        jacobians = np.stack([of_hip + np.cross([1.0, 0.0, 0.0], below), of_thigh + across, of_calf + across], axis=-1)
        return self.foot_positions(angles) + below, jacobians


def up_in_trunk(attitude: Array) -> Array:
    """(..., 3) the vertical in the trunk's axes at roll, pitch and yaw (..., 3)."""
    roll, pitch = attitude[..., 0], attitude[..., 1]
    return np.stack([-np.sin(pitch), np.cos(pitch) * np.sin(roll), np.cos(pitch) * np.cos(roll)], axis=-1)


def _shapes(robot: Robot, model: pin.Model) -> tuple[Shape, ...]:
    """Collision shapes of the URDF, each on the moving body that carries its link."""
    root = ET.parse(robot.urdf).getroot()  # noqa: S314 the file is the user's own; expat refuses entity bombs
    found = []
    for link in root.findall("link"):
        frame = model.frames[model.getFrameId(str(link.get("name")), pin.FrameType.BODY)]
        for collision in link.findall("collision"):
            geometry = collision.find("geometry")
            if geometry is None:
                continue
            place = frame.placement * _origin(collision.find("origin"))
            found.append(Shape(body=frame.parentJoint - 1, placement=place, geometry=geometry))
    return tuple(found)


def _radius(foot: Shape) -> float:
    sphere = foot.geometry.find("sphere")
    assert sphere is not None
    return float(sphere.get("radius", "nan"))


def _origin(element: ET.Element | None) -> pin.SE3:
    if element is None:
        return pin.SE3.Identity()
    xyz, rpy = (np.array([float(x) for x in element.get(key, "0 0 0").split()]) for key in ("xyz", "rpy"))
    return pin.SE3(pin.rpy.rpyToMatrix(rpy), xyz)
