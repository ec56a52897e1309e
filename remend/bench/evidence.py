"""Whom the gates let through, and what it costs: candidates whose worth is known (`remend.bench.worth`).

Each goes the way of a real one: it races on search scenarios, and if it is not dropped there it meets sealed ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from controllers.artefact import Artefact
from core.status import Verdict
from patcher.race import Track, race
from patcher.search import choose_proposers, search
from remend.bench.figure import Figure, median_interval
from remend.bench.worth import CASES, Ground, better, ground, harmless, overfitted, proposal
from sim.policy import Policy
from sim.policy_toml import shipped_policy
from sim.scenario import Scenario
from sim.validate import validate
from sim.workers.answer import Rolled
from sim.workers.in_process import InProcess
from sim.workers.pool import Pool
from sim.workers.settings import WorkerSettings

NULLS_PROMOTED, BETTER_PROMOTED = 0.02, 0.90  # 4 of 200, 90 of 100
ROLLOUTS_REJECTED = 10.0
OVERHEAD = 0.25
_BETTER = 0.10
_RACE_SEED = 0x4ACE
_TRIED, _SCENARIOS = 24, 8  # gains that are tried, to find lucky ones
_BUDGET = 1000


@dataclass(slots=True)
class _Decided:
    """What became of candidates of one sort."""

    promoted: int = 0
    total: int = 0
    rejected_rollouts: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def note(self, promoted: bool, rollouts: int, why: str) -> None:
        self.total += 1
        self.promoted += promoted
        if not promoted:
            self.rejected_rollouts.append(rollouts)
            self.reasons.append(why)


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    policy = shipped_policy()
    seeds = (1,) if quick else (1, 2)
    cases = CASES[:1] if quick else CASES
    harmless_, lucky, tenth = _Decided(), _Decided(), _Decided()
    shares: list[float] = []
    each = 2 if quick else 9
    for case in cases:
        for seed in seeds:
            where = ground(case, seed)
            with _Counted(where.twin.robot) as workers:
                for number in range(each):
                    _decide(where, workers, harmless(where, number), number, policy, harmless_)
                best = overfitted(where, workers, _RACE_SEED, _TRIED, _SCENARIOS, each)
                for number, law in enumerate(best):
                    _decide(where, workers, law, number, policy, lucky)
                law_ = better(where, workers, _BETTER)
                for number in range(each if law_ is not None else 0):
                    assert law_ is not None
                    _prove(where, workers, law_, number, policy, tenth, spent=0)
            if seed == 1:
                shares += _overhead(where, policy, rounds=1 if quick else 3)
    yield _promoted("changes that do nothing: promoted", harmless_, NULLS_PROMOTED, "<=")
    yield _promoted("tuned to the search scenarios, and worth nothing: promoted", lucky, NULLS_PROMOTED, "<=")
    yield _promoted("tracking error less by 10 %: promoted", tenth, BETTER_PROMOTED, ">=")
    yield _rollouts([*harmless_.rejected_rollouts, *lucky.rejected_rollouts])
    value, interval = median_interval(shares)
    yield Figure(
        bench="evidence",
        figure="confinement and lockstep, share of the same rollouts in one process",
        value=value,
        unit="1",
        interval=interval,
        n=len(shares),
        target=OVERHEAD,
        sense="<=",
    )


class _Counted(Pool):
    """A pool that knows what it was asked."""

    def __enter__(self) -> _Counted:
        self.asked: list[tuple[Artefact, Scenario]] = []
        self.layers()
        return self

    def roll(self, pairs: Sequence[tuple[Artefact, Scenario]], lockstep: Artefact | None = None) -> list[Rolled]:
        self.asked += pairs
        return super().roll(pairs, lockstep)


def _decide(where: Ground, workers: _Counted, law: Artefact, number: int, policy: Policy, into: _Decided) -> None:
    """Race, then sealed scenarios."""
    track = Track(where.situation(_BUDGET), workers, 0, max(policy.racing.stages), _RACE_SEED)
    (runner,) = race(track, [proposal(where, law)], policy, _BUDGET)
    own = len(runner.after)  # the incumbent's are shared by all who race
    if runner.dropped:
        into.note(False, own, "race")
        return
    _prove(where, workers, law, number, policy, into, spent=own)


def _prove(
    where: Ground, workers: _Counted, law: Artefact, number: int, policy: Policy, into: _Decided, spent: int
) -> None:
    report = validate(
        workers,
        where.twin,
        incumbent=where.incumbent,
        candidate=law,
        fidelity=where.fidelity,
        policy=policy,
        seal=where.seal(law, number, policy),
        incident=where.incident,
    )
    failed = ", ".join(gate.name for gate in report.gates if gate.verdict is not Verdict.PASS)
    into.note(report.verdict is Verdict.PASS, spent + report.rollouts, failed)


def _overhead(where: Ground, policy: Policy, rounds: int) -> list[float]:
    """CPU time of a search and a proof, all processes together, over that of their rollouts alone in one process.

    One worker at a time: two that compute at once slow each other down, which is no cost of confinement.
    """
    shares = []
    plain = InProcess(where.twin.robot, trusting=True)
    with _Counted(where.twin.robot, WorkerSettings(count=1)) as workers:
        for number in range(rounds + 1):
            workers.asked.clear()
            began_s, before = time.process_time(), workers.usage
            _heal(where, workers, number, policy)
            service_s = time.process_time() - began_s
            workers_s = workers.usage.zygote_s - before.zygote_s
            workers_s += float(np.subtract(workers.usage.workers_s, before.workers_s).sum())
            began_s = time.process_time()
            plain.roll(workers.asked)
            if number > 0:  # the first round gets both sides their memory
                shares.append((service_s + workers_s) / (time.process_time() - began_s) - 1.0)
    return shares


def _heal(where: Ground, workers: _Counted, number: int, policy: Policy) -> None:
    """A search, and the proof of what it found."""
    ranked = search(where.situation(200), choose_proposers("auto"), workers, policy, _RACE_SEED + number)
    artefact = next(each for each in ranked if not each.dropped).proposal.artefact
    validate(
        workers,
        where.twin,
        incumbent=where.incumbent,
        candidate=artefact,
        fidelity=where.fidelity,
        policy=policy,
        seal=where.seal(artefact, number, policy),
    )


def _promoted(what: str, decided: _Decided, target: float, sense: str) -> Figure:
    reasons = sorted(set(decided.reasons), key=lambda why: (-decided.reasons.count(why), why))
    note = "; ".join(f"{decided.reasons.count(why)} stopped by {why}" for why in reasons[:4])
    if not decided.total:
        return Figure(bench="evidence", figure=what, value=None, unit="1", interval=None, n=0, note="there was none")
    return replace(Figure.share("evidence", what, decided.promoted, decided.total, target, note or None), sense=sense)


def _rollouts(each: list[int]) -> Figure:
    return Figure(
        bench="evidence",
        figure="rollouts of a rejected candidate, mean",
        value=float(np.mean(each)),
        unit="1",
        interval=None,
        n=len(each),
        target=ROLLOUTS_REJECTED,
        sense="<=",
    )
