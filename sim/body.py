"""The URDF that PyBullet gets: the robot's frames with given inertias, no shapes, and a link for the load.

PyBullet reads a body only from a file, so a fresh temporary one is written; its content never depends on a cache
(`enableFileCaching=0`, or a file rewritten under one name comes back with the old masses).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pinocchio as pin

from core.errors import BadInput
from core.rigid_body import Array
from core.robot import Robot

PAYLOAD_LINK = "remend_payload"
NO_MASS_KG = 1e-6  # Bullet takes a link without mass for one of 1 kg


def body_urdf(robot: Robot, inertials: Array) -> str:
    """URDF text of `robot` with `inertials` ((10 n,) about the joint frames) and an all but massless load link.

    Inertia of links behind fixed joints is part of `inertials`, so those links become all but massless too.
    """
    root = ET.parse(robot.urdf).getroot()  # noqa: S314 the file is the user's own; expat refuses entity bombs
    child_of = {joint.find("child").get("link"): joint for joint in root.findall("joint")}  # type: ignore[union-attr]
    for link in root.findall("link"):
        for tag in ("visual", "collision", "inertial"):
            for element in link.findall(tag):
                link.remove(element)
        joint = child_of.get(link.get("name"))
        name = None if joint is None else joint.get("name")
        if name in robot.joints:
            i = robot.joints.index(str(name))
            link.append(inertial_element(pin.Inertia.FromDynamicParameters(inertials[10 * i : 10 * (i + 1)])))
        else:
            link.append(inertial_element(massless()))
        if joint is not None and name not in robot.joints and joint.get("type") != "fixed":
            joint.set("type", "fixed")
    if robot.payload_link not in {link.get("name") for link in root.findall("link")}:
        raise BadInput(f"{robot.urdf}: has no link '{robot.payload_link}'; correct payload.link in robot.toml")
    for joint in root.findall("joint"):
        for dynamics in joint.findall("dynamics"):
            joint.remove(dynamics)  # friction is the drivetrain's; Bullet's own damping is explicit and blows up
    load = ET.SubElement(root, "link", name=PAYLOAD_LINK)
    load.append(inertial_element(massless()))
    mount = ET.SubElement(root, "joint", name=PAYLOAD_LINK, type="fixed")
    ET.SubElement(mount, "parent", link=robot.payload_link)
    ET.SubElement(mount, "child", link=PAYLOAD_LINK)
    ET.SubElement(mount, "origin", xyz=" ".join(map(repr, robot.payload_point_m)), rpy="0 0 0")
    return ET.tostring(root, encoding="unicode")


def massless() -> pin.Inertia:
    """What Bullet takes for a body without mass."""
    return pin.Inertia(NO_MASS_KG, np.zeros(3), 1e-9 * np.eye(3))


def inertial_element(body: pin.Inertia) -> ET.Element:
    """`<inertial>` of a URDF link."""
    element = ET.Element("inertial")
    ET.SubElement(element, "origin", xyz=" ".join(repr(float(x)) for x in body.lever), rpy="0 0 0")
    ET.SubElement(element, "mass", value=repr(float(body.mass)))
    moments = body.inertia
    names = {"ixx": (0, 0), "ixy": (0, 1), "ixz": (0, 2), "iyy": (1, 1), "iyz": (1, 2), "izz": (2, 2)}
    ET.SubElement(element, "inertia", {key: repr(float(moments[at])) for key, at in names.items()})
    return element


def write_body(folder: Path, robot: Robot, inertials: Array) -> Path:
    """Write `body_urdf` into `folder` and return its path."""
    path = folder / "body.urdf"
    path.write_text(body_urdf(robot, inertials), encoding="utf-8")
    return path
