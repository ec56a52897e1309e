"""A control loop without its plant: the law meets recorded frames again, and must give the recorded commands.

A replay proves that commands have a score, not that they came from the law: they may have been planned by a process
that knew the scenario. Whoever runs this is told what sensors said, and nothing of plant, fault, seed or commands.

    law, frames, references  ->  commands, ticks clipped, ticks of the safety law
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from core.frames import Frame, Reference
from core.metrics import Array
from core.robot import Robot
from sim.rollout import make_runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What the control loop commands for the frames of one rollout."""

    command: Array  # (N, m) [unit of the robot's commands]
    clipped: int  # ticks with a clipped command
    safety: int  # ticks in which the safety law had to command


def rerun(
    robot: Robot,
    artefact: Artefact,
    frames: Sequence[Frame],
    references: Sequence[Reference],
    safety: Artefact | None = None,
) -> Rerun:
    """Show N recorded frames to a fresh control loop of `artefact`, one per tick, with the references of the ticks."""
    runtime = make_runtime(robot, artefact, safety)
    commands = [
        runtime.tick(frame, reference, frame.stamp_ns) for frame, reference in zip(frames, references, strict=True)
    ]
    return Rerun(
        command=np.array([command.tau for command in commands]),
        clipped=sum(command.clipped for command in commands),
        safety=sum(command.source == "safety" for command in commands),
    )
