"""Tune at most nine numbers with CMA-ES (Hansen 2016): how much of the remedy, and how stiff and damped the loop is.

The search starts at the twin's estimate, or at the best law with new structure that was tried before. It pays for
torque variation and effort, and one scenario has added delay: tuned on one noise-free trajectory, gains run to their
bounds. While much of the error is left and rollouts are, it starts again from the best point with twice the population
(IPOP, Auger and Hansen 2005). Noise makes false elites, so the best few meet fresh scenarios before one is proposed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from controllers.artefact import Artefact
from controllers.controller import Controller
from controllers.params import Value
from core.metrics import Array
from patcher.propose.base import Proposal, Situation, code_proposal, params_proposal, values_before
from patcher.remedies import remedy_values
from patcher.score import score
from patcher.space import MOST, Space
from sim.effect import touched
from sim.evidence import draw_scenarios
from sim.judge import Judgement
from sim.scenario import Scenario
from sim.workers.base import Workers

_POPULATION = 6
_SCENARIOS = 3
_GENERATIONS = 7  # 126 rollouts; 90 % of the gain of a diagnosed space comes within 105 (measured on the arm)
_RESTARTS = 2
_SIGMA = 0.2
_ADDED_DELAY_S = 0.004
_LEFT = 0.3  # of the score, 1 being the incumbent: above it another start is worth its rollouts; chosen
_PLACES = 3  # diagnosed joints whose entries are searched
_ELITES = 3  # points that meet fresh scenarios at the end


class Tune:
    """Proposes the best parameters that a short search finds."""

    name = "tune"

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        space, tuned = _space(situation)
        spent = workers.rollouts
        best = _best(space, situation, workers, 1 + _RESTARTS)
        if best is None:
            return []
        proposal = _proposal(situation, space, tuned, best, workers.rollouts - spent)
        return [proposal] if proposal else []


def tuned_law(
    situation: Situation, workers: Workers, law: Artefact, neutral: dict[str, Value], sigma: float
) -> Artefact:
    """`law` with its new parameters, whose terms vanish at `neutral`, at the best that one short search finds.

    Where a parameter has an entry for each joint, those of the diagnosed joints are searched, or one number for all.

    Args:
        sigma: how far off the present values may be, in half ranges of the parameters.
    """
    base = Controller.from_artefact(law, situation.twin.robot.ports)
    places = _diagnosed(situation)
    free = tuple(each for name in neutral for each in _entries(name, base, places))[:MOST]
    space = Space(law=law, base=base, params=base.params, remedies=(), gains=(), free=free)
    best = _best(space, situation, workers, 1, sigma)
    return law if best is None else space.at(best)


def _diagnosed(situation: Situation) -> tuple[int, ...]:
    """Actuators at which the fault sits; empty where it sits everywhere or at none."""
    robot, effect = situation.twin.robot, situation.twin.effect
    drives, found = list(robot.drives), set[int]()
    for name in touched(effect):
        value = getattr(effect, name)
        if not isinstance(value, tuple) or len(value) not in (robot.dof, len(drives)):
            continue
        of_drives = len(value) == len(drives) and drives != list(range(robot.dof))
        there = [k for k, amount in enumerate(value) if amount]
        found |= set(there) if of_drives else {drives.index(k) for k in there if k in drives}
    return tuple(sorted(found)) if len(found) < len(drives) or len(drives) <= _PLACES else ()


def _entries(name: str, base: Controller, places: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    value = base.params[name]
    if not isinstance(value, list):
        return [(name, ())]
    chosen = [place for place in places if place < len(value)]
    return [(name, (place,)) for place in chosen[:_PLACES]] or [(name, tuple(range(len(value))))]


def _best(space: Space, situation: Situation, workers: Workers, runs: int, sigma: float = _SIGMA) -> Array | None:
    """The best point of a space; None where the budget is too small for one generation."""
    budget, spent = situation.budget, workers.rollouts
    if budget < _SCENARIOS * (2 + _POPULATION) or not space.size:
        return None
    track = _Track(situation.incumbent, workers)
    track.add(_scenarios(situation, situation.seed))
    found = _Found()
    found.add(track.losses(space.at(space.start)), [space.start])  # CMA-ES never asks for its own mean
    for attempt in range(runs):
        population = _POPULATION << attempt
        left = budget - (workers.rollouts - spent) - _elites_cost(budget)
        generations = min(_GENERATIONS, left // (population * _SCENARIOS))
        if generations < 1 or (attempt and found.best_loss < _LEFT):
            break
        seed = situation.seed + 1 + attempt
        _search(space, track, found, population=population, generations=generations, seed=seed, sigma=sigma)
    if budget - (workers.rollouts - spent) >= _elites_cost(budget) > 0:
        track.add(_scenarios(situation, situation.seed + 2))
        return found.elite(lambda x: track.losses(space.at(x), first=_SCENARIOS))
    return found.ranked[0]


def _elites_cost(budget: int) -> int:
    """Rollouts of the last look; none where the budget is for a search of a few generations only."""
    cost = _SCENARIOS * (_ELITES + 1)
    return cost if budget >= _SCENARIOS * (2 + 2 * _POPULATION) + cost else 0


def _space(situation: Situation) -> tuple[Space, Proposal | None]:
    """What to search: the best law with new structure so far, or else the incumbent with what its parameters answer."""
    ports = situation.twin.robot.ports
    grafted = [each.proposal for each in situation.tried if each.proposal.candidate.kind == "code" and not each.dropped]
    law = grafted[0].artefact if grafted else situation.incumbent
    base = Controller.from_artefact(law, ports)
    if grafted:
        old = values_before(grafted[0].candidate, base)
        names = [name for name in old if old[name] != base.params[name]]
        remedies: tuple[dict[str, Value], ...] = tuple({name: base.params[name]} for name in names[:MOST])
        params = {**base.params, **old}
    else:
        values = remedy_values(situation).values
        remedies, params = (values,) if values else (), base.params
    room = MOST - max(1, len(remedies))
    gains = [name for name, spec in base.manifest.params.items() if spec.role == "gain"]
    gains = [name for name in gains if not any(name in remedy for remedy in remedies)][:room]
    space = Space(law=law, base=base, params=params, remedies=remedies, gains=tuple(gains))
    return space, grafted[0] if grafted else None


def _proposal(situation: Situation, space: Space, tuned: Proposal | None, x: Array, rollouts: int) -> Proposal | None:
    sentence = "Tuned on paired scenarios around the twin's estimate."
    if tuned is None:
        return params_proposal(situation, Tune.name, space.values(x), sentence, rollouts)
    before = values_before(tuned.candidate, space.base)
    return code_proposal(situation, Tune.name, space.at(x), before, f"{tuned.candidate.rationale} {sentence}", rollouts)


def _scenarios(situation: Situation, seed: int) -> list[Scenario]:
    return [
        *draw_scenarios(situation.twin, _SCENARIOS - 1, seed),
        *draw_scenarios(situation.twin, 1, seed + 1, added_delay_s=_ADDED_DELAY_S),
    ]


class _Track:
    """Scenarios, and what the incumbent makes of them."""

    def __init__(self, incumbent: Artefact, workers: Workers) -> None:
        self._incumbent, self._workers = incumbent, workers
        self._scenarios: list[Scenario] = []
        self._before: list[Judgement] = []

    def add(self, scenarios: Sequence[Scenario]) -> None:
        self._before += self._workers.judge([(self._incumbent, scenario) for scenario in scenarios])
        self._scenarios += scenarios

    def losses(self, *laws: Artefact, first: int = 0) -> list[float]:
        """Mean score of each law, over the scenarios from `first` on."""
        scenarios, before = self._scenarios[first:], self._before[first:]
        results = iter(self._workers.judge([(law, scenario) for law in laws for scenario in scenarios]))
        return [float(np.mean([score(next(results), reference) for reference in before])) for _ in laws]


@dataclass(slots=True)
class _Found:
    """Points with their losses."""

    points: list[tuple[float, Array]] = field(default_factory=list)

    def add(self, losses: Sequence[float], points: Sequence[Array]) -> None:
        self.points += zip(losses, points, strict=True)

    @property
    def best_loss(self) -> float:
        return min(loss for loss, _ in self.points)

    @property
    def ranked(self) -> list[Array]:
        """Points, best first."""
        return [self.points[k][1] for k in np.argsort([loss for loss, _ in self.points], kind="stable")]

    def elite(self, again: Callable[[Array], list[float]]) -> Array:
        """The point that is best over old and fresh scenarios together."""
        order = np.argsort([loss for loss, _ in self.points], kind="stable")[:_ELITES]
        means = [self.points[k][0] + again(self.points[k][1])[0] for k in order]
        best: int = order[int(np.argmin(means))]
        return self.points[best][1]


def _search(
    space: Space, track: _Track, found: _Found, *, population: int, generations: int, seed: int, sigma: float
) -> None:
    """Add the points of one run of CMA-ES, from the best point so far."""
    import cma  # noqa: PLC0415 importing it takes half a second that only this proposer needs

    start = np.clip(found.ranked[0], -1.0, 1.0)
    start = np.append(start, 0.0) if space.size == 1 else start  # it cannot search one
    options = {"popsize": population, "seed": seed, "bounds": [-1.0, 1.0], "verbose": -9, "maxiter": generations}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cma warns about what verbose=-9 already silences
        strategy = cma.CMAEvolutionStrategy(start, sigma, options)
        for _ in range(generations):
            points = strategy.ask()
            own = [np.array(point[: space.size]) for point in points]
            losses = track.losses(*map(space.at, own))
            found.add(losses, own)
            strategy.tell(points, losses)
