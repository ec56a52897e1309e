"""Ask proposers, the most promising first, and let what they bring race, until enough of the loss would come back.

Proposers of installed packages (entry points `remend.proposers`) are asked after the shipped ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import BadInput
from core.extensions import Registry
from patcher.bandit import Bandit
from patcher.llm.settings import LlmSettings
from patcher.llm.writer import live_model
from patcher.propose.base import Charging, Proposer, Ranked, Situation
from patcher.propose.evolve import Evolve
from patcher.propose.llm import Llm
from patcher.propose.memory import Memory
from patcher.propose.rl import Rl
from patcher.propose.skills import Skills
from patcher.propose.tune import Tune
from patcher.race import Runner, Track, mean_error, race
from patcher.rl.process import HINT, can_train
from patcher.spent import Spent
from sim.overasked import overasked_under
from sim.policy import Policy
from sim.policy_toml import shipped_policy
from sim.twin.twin import Twin
from sim.workers.base import Workers

PROPOSERS: Registry[Proposer] = Registry(
    "remend.proposers", Proposer, (Memory(), Skills(), Tune(), Evolve(), Llm(), Rl())
)
_LAST = 1e9
_EQUAL = 0.02  # bounds that differ by less are as good as equal
_KEPT_BACK, _LEAST = 3, 144  # share that is kept for who comes next, and what one search needs
_WEIGHING = 6  # search scenarios that tell what the fault costs
WORTH = 0.1  # share of the tracking error under the fault that must be the fault's; chosen
ENOUGH = 0.85  # share of the lost tracking that ends the search; a loaded or weak robot may not have more; chosen


def choose_proposers(name: str, llm: LlmSettings | None = None, trainings: Path | None = None) -> tuple[Proposer, ...]:
    """`auto` is every proposer; otherwise the one of that name.

    Args:
        llm: settings of the language model; without one there is none to ask.
        trainings: folder for the checkpoints of trainings; without one a training that is killed begins anew.

    Raises:
        BadInput: there is no such proposer, or it has no model to ask, or what it needs is not installed.
    """
    known = {key: Llm(llm) if key == Llm.name else proposer for key, proposer in PROPOSERS.items()}
    if llm is None or not llm.wanted:
        if name == Llm.name:
            raise BadInput('no language model is set; add [llm] with model = "..." to remend.toml')
        del known[Llm.name]
    else:
        live_model(llm)  # a key or a library that is missing is said before the work begins
    known[Rl.name] = Rl(folder=trainings)
    if not can_train():
        if name == Rl.name:
            raise BadInput(HINT)
        del known[Rl.name]
    if name == "auto":
        return tuple(known.values())
    if name not in known:
        raise BadInput(f"there is no proposer '{name}'; use auto, {', '.join(PROPOSERS)}")
    return (known[name],)


def search(
    situation: Situation,
    proposers: Sequence[Proposer],
    workers: Workers,
    policy: Policy | None = None,
    race_seed: int | None = None,
    bandit: Bandit | None = None,
) -> list[Ranked]:
    """Candidates, best first and dropped ones last, spending at most the situation's budget of rollouts.

    With a budget too small to rank by, candidates come as their proposers gave them; the gates judge them all the same.

    Args:
        policy: by default the one that Remend ships.
        race_seed: of the scenarios that candidates race on; best one that no proposer can know.
        bandit: chooses who is asked, and remembers why.
    """
    policy, bandit = policy or shipped_policy(), bandit or Bandit()
    start = workers.rollouts
    count = min(_WEIGHING, situation.budget // 3)  # incumbent with and without the fault, and one candidate
    seed = situation.seed + 1000 if race_seed is None else race_seed
    track = Track(situation, workers, count, max(policy.racing.stages), seed)
    if count and not track.lost > WORTH * mean_error(track.before(count)):
        return []
    ranked: list[Ranked] = []
    waiting = {proposer.name: proposer for proposer in proposers}
    while waiting:
        left = situation.budget - (workers.rollouts - start) - count
        if left < 0:
            break
        able = [each.name for each in waiting.values() if _least(each) <= left]
        if not able:
            break
        name, why = bandit.choose(able)
        proposer = waiting.pop(name)
        others = any(_least(each) <= left // _KEPT_BACK for each in waiting.values())
        share = left if not others else max(left - left // _KEPT_BACK, min(left, _LEAST))
        tried = tuple(in_order(ranked))
        before, bound = workers.rollouts, _best_bound(ranked)
        proposals = proposer.propose(replace(situation, budget=share, tried=tried), workers)
        budget = situation.budget - (workers.rollouts - start)
        new = [_ranked(runner, track, policy) for runner in race(track, proposals, policy, budget if count else 0)]
        ranked += new
        spent = proposer.spent if isinstance(proposer, Charging) else Spent()
        bandit.charge(
            name,
            why,
            rollouts=workers.rollouts - before,
            waited_s=spent.seconds,
            tokens=spent.tokens_in + spent.tokens_out,
            gain=math.log(bound / _best_bound(ranked)),
            brought=[each.proposal.candidate.id for each in new],
        )
        if any(each.recovery >= ENOUGH and each.score < 1.0 and not each.dropped for each in ranked):
            break
        if name != Tune.name and any(each.proposal.candidate.kind == "code" and not each.dropped for each in new):
            waiting |= {each.name: each for each in proposers if each.name == Tune.name}  # it has new numbers to tune
    return in_order(ranked)


def brought(ranked: Sequence[Ranked], twin: Twin) -> str:
    """How many candidates there are, in words; if none is to be put before the gates, the best score and why it may be.

    Args:
        twin: that they raced in.
    """
    count = "1 candidate" if len(ranked) == 1 else f"{len(ranked)} candidates"
    if any(each.score < 1.0 and not each.dropped for each in ranked):
        return count
    best = min((each.score for each in ranked), default=1.0)
    none = f"{count}, none better than the controller at work (the best scores {best:.3g}, and 1 is no gain"
    why = overasked_under(twin)
    return f"{none}; of {why})," if why else f"{none}),"


def worth_proving(ranked: Sequence[Ranked], count: int) -> list[Ranked]:
    """The best few that beat the incumbent at all."""
    return [candidate for candidate in ranked if candidate.score < 1.0 and not candidate.dropped][:count]


def _least(proposer: Proposer) -> int:
    """Rollouts below which it brings nothing; for it nothing is kept back then, and it is not asked."""
    return int(getattr(proposer, "least", 0))


def in_order(ranked: Sequence[Ranked]) -> list[Ranked]:
    """By the bound of what they are worth; of those that are as good as equal, the smallest change first."""
    return sorted(ranked, key=lambda each: (each.dropped, _step(each.bound), each.size, each.score))


def _step(bound: float) -> int:
    """Bounds as steps that are as good as equal; what is no number comes last."""
    return round(math.log(bound if bound < _LAST else _LAST) / _EQUAL)


def _best_bound(ranked: Sequence[Ranked]) -> float:
    return min([1.0, *(each.bound for each in ranked if not each.dropped)])


def _ranked(runner: Runner, track: Track, policy: Policy) -> Ranked:
    recovered = mean_error(track.before(len(runner.after))) - mean_error(runner.after)
    return Ranked(
        proposal=runner.proposal,
        score=runner.score,
        bound=runner.bounds(policy.racing.confidence)[1],
        recovery=recovered / track.lost if track.lost > 0 else 0.0,
        dropped=runner.dropped,
    )
