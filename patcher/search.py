"""Ask proposers, cheapest first, and let what they bring race; stop asking when enough of the loss would come back.

Proposers of installed packages (entry points `remend.proposers`) are asked after the shipped ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import BadInput
from core.extensions import Registry
from patcher.propose.base import Proposal, Proposer, Situation
from patcher.propose.skills import Skills
from patcher.propose.tune import Tune
from patcher.race import Runner, Track, mean_error, race
from sim.policy import Policy
from sim.policy_toml import shipped_policy
from sim.workers.base import Workers

PROPOSERS: Registry[Proposer] = Registry("remend.proposers", Proposer, (Skills(), Tune()))
_WEIGHING = 6  # search scenarios that tell what the fault costs
WORTH = 0.1  # share of the tracking error under the fault that must be the fault's; chosen
ENOUGH = 0.9  # share of the lost tracking that makes a dearer proposer pointless


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A proposal with what the race says of it."""

    proposal: Proposal
    score: float  # mean, lower is better, 1 = incumbent
    bound: float  # what the typical score is below, with the policy's confidence; candidates are ranked by it
    recovery: float  # share of the lost tracking that came back in the twin
    dropped: bool = False  # as hopeless


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


def search(
    situation: Situation,
    proposers: Sequence[Proposer],
    workers: Workers,
    policy: Policy | None = None,
    race_seed: int | None = None,
) -> list[Ranked]:
    """Candidates, best first and dropped ones last, spending at most the situation's budget of rollouts.

    With a budget too small to rank by, candidates come as their proposers gave them; the gates judge them all the same.

    Args:
        policy: by default the one that Remend ships.
        race_seed: of the scenarios that candidates race on; best one that no proposer can know.
    """
    policy = policy or shipped_policy()
    start = workers.rollouts
    count = min(_WEIGHING, situation.budget // 3)  # incumbent with and without the fault, and one candidate
    seed = situation.seed + 1000 if race_seed is None else race_seed
    track = Track(situation, workers, count, max(policy.racing.stages), seed)
    if count and not track.lost > WORTH * mean_error(track.before(count)):
        return []
    ranked: list[Ranked] = []
    for proposer in proposers:
        left = situation.budget - (workers.rollouts - start) - count
        if left < 0:
            break
        proposals = proposer.propose(replace(situation, budget=left), workers)
        budget = situation.budget - (workers.rollouts - start)
        ranked += [_ranked(runner, track, policy) for runner in race(track, proposals, policy, budget if count else 0)]
        if any(each.recovery >= ENOUGH and each.score < 1.0 and not each.dropped for each in ranked):
            break
    return sorted(ranked, key=lambda each: (each.dropped, each.bound, each.score))


def _ranked(runner: Runner, track: Track, policy: Policy) -> Ranked:
    recovered = mean_error(track.before(len(runner.after))) - mean_error(runner.after)
    return Ranked(
        proposal=runner.proposal,
        score=runner.score,
        bound=runner.bounds(policy.racing.confidence)[1],
        recovery=recovered / track.lost if track.lost > 0 else 0.0,
        dropped=runner.dropped,
    )
