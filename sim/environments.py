"""Registers every robot as a gymnasium environment: `remend/Iiwa-v0` and so on, and `remend/Robot-v0` for any other.

Importing this module is enough, and cheap: neither simulator nor robot is loaded before an environment is made.
gymnasium imports it itself when it stands before the id:

    gymnasium.make("sim.environments:remend/Iiwa-v0", fault="payload:mass=5")
"""

from __future__ import annotations

import re

import gymnasium

from sim.catalogue import robot_names

NAMESPACE, VERSION = "remend", 0
_CLASS = "sim.environment:RobotEnvironment"


def environment_id(robot: str) -> str:
    """The id of a robot in the catalogue: `two_link-arm` is `remend/TwoLinkArm-v0`."""
    words = re.findall(r"[A-Za-z0-9]+", robot)
    return f"{NAMESPACE}/{''.join(word[0].upper() + word[1:] for word in words)}-v{VERSION}"


def register() -> None:
    """Make the environments known to gymnasium. What is known already stays as it is."""
    known = {environment_id(name): {"robot": name} for name in robot_names()}
    for name, kwargs in {f"{NAMESPACE}/Robot-v{VERSION}": {}, **known}.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=_CLASS, kwargs=kwargs)


register()
