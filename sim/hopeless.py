"""When to stop looking at a candidate: the bet that it is not worth its while has been won often enough.

Stopping early only ever drops a candidate, so it cannot raise the chance that a worthless one passes.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.betting import Bet
from sim.policy import Hopeless


def bet_against(rule: Hopeless) -> Bet:
    """A new bet that a candidate is worth less than the policy asks for."""
    return Bet(rule.worth, rule.clip)


def is_hopeless(changes: Iterable[float], rule: Hopeless) -> bool:
    """Whether the bet was won at any point of these logarithmic changes, in their order; what is no number counts."""
    bet = bet_against(rule)
    return any(bet.take(change) >= rule.drop_at for change in changes)
