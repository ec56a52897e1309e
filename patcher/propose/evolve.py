"""Evolve laws: terms that explain what the feedback has to add, recombined, mutated, raced, and tuned.

Parents are those that no other candidate beats in every scenario (per-scenario Pareto front, as in GEPA, Agrawal et al.
2025). Children are unions and halves of their terms, and the checked law with one reading exchanged for another. What
says the same as a law that was tried, in its text or in what it commands for a few frames, is never simulated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from controllers.artefact import Artefact, artefact_from_files
from controllers.controller import Controller
from controllers.params import Value
from controllers.slot import Slot
from core.errors import BadInput
from core.frames import Frame, Reference
from core.robot import Robot
from patcher.curves import Curves, curves_of, joined
from patcher.llm.answer import normal_form
from patcher.propose.base import Proposal, Situation, code_proposal
from patcher.propose.tune import tuned_law
from patcher.score import score
from patcher.terms import Term, explain, law_with
from sim.evidence import draw_scenarios
from sim.judge import Judgement
from sim.scenario import Scenario
from sim.workers.base import Workers

_SCENARIOS = 3
_RUNS = 3  # with and without the fault, of which the terms are read off
_FIRST = 5  # laws of the first generation
_CHILDREN = 4  # of each later one
_GENERATIONS = 3
_POLISH = 72  # rollouts for the numbers of the best law: three generations and a look at the elites
_SIGMA = 0.05  # coefficients come from a regression, and are nearly right
_FRAMES = 8  # of a behavioural signature
_DIGITS = 6  # to which two commands count as the same
_SWAPS = {"q": "q_ref", "qd": "qd_ref", "q_ref": "q", "qd_ref": "qd"}


@dataclass(slots=True, kw_only=True)
class _Law:
    """One member of the population."""

    artefact: Artefact
    neutral: dict[str, Value]
    terms: tuple[Term, ...]
    exchanged: str = ""  # in words, a reading that was exchanged
    scores: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    def beaten_by(self, other: _Law) -> bool:
        """Whether another one is better in some scenario, and worse in none."""
        pairs = list(zip(self.scores, other.scores, strict=True))
        return all(b <= a for a, b in pairs) and any(b < a for a, b in pairs)


class Evolve:
    """Proposes the best law of a small population, with its numbers tuned."""

    name = "evolve"

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        if situation.budget < 2 * _RUNS + _SCENARIOS * 2 or not situation.twin.causes[0].faults:
            return []
        start = workers.rollouts

        def left() -> int:
            return situation.budget - (workers.rollouts - start)

        faulty, added = _added(situation, workers)
        known = _Known(situation, faulty)
        scenarios = draw_scenarios(situation.twin, _SCENARIOS, situation.seed)
        before = workers.judge([(situation.incumbent, scenario) for scenario in scenarios])
        rng = np.random.default_rng([situation.seed, 0xE70])
        sets = explain(added, faulty, situation.twin.robot, _FIRST)
        population: list[_Law] = []
        fresh = [law for law in map(known.with_terms, sets) if law is not None]
        for generation in range(_GENERATIONS):
            fresh = fresh[: left() // _SCENARIOS]
            _judge(fresh, scenarios, before, workers)
            population += fresh
            if not population or left() < _SCENARIOS or generation == _GENERATIONS - 1:
                break
            fresh = list(_children(_front(population), known, rng))[:_CHILDREN]
        if not population:
            return []
        best = min(population, key=lambda law: law.mean)
        tuned = tuned_law(replace(situation, budget=min(left(), _POLISH)), workers, best.artefact, best.neutral, _SIGMA)
        said = f"The feedback had to add {_in_words(best)}; the law adds it ahead.{best.exchanged}"
        found = code_proposal(situation, self.name, tuned, best.neutral, said, workers.rollouts - start)
        return [found] if found else []


def _in_words(law: _Law) -> str:
    return " and ".join(f"something like {term.text}" for term in law.terms)


def _added(situation: Situation, workers: Workers) -> tuple[Curves, np.ndarray]:
    """Runs under the fault, and (N, m) what their commands have on top of those without the fault."""
    parts, added = [], []
    for which in range(_RUNS):
        faulty, healthy = (curves_of(situation, workers, severity, which) for severity in (1.0, 0.0))
        ticks = min(len(faulty.command), len(healthy.command))
        parts.append(faulty.first(ticks))
        added.append(faulty.command[:ticks] - healthy.command[:ticks])
    return joined(parts), np.concatenate(added)


def _judge(laws: list[_Law], scenarios: list[Scenario], before: list[Judgement], workers: Workers) -> None:
    results = iter(workers.judge([(law.artefact, scenario) for law in laws for scenario in scenarios]))
    for law in laws:
        law.scores = [score(next(results), reference) for reference in before]


def _front(population: list[_Law]) -> list[_Law]:
    """Who is beaten by nobody, the best on average first."""
    front = [law for law in population if not any(law.beaten_by(other) for other in population)]
    return sorted(front, key=lambda law: law.mean)


def _children(parents: list[_Law], known: _Known, rng: np.random.Generator) -> Iterator[_Law]:
    """Unions of terms, then exchanged readings, then parents with one term less."""
    for k, mother in enumerate(parents):
        for father in parents[k + 1 :]:
            union = {term.name: term for term in (*father.terms, *mother.terms)}
            yield from known.new(known.with_terms(tuple(union.values())))
    for mother in parents:
        yield from known.new(known.swapped(mother, rng))
    for mother in parents:
        for term in mother.terms if len(mother.terms) > 1 else ():
            yield from known.new(known.with_terms(tuple(other for other in mother.terms if other is not term)))


class _Known:
    """Laws by what they say and by what they do; nothing is simulated twice."""

    def __init__(self, situation: Situation, curves: Curves) -> None:
        self._robot, self._incumbent = situation.twin.robot, situation.incumbent
        self._probes = list(_probes(self._robot, curves))
        self._seen: set[str] = set()
        for law in (situation.incumbent, *(each.proposal.artefact for each in situation.tried)):
            self._seen |= {normal_form(law) + str(law.files["params.toml"]), self._signature(law)}

    def with_terms(self, terms: tuple[Term, ...]) -> _Law | None:
        """The incumbent with these terms; None where they do not fit, or nothing new comes of it."""
        try:
            law, neutral = law_with(terms, self._incumbent, self._robot)
        except BadInput:
            return None
        return self._take(_Law(artefact=law, neutral=neutral, terms=terms))

    def swapped(self, parent: _Law, rng: np.random.Generator) -> _Law | None:
        """The parent with one reading of a signal exchanged for the reference's, or the other way round."""
        tree = ast.parse(parent.artefact.files["law.py"])
        signals = Controller.from_artefact(parent.artefact, self._robot.ports).signals
        places = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and _SWAPS.get(node.value.id) in signals
        ]
        if not places:
            return None
        place = places[int(rng.integers(len(places)))]
        source = parent.artefact.files["law.py"].decode().split("\n")
        row, name = place.lineno - 1, place.value
        assert isinstance(name, ast.Name)
        source[row] = source[row][: name.col_offset] + _SWAPS[name.id] + source[row][name.end_col_offset :]
        files = {**parent.artefact.files, "law.py": "\n".join(source).encode()}
        law = artefact_from_files(parent.artefact.name, files)
        try:
            Controller.from_artefact(law, self._robot.ports)
        except BadInput:
            return None
        said = f"{parent.exchanged} It reads {_SWAPS[name.id]} in the place of {name.id} in line {place.lineno}."
        return self._take(_Law(artefact=law, neutral=parent.neutral, terms=parent.terms, exchanged=said))

    def new(self, law: _Law | None) -> Iterator[_Law]:
        """The law, if there is one."""
        if law is not None:
            yield law

    def _take(self, law: _Law) -> _Law | None:
        marks = {normal_form(law.artefact) + str(law.artefact.files["params.toml"]), self._signature(law.artefact)}
        if marks & self._seen:
            return None
        self._seen |= marks
        return law

    def _signature(self, law: Artefact) -> str:
        """What a law commands for a few frames of the failure."""
        slot = Slot(self._robot, law)
        commands = [slot.compute(frame, reference) for frame, reference in self._probes]
        return "|".join(f"{value:.{_DIGITS}g}" for command in commands for value in command)


def _probes(robot: Robot, curves: Curves) -> Iterator[tuple[Frame, Reference]]:
    still = [0.0] * len(robot.actuators)
    for k in np.linspace(0, len(curves.t_s) - 1, _FRAMES).astype(int):
        frame = Frame(int(k), round(1e9 * curves.t_s[k]), curves.q[k].tolist(), curves.qd[k].tolist(), still, still)
        rows = (curves.q_ref[k], curves.qd_ref[k], curves.qdd_ref[k])
        yield frame, Reference(*(row.tolist() for row in rows))
