"""What a user might pick instead: general optimisers on the numbers of the law, without a diagnosis.

Each asks the same evaluator for the same number of rollouts: a mean score over paired scenarios of the twin. It
searches either the gains, entry by entry, or all feed-forward terms that the law declares.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from controllers.artefact import Artefact
from controllers.controller import Controller
from core.errors import BadInput
from core.metrics import Array
from patcher.graft import graft
from patcher.propose.base import Situation
from patcher.score import score
from patcher.skill import shipped_skills
from patcher.space import Space
from sim.effect import NO_EFFECT
from sim.evidence import draw_scenarios
from sim.workers.base import Workers

_SCENARIOS = 3
Ask = Callable[[], Array]
Tell = Callable[[Array, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best law of a rival after so many rollouts."""

    rollouts: int
    law: Artefact


def race_rival(name: str, on: str, situation: Situation, workers: Workers) -> Iterator[Best]:
    """Each law that was the best one so far, until the budget is spent.

    Args:
        name: of a rival in `RIVALS`.
        on: "gains" or "terms".
    """
    space = _space(situation, on)
    ask, tell = RIVALS[name](space.start, situation.seed)
    scenarios = draw_scenarios(situation.twin, _SCENARIOS, situation.seed)
    start, best = workers.rollouts, math.inf
    before = workers.judge([(situation.incumbent, scenario) for scenario in scenarios])
    while workers.rollouts - start + _SCENARIOS <= situation.budget:
        point = np.clip(ask(), -1.0, 1.0)
        law = space.at(point)
        after = workers.judge([(law, scenario) for scenario in scenarios])
        loss = float(np.mean([score(a, b) for a, b in zip(after, before, strict=True)]))
        tell(point, loss)
        if loss < best:
            best = loss
            yield Best(rollouts=workers.rollouts - start, law=law)


def integral_action(situation: Situation) -> Artefact | None:
    """The incumbent with an integral of the error; None where it has no place for one."""
    skill = next(each for each in shipped_skills() if each.name == "integral")
    try:
        return graft(situation.incumbent, situation.twin.robot, skill, NO_EFFECT)
    except BadInput:
        return None


def _space(situation: Situation, on: str) -> Space:
    base = Controller.from_artefact(situation.incumbent, situation.twin.robot.ports)
    roles = {"gains": "gain", "terms": "feedforward"}
    free = [
        (name, (k,)) if spec.size is not None else (name, ())
        for name, spec in base.manifest.params.items()
        if spec.role == roles[on] or (on == "terms" and spec.answers is not None)
        for k in range(spec.size or 1)
    ]
    return Space(law=situation.incumbent, base=base, params=base.params, remedies=(), gains=(), free=tuple(free))


def _cma(start: Array, seed: int) -> tuple[Ask, Tell]:
    import cma  # noqa: PLC0415 half a second

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"seed": seed + 1, "bounds": [-1.0, 1.0], "verbose": -9}
        inside = np.clip(start, -0.999, 0.999)
        strategy = cma.CMAEvolutionStrategy(inside if len(start) > 1 else np.append(inside, 0.0), 0.3, options)
    asked: list[Array] = []
    told: list[tuple[Array, float]] = []

    def ask() -> Array:
        if not asked:
            asked.extend(strategy.ask())
        return np.array(asked[0])[: len(start)]

    def tell(_: Array, loss: float) -> None:
        told.append((asked.pop(0), loss))
        if not asked:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                strategy.tell([point for point, _ in told], [loss for _, loss in told])
            told.clear()

    return ask, tell


def _tpe(start: Array, seed: int) -> tuple[Ask, Tell]:
    import optuna  # noqa: PLC0415 an extra

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    names = [f"x{k}" for k in range(len(start))]
    study.enqueue_trial(dict(zip(names, np.clip(start, -1.0, 1.0).tolist(), strict=True)))
    trials: list[Any] = []

    def ask() -> Array:
        trials.append(study.ask())
        return np.array([trials[-1].suggest_float(name, -1.0, 1.0) for name in names])

    def tell(_: Array, loss: float) -> None:
        study.tell(trials.pop(), loss)

    return ask, tell


def _nevergrad(start: Array, seed: int) -> tuple[Ask, Tell]:
    import nevergrad  # noqa: PLC0415 an extra

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would have wider bounds
        space = nevergrad.p.Array(init=np.clip(start, -1.0, 1.0)).set_bounds(-1.0, 1.0)
        space.random_state.seed(seed)
        optimiser = nevergrad.optimizers.NGOpt(parametrization=space, budget=100)
    asked: list[Any] = []

    def ask() -> Array:
        asked.append(optimiser.ask())
        return np.array(asked[-1].value)

    def tell(_: Array, loss: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimiser.tell(asked.pop(), loss)

    return ask, tell


def _random(start: Array, seed: int) -> tuple[Ask, Tell]:
    rng = np.random.default_rng(seed)
    return lambda: rng.uniform(-1.0, 1.0, len(start)), lambda _, __: None


RIVALS: dict[str, Callable[[Array, int], tuple[Ask, Tell]]] = {
    "CMA-ES": _cma,
    "Optuna TPE": _tpe,
    "nevergrad NGOpt": _nevergrad,
    "best of N": _random,
}
