"""How much of what a fault costs comes back, and in how many rollouts: Remend's search beside what others would do.

A cell is a hidden robot with a fault, and the twin that was fitted to its telemetry. Every search gets the same twin
and the same budget. What it ends with is judged on the hidden robot itself, over tasks that no search has met. Recovery
is (faulty - patched) over (faulty - healthy) in mean tracking error, and asked where the fault at least adds half.
"""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from controllers.artefact import Artefact
from controllers.library import find_law
from core.robot import Robot
from patcher.bandit import Bandit
from patcher.propose.base import Ranked, Situation
from patcher.propose.tune import Tune
from patcher.search import choose_proposers, in_order, search
from remend.bench.figure import Figure, median_interval
from remend.bench.rivals import RIVALS, integral_action, race_rival
from remend.console import Console
from remend.validation import twin_of_fault
from sim.catalogue import find_robot
from sim.faults.notation import full_effect
from sim.policy_toml import shipped_policy
from sim.truth import measure_truth
from sim.workers.in_process import InProcess

BUDGET = 300
_RACE_SEED = 0x4ACE
_LEAST_LOSS = 1.5  # tracking error under the fault over that without; below, a ratio means nothing
_METRIC = "rms_tracking_error"
_WEIGHED = 12  # rollouts that tell what the fault costs, before anybody is asked
_SOME = 0.1  # recovery below which an oracle has found nothing
_AS_GOOD = 0.01  # of a recovery
_LOOKS = (15, 60, 150)  # rollouts at which curves are quoted
_OF_IT = 0.9  # share of the final recovery whose rollouts are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A fault and what is to be shown of it."""

    robot: str
    fault: str
    group: str
    rivals: bool = False
    oracle: bool = False


CELLS = (
    Cell(robot="iiwa", fault="payload:mass=5", group="single", rivals=True),
    Cell(robot="iiwa", fault="friction:scale=10", group="single", rivals=True),
    Cell(robot="iiwa", fault="actuator_loss:joint=2,gain=0.6", group="single", rivals=True),
    Cell(robot="iiwa", fault="sensor_bias:joint=2,rad=0.05", group="single", rivals=True),
    Cell(robot="iiwa", fault="delay:ms=6", group="delay"),
    Cell(robot="iiwa", fault="payload:mass=5+friction:scale=10", group="pair"),
    Cell(robot="iiwa", fault="payload:mass=3+sensor_bias:joint=4,rad=0.05", group="pair"),
    Cell(robot="iiwa", fault="actuator_loss:joint=2,gain=0.6+sensor_bias:joint=4,rad=0.05", group="pair"),
    Cell(robot="arm2", fault="spring", group="spring"),
    Cell(robot="cartpole", fault="payload", group="other", oracle=True),
    Cell(robot="cartpole", fault="sensor_bias", group="other", oracle=True),
    Cell(robot="quadrotor", fault="payload", group="other", oracle=True),
    Cell(robot="quadrotor", fault="thrust_loss", group="other", oracle=True),
    Cell(robot="diffdrive", fault="wheel_radius:wheel=1", group="other", oracle=True),
    Cell(robot="diffdrive", fault="payload", group="other", oracle=True),
)
_TARGETS = {"single": 0.95, "delay": 0.6, "pair": 0.85, "spring": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Recovery of the best law so far, after each number of rollouts at which it changed."""

    name: str
    points: tuple[tuple[int, float], ...]

    @property
    def final(self) -> float:
        return self.points[-1][1] if self.points else 0.0

    def at(self, rollouts: int) -> float:
        """Recovery after so many rollouts."""
        return next((recovery for spent, recovery in reversed(self.points) if spent <= rollouts), 0.0)

    def reaches(self, level: float) -> int | None:
        """Rollouts after which it stays at a level; None if it does not."""
        found = None
        for rollouts, recovery in self.points:
            found = (found or rollouts) if recovery >= level else None
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One cell at one seed."""

    cell: Cell
    seed: int
    loss: float  # tracking error under the fault over that without
    ours: Curve
    rivals: tuple[Curve, ...] = ()
    oracle: float | None = None
    proposer: str = ""


def heal(work: tuple[Cell, int, int]) -> Result:
    """One cell at one seed, with a budget."""
    cell, seed, budget = work
    robot, policy = find_robot(cell.robot), shipped_policy()
    incumbent = find_law(robot, robot.controller)
    console = Console(file=io.StringIO())
    twin, _, _ = twin_of_fault(robot, incumbent, cell.fault, seed, policy.twin.fidelity, console)
    workers = InProcess(robot, trusting=True)
    situation = Situation(incident_id=cell.fault, twin=twin, incumbent=incumbent, budget=budget, seed=seed)
    judge = _Judge(cell, seed, incumbent)
    bandit = Bandit()
    ranked = search(situation, choose_proposers("auto"), workers, policy, _RACE_SEED, bandit)
    ours = Curve(name="Remend", points=tuple(_course(ranked, bandit, judge)))
    rivals = []
    for name, on in ((name, on) for name in RIVALS for on in ("gains", "terms")) if cell.rivals else ():
        laws = list(race_rival(name, on, situation, InProcess(robot, trusting=True)))
        rivals.append(Curve(name=f"{name}, {on}", points=tuple((b.rollouts, judge.recovery(b.law)) for b in laws[-8:])))
    if cell.rivals and (law := integral_action(situation)) is not None:
        rivals.append(Curve(name="integral action", points=((3, judge.recovery(law)),)))
    oracle = None
    if cell.oracle:
        told = replace(twin.causes[0], cause=cell.fault.partition(":")[0], **_known(cell, robot))
        true = replace(situation, budget=10 * budget, twin=replace(twin, causes=(told,)))
        found = Tune().propose(true, InProcess(robot, trusting=True))
        oracle = max([0.0, *(judge.recovery(each.artefact) for each in found)])
    best = next((each.proposal.candidate.proposer for each in ranked if not each.dropped), "")
    return Result(cell=cell, seed=seed, loss=judge.loss, ours=ours, rivals=tuple(rivals), oracle=oracle, proposer=best)


def _known(cell: Cell, robot: Robot) -> dict[str, Any]:
    """What a cause says when the fault is known, and no interval is needed."""
    effect = full_effect(cell.fault, robot)
    return {"theta": np.zeros(0), "covariance": np.zeros((0, 0)), "effect": lambda _: effect, "describe": lambda _: {}}


class _Judge:
    """The hidden robot with its fault, over tasks that no search has met."""

    def __init__(self, cell: Cell, seed: int, incumbent: Artefact) -> None:
        self._workers = InProcess(find_robot(cell.robot), trusting=True)
        self._cell, self._seed, self._incumbent = cell, seed, incumbent
        truth = measure_truth(self._workers, cell.fault, seed, incumbent, incumbent)[_METRIC]
        self._nominal, self._faulted = truth.nominal, truth.faulted
        self._known = {incumbent.sha256: 0.0}

    @property
    def loss(self) -> float:
        return self._faulted / self._nominal

    def recovery(self, law: Artefact) -> float:
        """Share of the lost tracking that a law brings back, -1 to 1."""
        if law.sha256 not in self._known:
            truth = measure_truth(self._workers, self._cell.fault, self._seed, self._incumbent, law)[_METRIC]
            assert truth.patched is not None
            share = (truth.faulted - truth.patched) / (truth.faulted - truth.nominal)
            self._known[law.sha256] = float(np.clip(share, -1.0, 1.0))
        return self._known[law.sha256]


def _course(ranked: Sequence[Ranked], bandit: Bandit, judge: _Judge) -> Iterator[tuple[int, float]]:
    """After each turn of the search: rollouts so far, and what the best candidate so far recovers."""
    by_id = {each.proposal.candidate.id: each for each in ranked}
    rollouts, brought = _WEIGHED, list[Ranked]()
    for turn in bandit.asked:
        rollouts += turn.rollouts
        brought += [by_id[name] for name in turn.brought if name in by_id]
        left = [each for each in in_order(brought) if not each.dropped and each.score < 1.0]
        yield rollouts, judge.recovery(left[0].proposal.artefact) if left else 0.0


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    seeds, budget = (2, 60) if quick else (10, BUDGET)
    cells = CELLS[:1] if quick else CELLS
    works = [(cell, seed, budget) for cell in cells for seed in range(1, seeds + 1)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=2, mp_context=context) as pool:
        results = list(pool.map(heal, works))
    yield from figures(results)


def figures(results: Sequence[Result]) -> Iterator[Figure]:
    """What the results show, group by group."""
    for group in dict.fromkeys(each.cell.group for each in results):
        chosen = [each for each in results if each.cell.group == group and each.loss >= _LEAST_LOSS]
        yield _median(f"{group}: recovery, median", [each.ours.final for each in chosen], _TARGETS.get(group))
        if group == "single":
            counted = [each.ours.reaches(_OF_IT * each.ours.final) or BUDGET for each in chosen]
            yield _median("single: rollouts to 0.9 of it, median", [float(n) for n in counted], 60.0, "<=")
    yield from _each_cell(results)
    yield from _beside_rivals([each for each in results if each.rivals])
    shares = [each.ours.final / each.oracle for each in results if each.oracle is not None and each.oracle > _SOME]
    if shares:
        yield _median("other robots: recovery over that of an oracle with ten times the budget", shares, 0.8)


def _each_cell(results: Sequence[Result]) -> Iterator[Figure]:
    for cell in dict.fromkeys(each.cell for each in results):
        own = [each for each in results if each.cell == cell]
        by = ", ".join(sorted({each.proposer for each in own if each.proposer}))
        loss = float(np.median([each.loss for each in own]))
        figure = _median(f"{cell.robot} {cell.fault}: recovery", [each.ours.final for each in own], None)
        yield replace(figure, note=f"by {by or 'nobody'}; the fault costs {loss:.3g} times the error")


def _beside_rivals(results: Sequence[Result]) -> Iterator[Figure]:
    """Each rival's end, and how many of its rollouts Remend needs to get there."""
    shares = []
    for name in dict.fromkeys(curve.name for each in results for curve in each.rivals):
        pairs = [(each, curve) for each in results for curve in each.rivals if curve.name == name]
        figure = _median(f"{name}: recovery after {BUDGET} rollouts", [curve.final for _, curve in pairs], None)
        own, course = [each.ours for each, _ in pairs], _course_of([curve for _, curve in pairs])
        note = f"{course}; Remend {_course_of(own)}"
        ours = float(np.median([curve.final for curve in own]))
        yield replace(figure, peer="Remend", peer_value=ours, note=note)
    for each in results:
        best = max(each.rivals, key=lambda curve: curve.final)
        reached = each.ours.reaches(best.final - _AS_GOOD)
        shares.append((reached or 10 * BUDGET) / BUDGET)
    if shares:
        yield _median("Remend's rollouts to where the best rival ends, share of the rival's", shares, 0.2, "<=")


def _course_of(curves: Sequence[Curve]) -> str:
    """Medians on the way."""
    medians = (np.median([curve.at(spent) for curve in curves]) for spent in _LOOKS)
    return f"{', '.join(f'{value:.2f}' for value in medians)} after {', '.join(map(str, _LOOKS))}"


def _median(what: str, values: Sequence[float], target: float | None, sense: str = ">=") -> Figure:
    if not values:
        return Figure(
            bench="heal", figure=what, value=None, unit="1", interval=None, n=0, note="the fault costs too little"
        )
    value, interval = median_interval(values)
    return Figure(
        bench="heal", figure=what, value=value, unit="1", interval=interval, n=len(values), target=target, sense=sense
    )
