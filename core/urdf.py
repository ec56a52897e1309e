"""What Remend reads from a URDF itself: joint limits and units, and whether its links can be simulated at all."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

from core.errors import BadInput
from core.robot import JointLimits

_UNITS = {"revolute": "rad", "prismatic": "m"}  # what a joint of each type measures


def read_joint_limits(urdf: Path, joints: tuple[str, ...], actuators: tuple[str, ...]) -> JointLimits:
    """Limits and damping of `joints` from a URDF, after checking that its links can be simulated.

    A command is an effort, up to the URDF's limit either way. The effort of a joint that is not in `actuators` is not
    read: nothing drives it.

    Raises:
        BadInput: the file is missing or no URDF, a joint is absent or has no limits, a moving link has no inertia.
    """
    root = _read(urdf)
    _require_bodies(urdf, root, joints)
    rows = []
    for joint in joints:
        found = _find(urdf, root, joint)
        limit, dynamics = found.find("limit"), found.find("dynamics")
        if limit is None or limit.get("lower") is None or limit.get("upper") is None:
            raise BadInput(f"{urdf}: joint '{joint}' has no <limit lower= upper=>; add the range it may move in")
        lower, upper, speed = (_float(urdf, joint, limit, key) for key in ("lower", "upper", "velocity"))
        effort = _float(urdf, joint, limit, "effort") if joint in actuators else math.inf
        if not (lower < upper and speed > 0 and effort > 0):
            raise BadInput(f"{urdf}: joint '{joint}' needs lower < upper and positive velocity and effort limits")
        damping = 0.0 if dynamics is None else _number(dynamics.get("damping", "0"))
        if not 0.0 <= damping < math.inf:
            raise BadInput(f"{urdf}: joint '{joint}' needs a number of at least 0 for dynamics damping=; correct it")
        rows.append((lower, upper, speed, damping, effort))
    lower_all, upper_all, speed_all, damping_all, effort_all = zip(*rows, strict=True)
    driven = tuple(effort_all[joints.index(name)] for name in actuators)
    return JointLimits(
        lower=lower_all,
        upper=upper_all,
        speed=speed_all,
        damping=damping_all,
        effort_low=tuple(-effort for effort in driven),
        effort_high=driven,
        effort=driven,
    )


def read_joint_units(urdf: Path, joints: tuple[str, ...]) -> tuple[str, ...]:
    """The unit of the position of each joint: rad, or m for a slide.

    Raises:
        BadInput: the file is missing or no URDF, a joint is absent or neither revolute nor prismatic.
    """
    root = _read(urdf)
    units = []
    for joint in joints:
        kind = _find(urdf, root, joint).get("type")
        if kind not in _UNITS:
            raise BadInput(
                f"{urdf}: joint '{joint}' is {kind}; name only joints of type revolute or prismatic in robot.toml"
            )
        units.append(_UNITS[kind])
    return tuple(units)


def read_base_link(urdf: Path) -> str:
    """The one link that is no joint's child, after checking that the links can be simulated.

    Raises:
        BadInput: the file is missing or no URDF, it has not one base, a moving link has no inertia.
    """
    root = _read(urdf)
    _require_inertias(urdf, root)
    children = {child.get("link") for child in root.findall("joint/child")}
    bases = [str(link.get("name")) for link in root.findall("link") if link.get("name") not in children]
    if len(bases) != 1:
        raise BadInput(f"{urdf}: {len(bases)} links are no joint's child; join all links to one base")
    return bases[0]


def _read(urdf: Path) -> ET.Element:
    try:
        return ET.parse(urdf).getroot()  # noqa: S314 the file is the user's own; expat refuses entity bombs
    except FileNotFoundError:
        raise BadInput(f"{urdf}: no such file; correct `urdf` in robot.toml") from None
    except ET.ParseError as error:
        raise BadInput(f"{urdf}: is not well-formed XML ({error}); correct that line") from None
    except OSError as error:
        raise BadInput(f"{urdf}: cannot be read ({error.strerror}); correct `urdf` in robot.toml") from None


def _find(urdf: Path, root: ET.Element, joint: str) -> ET.Element:
    by_name: dict[str | None, ET.Element] = {element.get("name"): element for element in root.findall("joint")}
    if joint not in by_name:
        known = ", ".join(str(name) for name in by_name)
        raise BadInput(f"{urdf}: has no joint '{joint}'; robot.toml may name {known}")
    return by_name[joint]


def _require_inertias(urdf: Path, root: ET.Element) -> None:
    for element in root.findall("joint"):
        if element.get("type") in ("revolute", "prismatic", "continuous"):
            child = element.find("child")
            name = child.get("link") if child is not None else None
            link = next((item for item in root.findall("link") if item.get("name") == name), None)
            problem = _inertia_problem(name, link)
            if problem is not None:
                raise BadInput(f"{urdf}: {problem}")


def _require_bodies(urdf: Path, root: ET.Element, joints: tuple[str, ...]) -> None:
    """Each of `joints` moves some mass: its link's, or that of a link which is attached to it and held still."""
    links = {link.get("name"): link for link in root.findall("link")}
    ways = []  # (joint, its parent link, its child link)
    for joint in root.findall("joint"):
        parent, child = (
            None if end is None else end.get("link") for end in (joint.find("parent"), joint.find("child"))
        )
        ways.append((joint.get("name"), parent, child))
    for name, _, moved in ways:
        if name not in joints:
            continue
        group = [moved]
        for link in group:
            held = [child for joint, parent, child in ways if parent == link and joint not in joints]
            group += [child for child in held if child not in group]
        problems = [_inertia_problem(of, links.get(of)) for of in group]
        if all(problems):
            raise BadInput(f"{urdf}: {problems[0]}")


def _number(text: str | None) -> float:
    """The number that `text` says, NaN where it says none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _float(urdf: Path, joint: str, element: ET.Element, key: str) -> float:
    value = _number(element.get(key))
    if not math.isfinite(value):
        raise BadInput(f"{urdf}: joint '{joint}' has no finite number for limit {key}=; add it")
    return value


def _inertia_problem(name: str | None, link: ET.Element | None) -> str | None:
    """What keeps a link from being simulated as a body; with made-up numbers it is not."""
    if link is None:
        return f"link '{name}' is the child of a joint but is not defined; add it"
    mass, inertia = link.find("inertial/mass"), link.find("inertial/inertia")
    if mass is None or inertia is None:
        return f"link '{name}' moves but has no <inertial> mass and inertia; add both"
    values = [_number(mass.get("value")), *(_number(inertia.get(key)) for key in ("ixx", "iyy", "izz"))]
    if not all(0 < value < math.inf for value in values):
        return f"link '{name}' moves but has no positive mass and inertia; correct its <inertial>"
    return None
