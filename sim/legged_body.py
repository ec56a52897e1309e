"""The URDF of a robot on legs that PyBullet gets: trunk and leg bodies with their shapes, and a link for the load."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pinocchio as pin

from core.legs import Legs
from sim.body import PAYLOAD_LINK, inertial_element, massless


def body_urdf(legs: Legs) -> str:
    """URDF text: one link for each moving body with its inertia and shapes, and an all but massless load."""
    root = ET.Element("robot", name="legged")
    names = ["trunk", *legs.joints]
    for i, name in enumerate(names):
        link = ET.SubElement(root, "link", name=name)
        link.append(inertial_element(legs.model.inertias[i + 1]))
        for shape in legs.shapes:
            if shape.body == i:
                collision = ET.SubElement(link, "collision")
                collision.append(_origin(shape.placement))
                collision.append(shape.geometry)
    for i, name in enumerate(legs.joints):
        joint = ET.SubElement(root, "joint", name=name, type="revolute")
        parent = legs.model.parents[i + 2]
        ET.SubElement(joint, "parent", link=names[parent - 1])
        ET.SubElement(joint, "child", link=name)
        joint.append(_origin(legs.model.jointPlacements[i + 2]))
        ET.SubElement(joint, "axis", xyz="1 0 0" if i % 3 == 0 else "0 1 0")
        limits = legs.robot.limits  # a joint has mechanical stops
        lower, upper = repr(limits.lower[i]), repr(limits.upper[i])
        ET.SubElement(joint, "limit", lower=lower, upper=upper, effort="1e4", velocity="1e4")
    ET.SubElement(root, "link", name=PAYLOAD_LINK).append(inertial_element(massless()))
    mount = ET.SubElement(root, "joint", name=PAYLOAD_LINK, type="fixed")
    ET.SubElement(mount, "parent", link="trunk")
    ET.SubElement(mount, "child", link=PAYLOAD_LINK)
    mount.append(_origin(pin.SE3(np.eye(3), legs.payload_point)))
    return ET.tostring(root, encoding="unicode")


def _origin(place: pin.SE3) -> ET.Element:
    xyz, rpy = place.translation, pin.rpy.matrixToRpy(place.rotation)
    return ET.Element("origin", xyz=" ".join(repr(float(x)) for x in xyz), rpy=" ".join(repr(float(a)) for a in rpy))
