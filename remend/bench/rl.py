"""What a residual that was trained in the twin adds to the best parameters, and what helps its training.

A cell is a hidden robot with a fault, and the twin that was fitted to its telemetry. Both sides get the same rollouts:
one tunes the parameters of the incumbent with all of them, the other with a third, and trains a residual with the rest.
Both laws are judged on the hidden robot itself, over tasks that neither has met, in pairs: the figure is the mean
logarithm of the ratio of tracking errors, below zero where the residual is better. Curriculum and curation are each
held against their absence, at the same rollouts, in the check scenarios of the twin.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from controllers.artefact import Artefact
from controllers.library import find_law
from core.stats import paired_interval
from patcher.propose.base import Ranked, Situation
from patcher.propose.rl import Rl
from patcher.propose.tune import Tune
from patcher.rl.plan import Plan, make_training
from patcher.rl.process import train_apart
from patcher.search import search
from remend.bench.figure import Figure
from remend.console import Console
from remend.validation import twin_of_fault
from sim.catalogue import find_robot
from sim.policy_toml import shipped_policy
from sim.trial import draw_trial
from sim.workers.in_process import InProcess

_RACE_SEED = 0x4ACE
_TUNED = 200  # rollouts of the search under the residual
_TRAINED = 400
_PAIRS = 24  # fresh tasks on the hidden robot
_LONGER = 1.5  # than the runs of the evidence
_LIMIT_S = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A fault on a robot."""

    robot: str
    fault: str


CELLS = (
    Cell(robot="arm2", fault="spring"),
    Cell(robot="cartpole", fault="stiction"),
    Cell(robot="arm2", fault="ripple"),
    Cell(robot="arm2", fault="stiction+backlash"),
)
PLAIN = Plan()
ABLATIONS = (
    ("without the curriculum", replace(PLAIN, curriculum=False)),
    ("without curation", replace(PLAIN, curation=False)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One cell at one seed."""

    cell: Cell
    seed: int
    changes: tuple[float, ...]  # log of error with the residual over error of the best parameters, a task each
    tuned: tuple[float, ...]  # the same for the best parameters over the incumbent
    trained_s: float  # wall time
    note: str = ""


def measure(cell: Cell, seed: int, tuned: int = _TUNED, trained: int = _TRAINED, pairs: int = _PAIRS) -> Result:
    """One cell at one seed."""
    situation = situation_of(cell, seed)
    best = _search(replace(situation, budget=tuned + trained), ())
    under = _search(replace(situation, budget=tuned), ())
    tried = tuple(under)
    proposer = Rl(limit_s=_LIMIT_S)
    found = proposer.propose(
        replace(situation, budget=trained, tried=tried), InProcess(situation.twin.robot, trusting=True)
    )
    rival = _law(best, situation.incumbent)
    ours = found[0].artefact if found else rival  # nothing is claimed where nothing was trained
    errors = {
        name: _errors(cell, seed, law, pairs)
        for name, law in (("incumbent", situation.incumbent), ("rival", rival), ("ours", ours))
    }
    return Result(
        cell=cell,
        seed=seed,
        changes=tuple(np.log(errors["ours"] / errors["rival"]).tolist()),
        tuned=tuple(np.log(errors["rival"] / errors["incumbent"]).tolist()),
        trained_s=proposer.spent.seconds,
        note="" if found else "no residual was proposed",
    )


def situation_of(cell: Cell, seed: int) -> Situation:
    """The incident of a cell, as a search sees it."""
    robot, policy = find_robot(cell.robot), shipped_policy()
    incumbent = find_law(robot, robot.controller)
    twin, _, _ = twin_of_fault(robot, incumbent, cell.fault, seed, policy.twin.fidelity, Console(file=io.StringIO()))
    return Situation(incident_id=cell.fault, twin=twin, incumbent=incumbent, budget=0, seed=seed)


def _search(situation: Situation, tried: Sequence[Ranked]) -> list[Ranked]:
    workers = InProcess(situation.twin.robot, trusting=True)
    return search(replace(situation, tried=tuple(tried)), [Tune()], workers, shipped_policy(), _RACE_SEED)


def _law(ranked: Sequence[Ranked], incumbent: Artefact) -> Artefact:
    left = [each for each in ranked if not each.dropped and each.score < 1.0]
    return left[0].proposal.artefact if left else incumbent


def _errors(cell: Cell, seed: int, law: Artefact, pairs: int) -> np.ndarray:
    """(pairs,) tracking errors on the hidden robot, over fresh tasks."""
    robot = find_robot(cell.robot)
    trials = [
        draw_trial(robot, fault=cell.fault, seed=90_000 + k, robot_seed=seed, duration_s=_LONGER * robot.tasks.run_s)
        for k in range(pairs)
    ]
    judged = InProcess(robot, trusting=True).judge([(law, trial) for trial in trials])
    return np.array([each.metrics["rms_tracking_error"] for each in judged])


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    if quick:
        yield from shown([measure(CELLS[0], 1, tuned=60, trained=220, pairs=12)])
        return
    for cell in CELLS:
        yield from shown([measure(cell, seed) for seed in (1, 2)])
    yield from ablations((1, 2, 3), 300)


def shown(results: Sequence[Result]) -> Iterator[Figure]:
    """The figure of one cell, over its seeds."""
    cell = results[0].cell
    changes = [change for each in results for change in each.changes]
    interval = paired_interval(changes)
    tuned = float(np.mean([change for each in results for change in each.tuned]))
    longest = max(each.trained_s for each in results)
    notes = [f"best parameters {np.exp(tuned):.2f} of the incumbent's error; {longest:.0f} s of training"]
    yield Figure(
        bench="rl",
        figure=f"{cell.robot} {cell.fault}: log of error with a residual over error of the best parameters",
        value=interval.mean,
        unit="1",
        interval=(interval.low, interval.high),
        n=len(changes),
        target=0.0,
        sense="<=",
        note="; ".join([*notes, *{each.note for each in results if each.note}]),
    )


def ablations(seeds: Sequence[int], rollouts: int) -> Iterator[Figure]:
    """What a training reaches with and without each of its aids."""
    scores: dict[str, list[float]] = {name: [] for name in ("whole", *(name for name, _ in ABLATIONS))}
    for cell in CELLS[:2]:
        for seed in seeds:
            situation = situation_of(cell, seed)
            for name, settings in (("whole", PLAIN), *ABLATIONS):
                plan = replace(settings, rollouts=rollouts, seed=seed)
                scores[name].append(train_apart(make_training(situation.twin, situation.incumbent, plan, seed)).score)
    for name, _ in ABLATIONS:
        changes = np.log(np.array(scores[name]) / np.array(scores["whole"]))
        interval = paired_interval(changes)
        yield Figure(
            bench="rl",
            figure=f"score {name}, log of the ratio to the whole training",
            value=interval.mean,
            unit="1",
            interval=(interval.low, interval.high),
            n=len(changes),
            target=0.0,
            note=f"scores {np.round(scores[name], 2).tolist()}, whole {np.round(scores['whole'], 2).tolist()}",
        )
