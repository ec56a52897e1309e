"""Ask proposers, cheapest first, and rank what they bring; stop asking when enough of the loss would come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import BadInput
from patcher.propose.base import Proposal, Proposer, Situation
from patcher.propose.skills import Skills
from patcher.propose.tune import Tune
from patcher.score import score
from sim.evidence import draw_scenarios
from sim.judge import Judgement
from sim.workers import Workers

PROPOSERS: dict[str, Proposer] = {proposer.name: proposer for proposer in (Skills(), Tune())}
_RANKING = 6  # search scenarios that every candidate meets
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
    """Candidates, best first, spending at most the situation's budget of rollouts."""
    start = workers.rollouts
    scenarios = draw_scenarios(situation.twin, _RANKING, situation.seed + 1000)
    healthy = draw_scenarios(situation.twin, _RANKING, situation.seed + 1000, severity=0.0)
    before = workers.judge([(situation.incumbent, scenario) for scenario in scenarios])
    nominal = workers.judge([(situation.incumbent, scenario) for scenario in healthy])
    lost = _mean_error(before) - _mean_error(nominal)
    ranked: list[Ranked] = []
    for proposer in proposers:
        left = situation.budget - (workers.rollouts - start) - _RANKING
        if left < 0:
            break
        for proposal in proposer.propose(replace(situation, budget=left), workers):
            after = workers.judge([(proposal.artefact, scenario) for scenario in scenarios])
            mean = float(np.mean([score(a, b) for a, b in zip(after, before, strict=True)]))
            recovery = (_mean_error(before) - _mean_error(after)) / lost if lost > 0 else 0.0
            ranked.append(Ranked(proposal=proposal, score=mean, recovery=recovery))
        if any(candidate.recovery >= ENOUGH and candidate.score < 1.0 for candidate in ranked):
            break
    return sorted(ranked, key=lambda candidate: candidate.score)


def _mean_error(judgements: Sequence[Judgement]) -> float:
    return float(np.mean([j.metrics["rms_tracking_error"] for j in judgements]))
