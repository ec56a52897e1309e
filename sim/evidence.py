"""Paired evidence: incumbent and candidate on the same robots, each of which could have said what this one said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sim.effect import Effect, combine
from sim.judge import Judgement
from sim.scenario import Scenario
from sim.twin.twin import Twin
from sim.workers.answer import Rolled


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Incumbent and candidate in one scenario."""

    scenario: Scenario
    before: Judgement
    after: Judgement
    run: Rolled | None = None  # the candidate's, which `after` is part of, with what its law was shown and said

    @property
    def change(self) -> float:
        """Logarithm of the ratio of tracking errors, candidate to incumbent; NaN where there is none."""
        before, after = (judged.metrics["rms_tracking_error"] for judged in (self.before, self.after))
        return math.log(after / before) if 0 < before < math.inf and 0 < after < math.inf else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the gates look at. What was not run is empty."""

    sealed: tuple[Pair, ...]
    severities: Mapping[float, tuple[Pair, ...]] = field(default_factory=dict)  # share of the diagnosed fault -> pairs
    delays: Mapping[float, tuple[Pair, ...]] = field(default_factory=dict)  # added delay [s] -> pairs
    gains: Mapping[float, tuple[Pair, ...]] = field(default_factory=dict)  # factor of the loop gain -> pairs
    regressions: tuple[Pair, ...] | None = None  # past incidents, a run for each

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every pair that was run."""
        groups = [pairs for group in (self.severities, self.delays, self.gains) for pairs in group.values()]
        return sum((*groups, self.regressions or ()), self.sealed)


def draw_scenarios(
    twin: Twin, count: int, seed: int, *, severity: float = 1.0, added_delay_s: float = 0.0, loop_gain: float = 1.0
) -> list[Scenario]:
    """Scenarios over twin samples, tasks and noise.

    Args:
        severity: share of the diagnosed fault.
        added_delay_s: command delay on top of the robot's and the fault's.
        loop_gain: factor of what every drive gives.
    """
    rng = np.random.default_rng(seed)
    kinds = twin.robot.tasks.kinds
    scenarios = []
    for k in range(count):
        physics, effect = twin.sample(rng)
        kind = kinds[k % len(kinds)]
        effect = combine([(severity, effect)])
        effect = replace(effect, delay_s=effect.delay_s + added_delay_s)
        effect = _amplified(effect, loop_gain, len(twin.robot.actuators))
        task_seed, noise_seed = (int(x) for x in rng.integers(0, 2**31, 2))
        scenarios.append(
            Scenario(
                name=_describe(kind, k, effect, severity, added_delay_s, loop_gain),
                physics=physics,
                effect=effect,
                task_kind=kind,
                task_seed=task_seed,
                noise_seed=noise_seed,
                duration_s=twin.robot.tasks.run_s,
            )
        )
    return scenarios


def _amplified(effect: Effect, factor: float, actuators: int) -> Effect:
    if factor == 1.0:
        return effect
    left = factor * (1.0 - effect.vector("gain_loss", actuators))
    return replace(effect, gain_loss=tuple((1.0 - left).tolist()))


def _describe(kind: str, k: int, effect: Effect, severity: float, added_delay_s: float, loop_gain: float) -> str:
    parts = [f"{kind} {k + 1}", "no fault" if severity == 0 else f"{severity:g} x the diagnosed fault"]
    if effect.payload_kg > 0:
        parts.append(f"load {effect.payload_kg:.2f} kg")
    if added_delay_s:
        parts.append(f"{1000 * added_delay_s:g} ms more delay")
    if loop_gain != 1.0:
        parts.append(f"{loop_gain:g} x the loop gain")
    return ", ".join(parts)
