"""Superiority: does the candidate track better, by more than the margin and beyond doubt?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.records import Gate
from core.stats import paired_interval
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import NO_NUMBER, answer, finite
from sim.hopeless import is_hopeless
from sim.policy import Hopeless, Superiority

_NAME = "superior_tracking"


def superior_tracking(
    pairs: Sequence[Pair], rule: Superiority, *, alpha: float, planned: int, hopeless: Hopeless
) -> Gate:
    """One-sided paired t test on the logarithm of the tracking errors' ratio, at a number of pairs fixed before.

    Whatever happens before all `planned` pairs are there, it is no pass.

    Args:
        alpha: chance of passing a candidate whose mean improvement is the margin.
    """
    changes = [pair.change for pair in pairs]
    if not finite(pairs) or not all(map(math.isfinite, changes)):
        return answer(_NAME, Verdict.FAIL, NO_NUMBER)
    if len(pairs) < planned:
        done = f"{len(pairs)} of {planned} pairs"
        if is_hopeless(changes, hopeless):
            mean = 100 * math.expm1(float(np.mean(changes)))
            return answer(_NAME, Verdict.FAIL, f"hopeless after {done}: tracking error changes by {mean:+.1f} %")
        return answer(_NAME, Verdict.INCONCLUSIVE, f"only {done} were run")
    interval = paired_interval(changes, 1.0 - 2.0 * alpha)
    low, mean, high = (100 * math.expm1(value) for value in (interval.low, interval.mean, interval.high))
    why = (
        f"tracking error changes by {mean:+.1f} %, with {100 * (1.0 - alpha):g} % confidence by {high:+.1f} % or "
        f"better, over {len(pairs)} pairs; asked for is {-100 * rule.margin:+g} %"
    )
    if interval.high < rule.border:
        return answer(_NAME, Verdict.PASS, why)
    if interval.low >= rule.border:
        return answer(_NAME, Verdict.FAIL, why)
    return answer(_NAME, Verdict.INCONCLUSIVE, f"{why}; it may be {low:+.1f} % as well")
