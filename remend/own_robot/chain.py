"""The arm in a URDF: its moving joints from base to tip, and what of the URDF stays still.

The arm is the longest chain of moving joints. It ends before a gripper: where several equally long branches of few
joints begin, or at joints that are named like one. Joints beside the chain and beyond its end are locked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import BadInput
from core.rigid_body import Array
from remend.own_robot.tree import Joint, Link, Tree

MOST_JOINTS = 8
_FINGER_JOINTS = 4  # equally long branches of up to this many joints are fingers, longer ones are arms
_ROUNDING = 1e-3  # share of the largest moment that a printed one may be negative
_OPEN = 0.01  # share by which the largest moment may exceed the other two together
_GRIPPER = re.compile(r"grip|finger|jaw|claw|knuckle|thumb", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An arm, base to tip. Every joint has limits, speed and effort, and every link that it moves has mass."""

    tree: Tree
    joints: tuple[Joint, ...]
    locked: tuple[tuple[str, str], ...]  # (joint, why it stays still)
    bounded: tuple[str, ...]  # continuous joints that move within their limits from now on
    link: str  # child of the last joint
    rounded: tuple[tuple[str, float], ...] = ()  # (link, share by which its largest moment exceeds the other two)

    @property
    def fixed(self) -> tuple[str, ...]:
        """Locked joints that the copy of the URDF makes fixed: Pinocchio cannot lock one that is named like a link."""
        return tuple(name for name, _ in self.locked if name in self.tree.links)

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(joint.unit for joint in self.joints)

    @property
    def slides(self) -> Array:
        """(n,) whether a joint slides."""
        return np.array([unit == "m" for unit in self.units])

    def each(self, name: str) -> Array:
        """(n,) a number of each joint: lower, upper, speed or effort."""
        return np.array([float(getattr(joint, name)) for joint in self.joints])

    def words(self) -> str:
        """What it is: "6 revolute joints", "1 prismatic joint and 3 revolute joints"."""
        slides = sum(joint.unit == "m" for joint in self.joints)
        counts = ((len(self.joints) - slides, "revolute"), (slides, "prismatic"))
        return " and ".join(f"{count} {kind} joint{'s' * (count > 1)}" for count, kind in counts if count)


def find_chain(tree: Tree, tip: str | None = None) -> Chain:
    """The arm in `tree`, up to link `tip` or up to where a gripper begins.

    Raises:
        BadInput: there is no moving joint or there are too many, the arm's end is not clear, or one of its joints or
            links lacks what a simulation needs.
    """
    path = _path_to(tree, tip) if tip else _longest_path(tree)
    moving = [joint for joint in path if joint.moves]
    if not moving:
        raise BadInput(
            f"{tree.file}: has no moving joint{f' up to {tip!r}' if tip else ''}; nothing could be controlled"
        )
    if not tip:
        while len(moving) > 1 and _GRIPPER.search(moving[-1].name):
            moving.pop()
    if len(moving) > MOST_JOINTS:
        raise BadInput(
            f"{tree.file}: the chain to '{moving[-1].child}' has {len(moving)} moving joints, Remend sets up arms of "
            f"at most {MOST_JOINTS}; end the arm earlier with --tip LINK, or make some joints fixed"
        )
    names = {joint.name for joint in moving}
    locked = [(joint.name, _why_locked(joint, moving)) for joint in tree.joints.values() if joint.moves]
    chain = Chain(
        tree=tree,
        joints=tuple(_checked(tree, joint) for joint in moving),
        locked=tuple((name, why) for name, why in locked if name not in names),
        bounded=tuple(joint.name for joint in moving if joint.type == "continuous"),
        link=moving[-1].child,
    )
    return replace(chain, rounded=_require_bodies(chain))


def _path_to(tree: Tree, tip: str) -> list[Joint]:
    """The joints from the base to link `tip`."""
    above = {joint.child: joint for joint in tree.joints.values()}
    if tip not in tree.links:
        raise BadInput(f"{tree.file}: has no link '{tip}'; give --tip one of {', '.join(tree.links)}")
    path: list[Joint] = []
    while tip in above:
        path.append(above[tip])
        tip = above[tip].parent
    return path[::-1]


def _longest_path(tree: Tree) -> list[Joint]:
    """The joints from the base along the longest chain of moving joints, up to fingers."""
    depth = _depths(tree)
    path: list[Joint] = []
    here = tree.root
    while depth[here]:
        ways = sorted(tree.below(here), key=lambda joint: -_reach(joint, depth))
        longest = _reach(ways[0], depth)
        rivals = [joint for joint in ways if _reach(joint, depth) == longest]
        if len(rivals) > 1 and longest <= _FINGER_JOINTS and any(joint.moves for joint in path):
            break
        if len(rivals) > 1:
            ends = " and ".join(f"'{_end(tree, joint, depth)}'" for joint in rivals[:2])
            raise BadInput(
                f"{tree.file}: {len(rivals)} chains of {longest} moving joints begin at '{here}' and end at {ends}; "
                "say which is the arm with --tip LINK"
            )
        path.append(ways[0])
        here = ways[0].child
    return path


def _depths(tree: Tree) -> dict[str, int]:
    """Moving joints on the longest way down from each link."""
    depth: dict[str, int] = {}
    order = [tree.root]
    for link in order:
        order.extend(joint.child for joint in tree.below(link))
    for link in reversed(order):
        depth[link] = max((_reach(joint, depth) for joint in tree.below(link)), default=0)
    return depth


def _reach(joint: Joint, depth: dict[str, int]) -> int:
    return joint.moves + depth[joint.child]


def _end(tree: Tree, joint: Joint, depth: dict[str, int]) -> str:
    """The link behind the last moving joint of the longest way through `joint`."""
    last = joint.child
    while depth[joint.child]:
        joint = max(tree.below(joint.child), key=lambda below: _reach(below, depth))
        last = joint.child if joint.moves else last
    return last


def _why_locked(joint: Joint, arm: list[Joint]) -> str:
    if joint.mimics is not None:
        return f"repeats {joint.mimics}"
    if _GRIPPER.search(joint.name):
        return "named like a gripper"
    return "beyond the arm's end" if joint.parent == arm[-1].child else "beside the longest chain"


def _checked(tree: Tree, joint: Joint) -> Joint:
    """A joint of the arm with everything that a simulation needs."""
    at = f"{tree.file}: joint '{joint.name}'"
    unit = joint.unit
    if joint.mimics is not None:
        raise BadInput(
            f"{at} repeats joint '{joint.mimics}' (<mimic>), a closed chain; end the arm before it with --tip LINK, or "
            "make it fixed"
        )
    if not joint.lower < joint.upper:
        if joint.type == "continuous":
            raise BadInput(
                f'{at} is continuous and has no range; give it type="revolute" and <limit lower= upper=> in rad'
            )
        raise BadInput(f"{at} has no range to move in; give <limit lower= upper=> in {unit}, lower below upper")
    if not joint.speed > 0.0:
        raise BadInput(f"{at} has no speed limit above zero; give <limit velocity=> in {unit}/s from its data sheet")
    if not joint.effort > 0.0:
        raise BadInput(
            f"{at} has no effort limit above zero; give <limit effort=> in {joint.effort_unit} from its data sheet"
        )
    for what, value, least, most, of in (
        ("a range", joint.upper - joint.lower, 1e-4, np.inf, unit),
        ("a speed limit", joint.speed, 1e-4, 1e6, f"{unit}/s"),
        ("an effort limit", joint.effort, 1e-4, 1e6, joint.effort_unit),
    ):
        if not least <= value <= most:
            raise BadInput(f"{at} has {what} of {value:.3g} {of}, which no arm has; correct its <limit>")
    return replace(joint, type="revolute") if joint.type == "continuous" else joint


def _require_bodies(chain: Chain) -> tuple[tuple[str, float], ...]:
    """Each joint must move some mass: its link's, or that of what is attached to it without an arm joint between.

    Returns:
        Links whose inertia no body quite has, and by how much.
    """
    rounded = []
    arm = {joint.name for joint in chain.joints}
    for joint in chain.joints:
        group = [joint.child]
        for link in group:
            group.extend(below.child for below in chain.tree.below(link) if below.name not in arm)
        bodies = [chain.tree.links[link] for link in group]
        if not any(body.mass_kg > 0.0 for body in bodies):
            raise BadInput(
                f"{chain.tree.file}: link '{joint.child}' moves with joint '{joint.name}' but has no mass; give it an "
                "<inertial> with mass and inertia"
            )
        for body in bodies:
            share = _require_rigid(chain.tree.file, body)
            if share > 0.0:
                rounded.append((body.name, share))
    return tuple(rounded)


def _require_rigid(file: Path, body: Link) -> float:
    """Refuse the inertia that no mass distribution has: a negative moment, or one beyond the other two together.

    Returns:
        Share by which the largest moment exceeds the other two, where that may be rounding.
    """
    a, b, c = body.moments
    at = f"{file}: link '{body.name}' has the principal moments {a:.3g}, {b:.3g} and {c:.3g} kg*m^2"
    if a < -_ROUNDING * abs(c):
        raise BadInput(f"{at}, and no body has a negative one; correct its <inertia>")
    if c > (1.0 + _OPEN) * (a + b):
        raise BadInput(
            f"{at}, but no body's largest exceeds the sum of the other two, {a + b:.3g}; correct its <inertia>"
        )
    return c / (a + b) - 1.0 if c > a + b else 0.0
