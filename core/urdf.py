"""What Remend reads from a URDF itself: joint limits, and whether its links can be simulated at all."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class JointLimits:
    """Limits of the actuated joints, from the URDF."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    speed: tuple[float, ...]
    effort: tuple[float, ...]
    damping: tuple[float, ...]  # viscous joint friction of the healthy robot [N*m*s/rad]


def read_joint_limits(urdf: Path, joints: tuple[str, ...]) -> JointLimits:
    """Limits and damping of `joints` from a URDF, after checking that its links can be simulated.

    Raises:
        BadInput: the file is missing or no URDF, a joint is absent or has no limits, a moving link has no inertia.
    """
    try:
        root = ET.parse(urdf).getroot()  # noqa: S314 the file is the user's own; expat refuses entity bombs
    except FileNotFoundError:
        raise BadInput(f"{urdf}: no such file; correct `urdf` in robot.toml") from None
    except ET.ParseError as error:
        raise BadInput(f"{urdf}: is not well-formed XML ({error}); correct that line") from None
    except OSError as error:
        raise BadInput(f"{urdf}: cannot be read ({error.strerror}); correct `urdf` in robot.toml") from None
    by_name: dict[str | None, ET.Element] = {element.get("name"): element for element in root.findall("joint")}
    for element in root.findall("joint"):
        child = element.find("child")
        link_name = child.get("link") if child is not None else None
        link = next((item for item in root.findall("link") if item.get("name") == link_name), None)
        if element.get("type") in ("revolute", "prismatic", "continuous"):
            _require_inertia(urdf, link_name, link)
    rows = []
    for joint in joints:
        found = by_name.get(joint)
        if found is None:
            known = ", ".join(str(name) for name in by_name)
            raise BadInput(f"{urdf}: has no joint '{joint}'; robot.toml may name {known}")
        limit, dynamics = found.find("limit"), found.find("dynamics")
        if limit is None or limit.get("lower") is None or limit.get("upper") is None:
            raise BadInput(f"{urdf}: joint '{joint}' has no <limit lower= upper=>; add the range it may move in")
        values = [_float(urdf, joint, limit, key) for key in ("lower", "upper", "velocity", "effort")]
        if not (values[0] < values[1] and values[2] > 0 and values[3] > 0):
            raise BadInput(f"{urdf}: joint '{joint}' needs lower < upper and positive velocity and effort limits")
        damping = 0.0 if dynamics is None else _number(dynamics.get("damping", "0"))
        if not 0.0 <= damping < math.inf:
            raise BadInput(f"{urdf}: joint '{joint}' needs a number of at least 0 for dynamics damping=; correct it")
        rows.append((*values, damping))
    lower, upper, speed, torque, damping_all = zip(*rows, strict=True)
    return JointLimits(lower=lower, upper=upper, speed=speed, effort=torque, damping=damping_all)


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


def _require_inertia(urdf: Path, name: str | None, link: ET.Element | None) -> None:
    """A moving link without inertia would be simulated with made-up numbers; refuse it instead."""
    if link is None:
        raise BadInput(f"{urdf}: link '{name}' is the child of a joint but is not defined; add it")
    mass, inertia = link.find("inertial/mass"), link.find("inertial/inertia")
    if mass is None or inertia is None:
        raise BadInput(f"{urdf}: link '{name}' moves but has no <inertial> mass and inertia; add both")
    values = [_number(mass.get("value")), *(_number(inertia.get(key)) for key in ("ixx", "iyy", "izz"))]
    if not all(0 < value < math.inf for value in values):
        raise BadInput(f"{urdf}: link '{name}' moves but has no positive mass and inertia; correct its <inertial>")
