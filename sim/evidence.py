"""Paired evidence: incumbent and candidate on the same robots, each of which could have said what this one said.

Search scenarios pick a candidate and sealed scenarios judge it. The sealed ones are drawn from the hash of the finished
candidate, so nobody could have tuned to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from controllers.artefact import Artefact
from core.robot import Robot
from sim.effect import Effect, combine
from sim.judge import Judgement
from sim.scenario import Scenario
from sim.twin.twin import Twin
from sim.workers.base import Workers

SEALED = (
    24  # pairs; a relative change of tracking is told from none with a spread of 40 % (paired t, power 0.9 at 30 %)
)
HEALTHY = 6  # pairs for each severity besides the diagnosed one
DELAYED = 4  # pairs for each added delay
SEVERITIES = (0.0, 0.5, 1.5)
ADDED_DELAYS_S = (0.004, 0.008)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Incumbent and candidate in one scenario."""

    scenario: Scenario
    before: Judgement
    after: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the gates look at."""

    sealed: tuple[Pair, ...]
    severities: dict[float, tuple[Pair, ...]]  # share of the diagnosed fault -> pairs
    delays: dict[float, tuple[Pair, ...]]  # added delay [s] -> pairs
    rollouts: int


def draw_scenarios(
    twin: Twin, count: int, seed: int, *, severity: float = 1.0, added_delay_s: float = 0.0
) -> list[Scenario]:
    """Scenarios over twin samples, tasks and noise.

    Args:
        severity: share of the diagnosed fault.
        added_delay_s: command delay on top of the robot's and the fault's.
    """
    rng = np.random.default_rng(seed)
    kinds = twin.robot.tasks.kinds
    scenarios = []
    for k in range(count):
        physics, effect = twin.sample(rng)
        kind = kinds[k % len(kinds)]
        effect = combine([(severity, effect)])
        effect = replace(effect, delay_s=effect.delay_s + added_delay_s)
        task_seed, noise_seed = (int(x) for x in rng.integers(0, 2**31, 2))
        scenarios.append(
            Scenario(
                name=_describe(kind, k, effect, severity, added_delay_s),
                physics=physics,
                effect=effect,
                task_kind=kind,
                task_seed=task_seed,
                noise_seed=noise_seed,
                duration_s=twin.robot.tasks.run_s,
            )
        )
    return scenarios


def _describe(kind: str, k: int, effect: Effect, severity: float, added_delay_s: float) -> str:
    parts = [f"{kind} {k + 1}", "no fault" if severity == 0 else f"{severity:g} x the diagnosed fault"]
    if effect.payload_kg > 0:
        parts.append(f"load {effect.payload_kg:.2f} kg")
    if added_delay_s:
        parts.append(f"{1000 * added_delay_s:g} ms more delay")
    return ", ".join(parts)


def sealed_seed(incident_sha: str, result_sha: str) -> int:
    """The seed of the sealed scenarios: nobody knows it before the candidate is finished."""
    return int(incident_sha[:8], 16) ^ int(result_sha[:8], 16)


def gather(workers: Workers, twin: Twin, incumbent: Artefact, candidate: Artefact, seed: int) -> Evidence:
    """Run incumbent and candidate through every scenario that the gates ask about."""
    before_count = workers.rollouts
    groups: list[tuple[str, float, list[Scenario]]] = [("sealed", 1.0, draw_scenarios(twin, SEALED, seed))]
    for severity in SEVERITIES:  # the same tasks as the first sealed ones, so that groups compare
        groups.append(("severity", severity, draw_scenarios(twin, HEALTHY, seed, severity=severity)))
    for delay_s in ADDED_DELAYS_S:
        groups.append(("delay", delay_s, draw_scenarios(twin, DELAYED, seed, added_delay_s=delay_s)))
    jobs = [(law, scenario) for _, _, scenarios in groups for scenario in scenarios for law in (incumbent, candidate)]
    results = iter(workers.judge(jobs))
    pairs = [
        (name, key, tuple(Pair(scenario=s, before=next(results), after=next(results)) for s in scenarios))
        for name, key, scenarios in groups
    ]
    return Evidence(
        sealed=pairs[0][2],
        severities={key: found for name, key, found in pairs if name == "severity"},
        delays={key: found for name, key, found in pairs if name == "delay"},
        rollouts=workers.rollouts - before_count,
    )


def canary_peaks(robot: Robot, pairs: tuple[Pair, ...]) -> tuple[list[float], list[float], float]:
    """Largest error per joint of incumbent and candidate [rad], and the largest torque variation [N*m]."""
    before = [max(pair.before.peak_error[i] for pair in pairs) for i in range(robot.dof)]
    after = [max(pair.after.peak_error[i] for pair in pairs) for i in range(robot.dof)]
    variation = max(max(pair.before.peak_variation_nm, pair.after.peak_variation_nm) for pair in pairs)
    return before, after, variation
