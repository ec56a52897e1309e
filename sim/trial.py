"""A situation to try a controller in, said in words: a fault in the notation, a task, a seed."""

from __future__ import annotations

import numpy as np

from core.robot import Robot
from sim.faults.notation import full_effect
from sim.kinds import hidden_physics, nominal_physics
from sim.scenario import Scenario
from sim.tasks.catalogue import require_task


def draw_trial(
    robot: Robot,
    *,
    fault: str = "none",
    task: str | None = None,
    seed: int = 0,
    robot_seed: int | None = None,
    duration_s: float = 3.0,
) -> Scenario:
    """A scenario for `sim.rollout.rollout` or `sim.workers.base.Workers.judge`.

    Args:
        fault: in the notation of `sim.faults.notation`, at its severity from the first tick on.
        task: one of the robot's kinds of task, or of an installed package; None draws one of the robot's.
        seed: of the task and the noise.
        robot_seed: which of the hidden robots; None is the robot of the data sheet.

    Raises:
        BadInput: the robot has no such fault or task.
    """
    rng = np.random.default_rng([seed, 0x7214])
    drawn = str(rng.choice(robot.tasks.kinds))
    task_seed, noise_seed = (int(x) for x in rng.integers(0, 2**31, 2))
    require_task(robot, task or drawn)
    return Scenario(
        name=f"{task or drawn} {seed}, {fault}",
        physics=nominal_physics(robot) if robot_seed is None else hidden_physics(robot, robot_seed),
        effect=full_effect(fault, robot),
        task_kind=task or drawn,
        task_seed=task_seed,
        noise_seed=noise_seed,
        duration_s=duration_s,
    )
