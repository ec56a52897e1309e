"""Ask proposers, cheapest first, and rank what they bring; stop asking when enough of the loss would come back.

Proposers of installed packages (entry points `remend.proposers`) are asked after the shipped ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import BadInput
from core.extensions import Registry
from patcher.propose.base import Proposal, Proposer, Situation
from patcher.propose.skills import Skills
from patcher.propose.tune import Tune
from patcher.score import score
from sim.evidence import draw_scenarios
from sim.judge import Judgement
from sim.workers.base import Workers

PROPOSERS: Registry[Proposer] = Registry("remend.proposers", Proposer, (Skills(), Tune()))
_RANKING = 6  # search scenarios that every candidate meets
_UNRANKED = 0.99  # before any candidate that is known to lose, after any that is known to win
WORTH = 0.1  # share of the tracking error under the fault that must be the fault's; chosen
ENOUGH = 0.9  # share of the lost tracking that makes a dearer proposer pointless


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A proposal with what the search scenarios say of it."""

    proposal: Proposal
    score: float  # mean, lower is better, 1 = incumbent
    recovery: float  # share of the lost tracking that came back in the twin


def choose_proposers(name: str) -> tuple[Proposer, ...]:
    """`auto` is every proposer, cheapest first; otherwise the one of that name.

    Raises:
        BadInput: there is no such proposer.
    """
    if name == "auto":
        return tuple(PROPOSERS.values())
    if name not in PROPOSERS:
        raise BadInput(f"there is no proposer '{name}'; use auto, {', '.join(PROPOSERS)}")
    return (PROPOSERS[name],)


def search(situation: Situation, proposers: Sequence[Proposer], workers: Workers) -> list[Ranked]:
    """Candidates, best first, spending at most the situation's budget of rollouts.

    With a budget too small to rank by, candidates come as their proposers gave them; the gates judge them all the same.
    """
    start = workers.rollouts
    count = min(_RANKING, situation.budget // 3)  # incumbent with and without the fault, and one candidate
    ranking = _Ranking(situation, count, workers)
    if count and not ranking.is_worth_it:
        return []
    ranked: list[Ranked] = []
    for proposer in proposers:
        left = situation.budget - (workers.rollouts - start) - count
        if left < 0:
            break
        for proposal in proposer.propose(replace(situation, budget=left), workers):
            if workers.rollouts - start + count <= situation.budget:
                ranked.append(ranking.rank(proposal))
        if any(candidate.recovery >= ENOUGH and candidate.score < 1.0 for candidate in ranked):
            break
    return sorted(ranked, key=lambda candidate: candidate.score)


class _Ranking:
    """The search scenarios of one incident, with what the incumbent makes of them."""

    def __init__(self, situation: Situation, count: int, workers: Workers) -> None:
        self._workers = workers
        self._scenarios = draw_scenarios(situation.twin, count, situation.seed + 1000)
        healthy = draw_scenarios(situation.twin, count, situation.seed + 1000, severity=0.0)
        self._before = workers.judge([(situation.incumbent, scenario) for scenario in self._scenarios])
        nominal = workers.judge([(situation.incumbent, scenario) for scenario in healthy])
        self._lost = _mean_error(self._before) - _mean_error(nominal)

    @property
    def is_worth_it(self) -> bool:
        """Whether the fault costs enough tracking that getting it back is more than tuning a healthy robot."""
        return self._lost > WORTH * _mean_error(self._before)

    def rank(self, proposal: Proposal) -> Ranked:
        """Judge a proposal on the search scenarios."""
        after = self._workers.judge([(proposal.artefact, scenario) for scenario in self._scenarios])
        if not after:
            return Ranked(proposal=proposal, score=_UNRANKED, recovery=0.0)
        mean = float(np.mean([score(a, b) for a, b in zip(after, self._before, strict=True)]))
        recovered = _mean_error(self._before) - _mean_error(after)
        return Ranked(proposal=proposal, score=mean, recovery=recovered / self._lost if self._lost > 0 else 0.0)


def _mean_error(judgements: Sequence[Judgement]) -> float:
    return float(np.mean([j.metrics["rms_tracking_error"] for j in judgements])) if judgements else 0.0
