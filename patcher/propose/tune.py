"""Tune at most nine numbers with CMA-ES (Hansen 2016): how much of the remedy, and how stiff and damped the loop is.

The search starts at the twin's estimate, stays within a quarter and four times of the nominal gains, and pays for
torque variation and effort; one scenario has added delay. Tuned on one noise-free trajectory, gains run to their
bounds.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.params import Value
from core.metrics import Array
from patcher.propose.base import Proposal, Situation, params_proposal
from patcher.propose.skills import remedy_values
from patcher.score import score
from sim.evidence import draw_scenarios
from sim.scenario import Scenario
from sim.workers.base import Workers

_POPULATION = 6
_SCENARIOS = 3
_MOST_GENERATIONS = 7  # 126 rollouts; 90 % of the gain of a diagnosed space comes within 105 (measured on the arm)
_SIGMA = 0.2
_ADDED_DELAY_S = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class _Space:
    """What the unit-free search vector means."""

    base: Controller
    remedy: dict[str, Value]
    gains: tuple[str, ...]

    @property
    def size(self) -> int:
        return (1 if self.remedy else 0) + len(self.gains)

    def values(self, x: Array) -> dict[str, Value]:
        """Parameters at search point `x`: remedy scaled by 1 + x/2, gains by 4^x, all inside their bounds."""
        values: dict[str, Value] = {}
        rest = list(x)
        if self.remedy:
            share = 1.0 + 0.5 * rest.pop(0)
            for name, full in self.remedy.items():
                values[name] = self._inside(name, _between(self.base.params[name], full, share))
        for name, exponent in zip(self.gains, rest, strict=True):
            old = self.base.params[name]
            factor = math.pow(4.0, exponent)
            values[name] = self._inside(name, [factor * v for v in old] if isinstance(old, list) else factor * old)
        return values

    def _inside(self, name: str, value: Value) -> Value:
        """Clip to bounds and to the largest step of one patch."""
        spec, old = self.base.manifest.params[name], self.base.params[name]
        if not isinstance(value, list) or not isinstance(old, list):
            assert isinstance(value, float)
            assert isinstance(old, float)
            return _clip(value, old, spec.low[0], spec.high[0], spec.max_step)
        last = len(spec.low) - 1
        return [
            _clip(v, o, spec.low[min(i, last)], spec.high[min(i, last)], spec.max_step)
            for i, (v, o) in enumerate(zip(value, old, strict=True))
        ]


def _clip(value: float, old: float, low: float, high: float, max_step: float) -> float:
    reach = max_step * (high - low)
    return min(max(value, low, old - reach), high, old + reach)


def _between(old: Value, full: Value, share: float) -> Value:
    if isinstance(old, list) and isinstance(full, list):
        return [o + share * (f - o) for o, f in zip(old, full, strict=True)]
    assert isinstance(old, float)
    assert isinstance(full, float)
    return old + share * (full - old)


class Tune:
    """Proposes the best parameters that a short search finds."""

    name = "tune"

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        incumbent = situation.incumbent
        base = Controller.from_artefact(incumbent, situation.twin.robot.ports)
        remedy, _ = remedy_values(situation)
        gains = tuple(name for name, spec in base.manifest.params.items() if spec.role == "gain")[:8]
        space = _Space(base=base, remedy=remedy, gains=gains)
        scenarios = [
            *draw_scenarios(situation.twin, _SCENARIOS - 1, situation.seed),
            *draw_scenarios(situation.twin, 1, situation.seed + 1, added_delay_s=_ADDED_DELAY_S),
        ]
        generations = min(_MOST_GENERATIONS, (situation.budget - _SCENARIOS) // (_POPULATION * _SCENARIOS))
        if generations < 1 or not space.size:
            return []
        spent = workers.rollouts
        best = _search(space, incumbent, scenarios, generations, situation.seed, workers)
        sentence = "Tuned on paired scenarios around the twin's estimate."
        proposal = params_proposal(situation, self.name, space.values(best), sentence, workers.rollouts - spent)
        return [proposal] if proposal else []


def _search(
    space: _Space, incumbent: Artefact, scenarios: list[Scenario], generations: int, seed: int, workers: Workers
) -> Array:
    """The best search point seen, by mean score over the scenarios."""
    import cma  # noqa: PLC0415 importing it takes half a second that only this proposer needs

    reference = workers.judge([(incumbent, scenario) for scenario in scenarios])
    options = {"popsize": _POPULATION, "seed": seed + 1, "bounds": [-1.0, 1.0], "verbose": -9, "maxiter": generations}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cma warns about what verbose=-9 already silences
        strategy = cma.CMAEvolutionStrategy(np.zeros(max(space.size, 2)), _SIGMA, options)  # it cannot search one
        best, best_loss = np.zeros(space.size), math.inf
        for _ in range(generations):
            points = strategy.ask()
            laws = [with_params(incumbent, space.values(point[: space.size])) for point in points]
            results = iter(workers.judge([(law, scenario) for law in laws for scenario in scenarios]))
            losses = []
            for point in points:
                loss = float(np.mean([score(next(results), before) for before in reference]))
                losses.append(loss)
                if loss < best_loss:
                    best, best_loss = np.array(point[: space.size]), loss
            strategy.tell(points, losses)
    return best
