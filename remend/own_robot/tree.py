"""The links and joints of a URDF as a tree, and one sentence for each way in which they are none.

Only what Remend uses is read: names, joint types, limits, damping, inertias. Shapes are left alone, so a mesh file that
does not exist does not matter.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import BadInput
from core.rigid_body import Array

MOVING = ("revolute", "prismatic", "continuous")
_FAR = 1e6  # m or rad; no number of an arm is larger
TYPES = (*MOVING, "fixed", "floating", "planar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link, with its inertia about its centre of mass."""

    name: str
    mass_kg: float  # 0 without <inertial>
    moments: tuple[float, float, float]  # principal moments [kg*m^2], rising


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """A joint. A number that the URDF does not give is NaN."""

    name: str
    type: str
    parent: str
    child: str
    lower: float  # [rad or m]
    upper: float
    speed: float  # [rad/s or m/s]
    effort: float  # [N*m or N]
    mimics: str | None  # the joint that it repeats

    @property
    def moves(self) -> bool:
        return self.type in MOVING

    @property
    def unit(self) -> str:
        return "m" if self.type == "prismatic" else "rad"

    @property
    def effort_unit(self) -> str:
        return "N" if self.type == "prismatic" else "N*m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A URDF that is a tree of links."""

    file: Path
    name: str  # of the robot, "" without one
    root: str  # the link without a parent
    links: dict[str, Link]
    joints: dict[str, Joint]
    element: ET.Element  # the document

    def below(self, link: str) -> list[Joint]:
        """The joints whose parent is `link`."""
        return [joint for joint in self.joints.values() if joint.parent == link]


def read_tree(file: Path) -> Tree:
    """Read and check a URDF.

    Raises:
        BadInput: no such file, no XML, no URDF, or links and joints that form no tree.
    """
    element = _parse(file)
    links: dict[str, Link] = {}
    for item in element.findall("link"):
        link = _link(file, item)
        if link.name in links:
            raise BadInput(f"{file}: link '{link.name}' is defined twice; give each link a name of its own")
        links[link.name] = link
    joints: dict[str, Joint] = {}
    for item in element.findall("joint"):
        joint = _joint(file, item)
        if joint.name in joints:
            raise BadInput(f"{file}: joint '{joint.name}' is defined twice; give each joint a name of its own")
        joints[joint.name] = joint
    root = _root(file, element, links, joints)
    return Tree(file=file, name=element.get("name", ""), root=root, links=links, joints=joints, element=element)


def _parse(file: Path) -> ET.Element:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{file}: no such file; give the path of a URDF with --urdf") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror}); give the path of a URDF with --urdf") from None
    try:
        element = ET.fromstring(data)  # noqa: S314 the file is the user's own; expat refuses entity bombs
    except ET.ParseError as error:
        if b"<xacro:" in data:  # an undeclared prefix
            raise _is_xacro(file) from None
        if "unbound prefix" in str(error):
            hint = 'declare the prefix of that line on <robot>, as in xmlns:drake="drake"'
            raise BadInput(f"{file}: is not well-formed XML ({error}); {hint}") from None
        raise BadInput(f"{file}: is not well-formed XML ({error}); correct that line") from None
    # A URDF that xacro has written keeps the name space, but none of its elements and no expression.
    if any("xacro}" in item.tag or any("${" in value for value in item.attrib.values()) for item in element.iter()):
        raise _is_xacro(file)
    if element.tag != "robot":
        raise BadInput(f"{file}: begins with <{element.tag}>, a URDF with <robot>; export the robot as a URDF")
    return element


def _is_xacro(file: Path) -> BadInput:
    plain = file.name.removesuffix(".xacro").removesuffix(".urdf") + ".urdf"
    return BadInput(f"{file}: is a xacro file, not yet a URDF; expand it first: xacro {file.name} > {plain}")


def _name(file: Path, item: ET.Element) -> str:
    name = item.get("name")
    if not name:
        raise BadInput(f"{file}: a <{item.tag}> has no name=; add it")
    return name


def number(text: str | None) -> float:
    """The finite number that `text` says, NaN where it says none."""
    try:
        value = float(text or "nan")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _link(file: Path, item: ET.Element) -> Link:
    name = _name(file, item)
    inertial = item.find("inertial")
    if inertial is None:
        return Link(name=name, mass_kg=0.0, moments=(0.0, 0.0, 0.0))
    mass, inertia = inertial.find("mass"), inertial.find("inertia")
    if mass is None or inertia is None:
        raise BadInput(f"{file}: link '{name}' has an <inertial> without mass or inertia; add both")
    _vectors(file, f"link '{name}'", inertial)
    value = number(mass.get("value"))
    xx, xy, xz, yy, yz, zz = (number(inertia.get(key, "0")) for key in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz"))
    matrix: Array = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if not value >= 0.0 or np.isnan(matrix).any():
        raise BadInput(f"{file}: link '{name}' has a mass or inertia that is no number of at least 0; correct it")
    a, b, c = (float(moment) for moment in np.linalg.eigvalsh(matrix))
    return Link(name=name, mass_kg=value, moments=(a, b, c))


def _vectors(file: Path, where: str, item: ET.Element) -> None:
    """Refuse an <origin> or <axis> that is not three numbers, or an axis without direction."""
    for tag, key in (("origin", "xyz"), ("origin", "rpy"), ("axis", "xyz")):
        found = item.find(tag)
        text = None if found is None else found.get(key)
        if text is None:
            continue
        values = [number(word) for word in text.split()]
        if len(values) != 3 or not all(abs(value) < _FAR for value in values):
            raise BadInput(f'{file}: {where} has <{tag} {key}="{text}">, which is not three numbers; correct it')
        if tag == "axis" and not any(values) and item.get("type") in MOVING:
            raise BadInput(f'{file}: {where} has <axis xyz="{text}">, which has no direction; give one, such as 0 0 1')


def _joint(file: Path, item: ET.Element) -> Joint:
    name, kind = _name(file, item), item.get("type", "")
    if kind not in TYPES:
        raise BadInput(f"{file}: joint '{name}' has the type '{kind}'; use one of {', '.join(TYPES)}")
    ends = [item.find("parent"), item.find("child")]
    parent, child = ("" if end is None else end.get("link", "") for end in ends)
    if not parent or not child:
        raise BadInput(f"{file}: joint '{name}' has no <parent link=> or no <child link=>; add it")
    _vectors(file, f"joint '{name}'", item)
    dynamics = item.find("dynamics")
    damping = 0.0 if dynamics is None else number(dynamics.get("damping", "0"))
    if not damping >= 0.0:
        raise BadInput(f"{file}: joint '{name}' has a damping= that is no number of at least 0; correct it")
    limit, mimic = item.find("limit"), item.find("mimic")
    given: Callable[[str], str | None] = (lambda _: None) if limit is None else limit.get
    return Joint(
        name=name,
        type=kind,
        parent=parent,
        child=child,
        lower=number(given("lower")),
        upper=number(given("upper")),
        speed=number(given("velocity")),
        effort=number(given("effort")),
        mimics=None if mimic is None else mimic.get("joint", "?"),
    )


def _root(file: Path, element: ET.Element, links: dict[str, Link], joints: dict[str, Joint]) -> str:
    """The one link without a parent, after checking that every other has exactly one."""
    if element.find("loop_joint") is not None:
        raise BadInput(
            f"{file}: has a <loop_joint>, which closes a chain; Remend simulates open chains, so cut the loop"
        )
    if not links:
        raise BadInput(f"{file}: has no <link>; export the robot as a URDF")
    parents: dict[str, str] = {}
    for joint in joints.values():
        for end in (joint.parent, joint.child):
            if end not in links:
                raise BadInput(f"{file}: joint '{joint.name}' joins link '{end}', which is not defined; add it")
        if joint.child in parents:
            raise BadInput(
                f"{file}: link '{joint.child}' is the child of '{parents[joint.child]}' and of '{joint.name}', a "
                "closed chain; Remend simulates open chains, so remove one of the two"
            )
        parents[joint.child] = joint.name
        if joint.type in ("floating", "planar"):
            raise BadInput(
                f"{file}: joint '{joint.name}' is {joint.type}; Remend sets up arms on a fixed base, so make it fixed"
            )
    roots = [name for name in links if name not in parents]
    if not roots:
        raise BadInput(f"{file}: every link is the child of a joint, a closed chain; leave the base without a parent")
    if len(roots) > 1:
        raise BadInput(f"{file}: links '{roots[0]}' and '{roots[1]}' both have no parent; join all links to one base")
    # With one root and one parent each, links that do not hang on the root could only form a ring of their own.
    hanging, ahead = {roots[0]}, [roots[0]]
    while ahead:
        children = [joint.child for joint in joints.values() if joint.parent == ahead[-1]]
        ahead.pop()
        hanging.update(children)
        ahead.extend(children)
    loose = next((name for name in links if name not in hanging), None)
    if loose is not None:
        raise BadInput(f"{file}: link '{loose}' hangs in a ring of joints, not on '{roots[0]}'; cut the ring")
    return roots[0]
