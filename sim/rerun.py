"""A law without its plant: it is shown again what it was shown in a run, and must say again what it said.

A run in lockstep proves that commands have a score, not that they came from the law: whoever answers for it may look
at the runs beside, at the clock, or at a plan. Whoever runs this is told what sensors and references of one run said,
and nothing of plant, fault, seed, commands, or of a run beside.

    law, what it was shown  ->  what it says
"""

from __future__ import annotations

import numpy as np

from controllers.artefact import Artefact
from controllers.slot import Slot
from core.metrics import Array
from core.robot import Robot
from sim.lockstep import say, split


def rerun(robot: Robot, artefact: Artefact, shown: Array) -> Array:
    """(N, m) commands of a fresh slot of `artefact` for the N rows of an `Exchange`, before the envelope."""
    slot = Slot(robot, artefact)
    rows = zip(*(part.tolist() for part in split(robot, shown)), strict=True)
    return np.array([say(slot, row) for row in rows]).reshape(len(shown), slot.width)
