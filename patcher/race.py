"""A race: candidates meet search scenarios one by one, in one order for all, until it is clear who is worth it.

The incumbent runs each scenario once, whoever asks. A candidate is dropped as soon as the bet against it is won, so
that one that changes nothing costs a handful of rollouts. Who is left is ranked by the bound that speaks against it: a
mean of few runs flatters the lucky. A race only ranks; the gates judge on other scenarios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.betting import Bet
from core.stats import paired_interval
from patcher.propose.base import Proposal, Situation
from patcher.score import score
from sim.evidence import draw_scenarios
from sim.hopeless import bet_against
from sim.judge import Judgement
from sim.policy import Policy
from sim.workers.base import Workers

UNRANKED = 0.99  # before any candidate that is known to lose, after any that is known to win
_PERFECT = 1e-9  # score of a run without any error, as no honest one is
_AT_ONCE = 2  # rollouts asked for together at least, so that no core waits while one candidate is left


class Track:
    """The search scenarios of one incident, and what the incumbent makes of them.

    Args:
        healthy: scenarios that the incumbent runs with and without the fault right away.
        seed: of the scenarios; nothing that a proposer is told.
    """

    def __init__(self, situation: Situation, workers: Workers, healthy: int, most: int, seed: int) -> None:
        self.workers = workers
        self._incumbent = situation.incumbent
        self._before: list[Judgement] = []
        self.scenarios = draw_scenarios(situation.twin, most, seed)
        self.before(healthy)
        whole = draw_scenarios(situation.twin, healthy, seed, severity=0.0)
        nominal = workers.judge([(self._incumbent, scenario) for scenario in whole])
        self.lost = mean_error(self._before) - mean_error(nominal)  # tracking error that the fault costs

    def before(self, count: int) -> list[Judgement]:
        """The incumbent in the first `count` scenarios."""
        new = self.scenarios[len(self._before) : count]
        self._before += self.workers.judge([(self._incumbent, scenario) for scenario in new])
        return self._before[:count]

    def cost(self, runners: int, first: int, last: int) -> int:
        """Rollouts that scenarios `first` to `last` cost with so many candidates."""
        return runners * (last - first) + max(0, last - max(first, len(self._before)))


@dataclass(slots=True, kw_only=True)
class Runner:
    """A candidate in a race."""

    proposal: Proposal
    bet: Bet
    drop_at: float
    after: list[Judgement] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    @property
    def dropped(self) -> bool:
        return self.bet.capital >= self.drop_at

    def meet(self, after: Judgement, before: Judgement) -> None:
        """One more scenario; who has been dropped stays dropped."""
        self.after.append(after)
        self.scores.append(score(after, before))
        if not self.dropped:
            self.bet.take(math.log(max(self.scores[-1], _PERFECT)))

    @property
    def score(self) -> float:
        """Mean over the scenarios met; 1 is the incumbent, lower is better."""
        return float(np.mean(self.scores)) if self.scores else UNRANKED

    def bounds(self, confidence: float) -> tuple[float, float]:
        """One-sided bounds of the typical score, each with this confidence: the lower and the upper one."""
        if len(self.scores) < 2:
            return 0.0, max(self.score, UNRANKED)
        interval = paired_interval(np.log(np.maximum(self.scores, _PERFECT)), 2.0 * confidence - 1.0)
        return math.exp(interval.low), math.exp(interval.high)


def race(track: Track, proposals: Sequence[Proposal], policy: Policy, budget: int) -> list[Runner]:
    """Let candidates race for at most `budget` rollouts. With none, all come back as they were proposed.

    Candidates that not even the first stage is left for are not taken in.
    """
    first = policy.racing.stages[0]
    if budget > 0:
        free = budget - track.cost(0, 0, first)
        proposals = proposals[: max(0, free) // first] or proposals[:1]
    runners = [
        Runner(proposal=each, bet=bet_against(policy.hopeless), drop_at=policy.hopeless.drop_at) for each in proposals
    ]
    start = track.workers.rollouts
    met = 0
    for stage in policy.racing.stages:
        while met < stage and (left := [runner for runner in runners if not runner.dropped]):
            last = min(stage, met + max(1, _AT_ONCE // len(left)))
            while last > met and track.workers.rollouts - start + track.cost(len(left), met, last) > budget:
                last -= 1
            if last == met:
                return runners
            _run(track, left, met, last)
            met = last
        if _is_over(runners, policy):
            break
    return runners


def _run(track: Track, runners: Sequence[Runner], first: int, last: int) -> None:
    before = track.before(last)[first:]
    jobs = [(runner.proposal.artefact, scenario) for runner in runners for scenario in track.scenarios[first:last]]
    results = iter(track.workers.judge(jobs))
    for runner in runners:
        for reference in before:
            runner.meet(next(results), reference)


def _is_over(runners: Sequence[Runner], policy: Policy) -> bool:
    """Whether the leader is worth its while beyond doubt, and nobody can still overtake it."""
    left = [runner.bounds(policy.racing.confidence) for runner in runners if not runner.dropped]
    if not left:
        return True
    leader = min(range(len(left)), key=lambda k: left[k][1])
    reached = left[leader][1]
    ahead = all(reached <= low for k, (low, _) in enumerate(left) if k != leader)
    return ahead and reached < math.exp(-policy.hopeless.worth)


def mean_error(judgements: Sequence[Judgement]) -> float:
    """Mean of the tracking errors; 0 without any."""
    return float(np.mean([j.metrics["rms_tracking_error"] for j in judgements])) if judgements else 0.0
