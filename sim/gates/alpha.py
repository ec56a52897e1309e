"""The alpha budget: every look at sealed scenarios costs a share of it, so that many tries cannot buy a promotion."""

from __future__ import annotations

from core.records import Gate, Seal
from core.status import Verdict
from sim.gates.answer import answer
from sim.policy import Alpha

_NAME = "alpha_budget"


def alpha_budget(seal: Seal, rule: Alpha) -> Gate:
    """What this decision has spent; one beyond the attempts of the policy is no pass."""
    spends = f"which spends {rule.each:g} of {rule.per_incident:g}"
    why = f"attempt {seal.attempt} of {rule.attempts} at this incident, {spends}"
    inside = 1 <= seal.attempt <= rule.attempts
    return answer(_NAME, Verdict.PASS if inside else Verdict.INCONCLUSIVE, why)


def alpha_spent(why: str) -> Gate:
    """Nothing is left, so nothing was run; `why` says when there is again."""
    return answer(_NAME, Verdict.INCONCLUSIVE, why)
