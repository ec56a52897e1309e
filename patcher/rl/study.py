"""Settings of a training by Optuna, under a budget: short trainings, hopeless ones ended early, the best one in full.

A trial is a training like any other, of a fraction of the rollouts. After each segment it is held against the median
of the trials before it and ended when it is worse (median stopping rule, Golovin et al. 2017); what it has not used is
left to the others. Size and number of layers, the time between two answers and the learner's own settings are searched
together by TPE (Bergstra et al. 2011). All that is simulated counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from patcher.rl.plan import Plan
from patcher.rl.trainer import Progress, Trained

Train = Callable[[Plan, Callable[[Progress], None], Callable[[], bool]], Trained]
_SHARE = 0.5  # of the rollouts for the search; the rest is for the training that counts
_TRIALS = 6
_BEFORE = 2  # trials that are not ended early
_HIDDEN = {"16": (16,), "32": (32,), "32x32": (32, 32), "64x64": (64, 64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """What a study found."""

    plan: Plan  # the best settings, with the rollouts of the training that counts
    trained: Trained  # that training
    trials: tuple[tuple[Plan, float], ...]  # every short training with its best score
    rollouts: int  # of all of them together


def study(plan: Plan, train: Train, trials: int = _TRIALS) -> Studied:
    """Search settings with half of `plan.rollouts`, and train with the best of them for the rest.

    Args:
        plan: where the search starts; its own settings are the first trial.
        train: runs a plan; it is given whom to tell of each segment, and whom to ask whether to stop.
    """
    import optuna  # noqa: PLC0415 needs the extra `rl`

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=plan.seed, n_startup_trials=_BEFORE)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_BEFORE)
    search = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)
    search.enqueue_trial(
        {"hidden": next((k for k, v in _HIDDEN.items() if v == plan.hidden), "32x32"), "hold_s": plan.hold_s}
        | {"learning_rate": plan.learning_rate, "discount": plan.discount, "spread": plan.spread}
    )
    each, left = round(plan.rollouts * _SHARE / trials), round(plan.rollouts * _SHARE)
    done: list[tuple[Plan, float]] = []
    spent = 0
    while left >= each:
        trial = search.ask()
        chosen = _chosen(plan, trial, each)
        trained = _tried(trial, chosen, train)
        used = max(trained.rollouts, 1)
        left, spent = left - used, spent + used
        done.append((chosen, trained.score))
        if trained.finished:
            search.tell(trial, trained.score)
        else:
            search.tell(trial, state=optuna.trial.TrialState.PRUNED)
    best = min(done, key=lambda pair: pair[1])[0] if done else plan
    final = replace(best, rollouts=plan.rollouts - spent, checks=plan.checks)
    whole = train(final, lambda _: None, lambda: False)
    return Studied(plan=final, trained=whole, trials=tuple(done), rollouts=spent + whole.rollouts)


def _chosen(plan: Plan, trial: Any, rollouts: int) -> Plan:
    return replace(
        plan,
        hidden=_HIDDEN[trial.suggest_categorical("hidden", list(_HIDDEN))],
        hold_s=trial.suggest_categorical("hold_s", sorted({0.01, 0.02, 0.04, plan.hold_s})),
        learning_rate=trial.suggest_float("learning_rate", 3e-4, 5e-3, log=True),
        discount=trial.suggest_float("discount", 0.7, 0.97),
        spread=trial.suggest_float("spread", 0.1, 0.8, log=True),
        rollouts=rollouts,
        checks=max(2, plan.checks // 2),
    )


def _tried(trial: Any, plan: Plan, train: Train) -> Trained:
    """A short training that is ended when the pruner says so."""
    hopeless = False

    def report(progress: Progress) -> None:
        nonlocal hopeless
        trial.report(progress.best, progress.segment)
        hopeless = trial.should_prune()

    return train(plan, report, lambda: hopeless)
