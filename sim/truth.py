"""The scorer of record: incumbent and patch on the simulated robot itself, by its true state, over unseen tasks.

It looks where no other part may look, so nothing but the summary of a simulated healing uses it: no twin, no gate and
no canary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from core.metrics import METRICS
from core.robot import Robot
from sim.effect import NO_EFFECT, Effect
from sim.faults.notation import full_effect
from sim.judge import Judgement
from sim.kinds import hidden_physics
from sim.scenario import Scenario
from sim.workers.base import Workers

_TASKS = 6
_LONGER = 1.5  # than the runs of the evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Mean of one metric over the fresh tasks."""

    unit: str
    nominal: float  # healthy robot, incumbent
    faulted: float  # robot with the fault, incumbent
    patched: float | None  # robot with the fault, patch; None without a patch in force


def measure_truth(
    workers: Workers, spec: str, seed: int, incumbent: Artefact, patch: Artefact | None
) -> dict[str, Truth]:
    """Metric -> truth, for the robot of `seed` and its fault `spec` at full severity."""
    robot = workers.robot
    effect = full_effect(spec, robot)
    healthy = _scenarios(robot, seed, NO_EFFECT)
    faulted = _scenarios(robot, seed, effect)
    jobs = [(incumbent, s) for s in healthy] + [(incumbent, s) for s in faulted]
    if patch is not None:
        jobs += [(patch, s) for s in faulted]
    results = workers.judge(jobs)
    groups = [results[k : k + _TASKS] for k in range(0, len(results), _TASKS)]
    return {
        name: Truth(
            unit=metric.unit(robot),
            nominal=_mean(groups[0], name),
            faulted=_mean(groups[1], name),
            patched=_mean(groups[2], name) if patch is not None else None,
        )
        for name, metric in METRICS.items()
    }


def _mean(judgements: list[Judgement], metric: str) -> float:
    return float(np.mean([judgement.metrics[metric] for judgement in judgements]))


def _scenarios(robot: Robot, seed: int, effect: Effect) -> list[Scenario]:
    rng = np.random.default_rng([seed, 0x72E7])
    physics, kinds = hidden_physics(robot, seed), robot.tasks.kinds
    return [
        Scenario(
            name=f"fresh {kinds[k % len(kinds)]} {k + 1}",
            physics=physics,
            effect=effect,
            task_kind=kinds[k % len(kinds)],
            task_seed=int(rng.integers(0, 2**31)),
            noise_seed=int(rng.integers(0, 2**31)),
            duration_s=_LONGER * robot.tasks.run_s,
        )
        for k in range(_TASKS)
    ]
