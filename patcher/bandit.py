"""Whom to ask next: the proposer from which most can be expected for what it costs.

What a proposer has gained is how far it lowered the logarithm of the best candidate's bound, so luck in few runs does
not count. What it costs is seconds of simulation and of waiting, and tokens at a price in seconds. Both start from what
was measured over many incidents, and this one's results are added to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ROLLOUT_S = 0.1  # of CPU time, typical of all robots: a constant, so that the same search decides the same twice
_TOKENS_A_SECOND = 1000.0  # that are worth a second
_WEIGHT = 2.0  # incidents that a prior is worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What a proposer brings at an incident, on average."""

    gain: float  # how far it lowers the logarithm of the best bound
    cost_s: float


PRIORS: Mapping[str, Prior] = {  # measured with `remend bench heal` on its faults
    "memory": Prior(gain=1.2, cost_s=1.0),
    "skills": Prior(gain=1.2, cost_s=2.0),
    "tune": Prior(gain=0.4, cost_s=15.0),
    "evolve": Prior(gain=0.6, cost_s=10.0),
    "llm": Prior(gain=0.3, cost_s=60.0),
    "rl": Prior(gain=0.3, cost_s=90.0),
}
_UNKNOWN = Prior(gain=0.3, cost_s=20.0)  # of installed packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One turn: who was asked and why, what it cost and brought."""

    proposer: str
    why: str
    rollouts: int
    cost_s: float
    gain: float
    brought: tuple[str, ...]  # ids of candidates


@dataclass(slots=True)
class Bandit:
    """Counts one incident's gains and costs."""

    asked: list[Asked] = field(default_factory=list)

    def rate(self, proposer: str) -> float:
        """Gain that can be expected for a second."""
        prior = PRIORS.get(proposer, _UNKNOWN)
        own = [each for each in self.asked if each.proposer == proposer]
        gain = _WEIGHT * prior.gain + sum(each.gain for each in own)
        return gain / (_WEIGHT * prior.cost_s + sum(each.cost_s for each in own))

    def choose(self, proposers: Sequence[str]) -> tuple[str, str]:
        """The one to ask, and why."""
        ranked = sorted(proposers, key=lambda name: -self.rate(name))
        best = ranked[0]
        others = ", ".join(f"{name} {self.rate(name):.2g}" for name in ranked[1:])
        why = f"it can be expected to gain {self.rate(best):.2g} a second" + (f" ({others})" if others else "")
        return best, why

    def charge(
        self,
        proposer: str,
        why: str,
        *,
        rollouts: int,
        waited_s: float,
        tokens: int,
        gain: float,
        brought: Sequence[str],
    ) -> None:
        """Note what a turn cost and brought."""
        cost_s = ROLLOUT_S * rollouts + waited_s + tokens / _TOKENS_A_SECOND
        turn = Asked(
            proposer=proposer, why=why, rollouts=rollouts, cost_s=cost_s, gain=max(gain, 0.0), brought=tuple(brought)
        )
        self.asked.append(turn)
