"""Limits: how often the candidate leaves a joint's range, has a command replaced by the envelope, or comes apart."""

from __future__ import annotations

from collections.abc import Sequence

from core.records import Gate
from core.stats import rate_lower_bound, rate_upper_bound
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import answer
from sim.policy import Limits

_NAME = "limits"


def limits(pairs: Sequence[Pair], rule: Limits) -> Gate:
    """The exact upper bound of the share of runs that break a limit stays below the policy's.

    A candidate that may be above it and is not better than the incumbent in this fails.
    """
    if not pairs:
        return answer(_NAME, Verdict.INCONCLUSIVE, "nothing was run")
    broken = sum(pair.after.limit_broken for pair in pairs)
    before = sum(pair.before.limit_broken for pair in pairs)
    bound = rate_upper_bound(broken, len(pairs), rule.confidence)
    why = (
        f"{broken} of {len(pairs)} runs broke a limit, {before} with the incumbent; with {100 * rule.confidence:g} % "
        f"confidence at most {100 * bound:.1f} % do, allowed are {100 * rule.bound:g} %"
    )
    if bound <= rule.bound:
        return answer(_NAME, Verdict.PASS, why)
    sure = rate_lower_bound(broken, len(pairs), rule.confidence) > rule.bound
    return answer(_NAME, Verdict.FAIL if sure or broken >= max(before, 1) else Verdict.INCONCLUSIVE, why)


def out_of_reach(broken: int, planned: int, rule: Limits) -> bool:
    """Whether so many broken limits leave no pass, even if none of the `planned` runs breaks another one."""
    return rate_upper_bound(broken, planned, rule.confidence) > rule.bound
