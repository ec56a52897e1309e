"""The URDF of a differential-drive base that PyBullet gets: body, wheels as spheres, gliding supports, and a load link.

A sphere touches the ground in one point, under the hub, where a wheel's rolling radius is its own; a thin cylinder
tilts between its rims. Wheels cannot roll sideways, so the shape shows nowhere else.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pinocchio as pin

from core.rigid_body import Array
from core.robot import Robot
from sim.body import PAYLOAD_LINK, inertial_element, massless
from sim.physics import Physics
from sim.wheeled_base import axle, constant

WHEELS = ("left", "right")


def write_base(folder: Path, robot: Robot, physics: Physics) -> Path:
    """Write the body that `physics` describes into `folder`; its frame is the middle of the axle."""
    root = ET.Element("robot", name=robot.name)
    body, *wheels = (pin.Inertia.FromDynamicParameters(block) for block in physics.inertials.reshape(-1, 10))
    radius, wheel_y, caster, nose = (constant(physics, name) for name in ("wheel_radius", "wheel_y", "caster", "nose"))
    _link(root, "body", body)
    for name, wheel, r, y in zip(WHEELS, wheels, radius, wheel_y, strict=True):
        _link(root, name, _balanced(wheel), sphere_m=r)
        joint = _joint(root, name, "continuous", (0.0, y, r - max(radius)))
        ET.SubElement(joint, "axis", xyz="0 1 0")
    ground = -max(radius)
    for name, x, clearance in (("caster", caster[0], 0.0), ("nose", nose[0], nose[1])):
        _link(root, name, massless(), sphere_m=caster[1])
        _joint(root, name, "fixed", (x, 0.0, ground + clearance + caster[1]))
    _link(root, PAYLOAD_LINK, massless())
    _joint(root, PAYLOAD_LINK, "fixed", np.array(robot.payload_point_m) - axle(robot))
    path = folder / "base.urdf"
    path.write_text(ET.tostring(root, encoding="unicode"), encoding="utf-8")
    return path


def _balanced(wheel: pin.Inertia) -> pin.Inertia:
    """A wheel whose axle is a principal axis: what is left out shakes the hub and nothing else."""
    return pin.Inertia(wheel.mass, np.zeros(3), np.diag(np.diag(wheel.inertia)))


def _link(root: ET.Element, name: str, inertia: pin.Inertia, sphere_m: float = 0.0) -> None:
    link = ET.SubElement(root, "link", name=name)
    link.append(inertial_element(inertia))
    if sphere_m:
        geometry = ET.SubElement(ET.SubElement(link, "collision"), "geometry")
        ET.SubElement(geometry, "sphere", radius=repr(float(sphere_m)))


def _joint(root: ET.Element, child: str, kind: str, at: Sequence[float] | Array) -> ET.Element:
    joint = ET.SubElement(root, "joint", name=child, type=kind)
    ET.SubElement(joint, "parent", link="body")
    ET.SubElement(joint, "child", link=child)
    ET.SubElement(joint, "origin", xyz=" ".join(repr(float(x)) for x in at), rpy="0 0 0")
    return joint
