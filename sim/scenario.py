"""One reproducible situation to judge a controller in: physics, fault, task and noise.

Incumbent and candidate always meet the same scenarios (common random numbers), so their difference is the controllers'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.ids import sha256_of
from core.robot import Robot
from sim.effect import Effect
from sim.physics import Physics
from sim.tasks.catalogue import draw_task
from sim.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that decides a rollout besides the controller."""

    name: str  # in words
    physics: Physics
    effect: Effect  # in force from the first tick on
    task_kind: str
    task_seed: int
    noise_seed: int
    duration_s: float

    @property
    def sha256(self) -> str:
        return sha256_of(self)

    def task(self, robot: Robot) -> Task:
        """The reference trajectory; starts somewhere in the task space, not always at home."""
        known = (*robot.tasks.kinds, self.task_kind)  # a task of an installed package is no kind of the robot's own
        rng = np.random.default_rng([self.task_seed, known.index(self.task_kind)])
        start = rng.uniform(robot.tasks.low, robot.tasks.high)
        return draw_task(robot, self.task_kind, start, self.duration_s, rng)
