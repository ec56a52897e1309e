"""Worlds that stay loaded: loading a robot takes milliseconds, putting it back to its start takes microseconds.

A search asks for the same few robots hundreds of times. A plant forgets everything at `restart`, so a borrowed one
gives the bits of a fresh one.
"""

from __future__ import annotations

from collections import OrderedDict

from core.ids import sha256_of
from core.robot import Robot
from sim.faults.course import FaultCourse
from sim.kinds import open_plant
from sim.physics import Physics
from sim.plant import Plant

_KEPT = 24  # worlds a process; some 5 MB each
_worlds: OrderedDict[tuple[str, str, str], Plant] = OrderedDict()


def borrow(robot: Robot, physics: Physics) -> Plant:
    """A plant of `robot` made of `physics`, in whatever state its last user left it; it stays this module's."""
    key = (str(robot.folder), robot.name, sha256_of(physics))
    plant = _worlds.pop(key, None)
    if plant is None or plant.robot != robot:  # the robot.toml has been edited since
        if plant is not None:
            plant.close()
        while len(_worlds) >= _KEPT:
            _worlds.popitem(last=False)[1].close()
        plant = open_plant(robot, physics, FaultCourse(), seed=0)
    _worlds[key] = plant
    return plant
