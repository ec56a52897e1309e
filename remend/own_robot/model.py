"""The rigid bodies of an arm while it has no robot.toml yet: inertia, gravity, and where its tip is."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pinocchio as pin

from core.errors import BadInput
from core.rigid_body import Array
from remend.own_robot.chain import Chain
from remend.own_robot.tree import number

_SLENDER = 1e-4  # a body whose smallest principal moment is below this share of its largest is a line, not a body
_AT_JOINT_M = 1e-3  # a tip nearer than this to the last joint is no tip


def urdf_bytes(chain: Chain) -> bytes:
    """The user's URDF as it is, but for the joints whose type the chain changes."""
    data = chain.tree.file.read_bytes()
    types = {**dict.fromkeys(chain.bounded, "revolute"), **dict.fromkeys(chain.fixed, "fixed")}
    if not types and _is_utf8(data):
        return data
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))  # noqa: S314 the file is the user's own
    root = ET.fromstring(data, parser)  # noqa: S314
    for joint in root.findall("joint"):
        joint.set("type", types.get(joint.get("name", ""), joint.get("type", "")))
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _is_utf8(data: bytes) -> bool:
    """Whether every XML parser reads the file; not all know other encodings."""
    try:
        return not data.decode().startswith("\ufeff")
    except UnicodeDecodeError:
        return False


class ArmModel:
    """Equations of motion of a chain without its drives.

    Args:
        chain: the arm.
        urdf: its URDF, from `urdf_bytes`.

    Raises:
        BadInput: urdfdom refuses the file, or the links that move with one joint have an inertia that cannot be
            simulated.
    """

    def __init__(self, chain: Chain, urdf: bytes) -> None:
        try:
            full = pin.buildModelFromXML(urdf.decode())
        except ValueError:
            raise BadInput(
                f"{chain.tree.file}: its parser, urdfdom, refuses an element for the reason above; correct that element"
            ) from None
        names = [joint.name for joint in chain.joints]
        locked = [full.getJointId(name) for name in full.names[1:] if name not in names]
        self._model = pin.buildReducedModel(full, locked, pin.neutral(full)) if locked else full
        assert list(self._model.names[1:]) == names
        self._data = self._model.createData()
        self._chain = chain
        for joint, body in zip(chain.joints, list(self._model.inertias)[1:], strict=True):
            moments = np.linalg.eigvalsh(body.inertia)
            if not moments[0] > _SLENDER * moments[2]:
                raise BadInput(
                    f"{chain.tree.file}: the links that move with joint '{joint.name}' have no moment of inertia about "
                    "one axis, so they cannot be simulated; give a link of theirs positive ixx, iyy and izz"
                )
        frame = self._model.frames[self._model.getFrameId(chain.link, pin.FrameType.BODY)]
        self._mount = frame.placement
        self._body = self._model.inertias[frame.parentJoint].copy()
        self.point_m, self.point_of = self._tip()
        self.moving_kg = float(sum(body.mass for body in list(self._model.inertias)[1:]))

    def _tip(self) -> tuple[tuple[float, float, float], str]:
        """The frame on the last link that is farthest from its joint, or else the last body's centre of mass.

        In the last link's axes; frames of a gripper's moving parts do not count.
        """
        names = [self._chain.link]
        for name in names:
            names += [joint.child for joint in self._chain.tree.below(name) if joint.type == "fixed"]
        frames = [self._model.frames[self._model.getFrameId(name, pin.FrameType.BODY)] for name in names]
        farthest = max(frames, key=lambda frame: float(np.linalg.norm(frame.placement.translation)))
        point, name = farthest.placement.translation, farthest.name
        if np.linalg.norm(point) < _AT_JOINT_M:
            point, name = self._body.lever, ""
        x, y, z = (float(value) for value in self._mount.actInv(point))
        return (x, y, z), name

    def gravity(self, q: Array, load_kg: float = 0.0) -> Array:
        """(n,) effort [N*m or N] that holds the arm at `q` with a point mass at the tip."""
        self._load(load_kg)
        return np.array(pin.computeGeneralizedGravity(self._model, self._data, q))

    def inertia(self, q: Array, load_kg: float = 0.0) -> Array:
        """(n, n) joint-space inertia of links and load [kg*m^2, kg*m or kg]."""
        self._load(load_kg)
        return np.array(pin.crba(self._model, self._data, q))

    def _load(self, mass_kg: float) -> None:
        load = pin.Inertia(mass_kg, self._mount.act(np.array(self.point_m)), np.zeros((3, 3)))
        self._model.inertias[self._model.njoints - 1] = self._body + load if mass_kg else self._body


def given_rotor_inertia(chain: Chain) -> dict[str, float]:
    """Reflected rotor inertia [kg*m^2 or kg] of the joints for which the URDF says it.

    It is either `armature` of <dynamics>, or the rotor inertia of a <transmission> times its gear ratio squared.
    """
    found: dict[str, float] = {}
    for joint in chain.tree.element.findall("joint"):
        dynamics = joint.find("dynamics")
        value = number(None if dynamics is None else dynamics.get("armature"))
        if value > 0.0:
            found[joint.get("name", "")] = value
    for transmission in chain.tree.element.findall("transmission"):
        items = [item for item in transmission.iter() if isinstance(item.tag, str)]
        rotor = max((_value(item) for item in items if item.tag.endswith("rotor_inertia")), default=0.0)
        ratios = [_value(item) for item in items if item.tag.endswith(("gear_ratio", "mechanicalReduction"))]
        if rotor > 0.0 and ratios:
            for joint in transmission.findall("joint"):
                found[joint.get("name", "")] = rotor * max(ratios) ** 2
    return found


def _value(item: ET.Element) -> float:
    """The positive number in an element's `value=` or text, else 0."""
    value = number(item.get("value") or item.text)
    return value if value > 0.0 else 0.0
