"""The worst decile: what the candidate does where it does worst, which a mean can hide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.records import Gate
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import NO_NUMBER, answer
from sim.policy import WorstDecile

_NAME = "worst_decile"


def worst_decile(pairs: Sequence[Pair], rule: WorstDecile) -> Gate:
    """The mean ratio of tracking errors over the worst share of runs (conditional value at risk) keeps to its margin.

    It fails when every one of those runs is beyond the margin. Where only some are, and so far beyond it that their
    mean is too, there is no answer. It is an estimate: so few runs bound no tail.

    Source: Rockafellar and Uryasev 2000, "Optimization of conditional value-at-risk".
    """
    ratios = sorted((math.exp(pair.change) for pair in pairs), reverse=True)
    if not all(map(math.isfinite, ratios)):
        return answer(_NAME, Verdict.FAIL, NO_NUMBER)
    if not ratios:
        return answer(_NAME, Verdict.INCONCLUSIVE, "nothing was run")
    tail = ratios[: math.ceil(rule.share * len(ratios))]
    mean, allowed = math.fsum(tail) / len(tail), 1.0 + rule.margin
    why = (
        f"in the worst {len(tail)} of {len(ratios)} runs the tracking error is {mean:.2f} times the incumbent's on "
        f"average, {tail[-1]:.2f} to {tail[0]:.2f}; allowed is {allowed:.2f}"
    )
    if mean <= allowed:
        return answer(_NAME, Verdict.PASS, why)
    return answer(_NAME, Verdict.FAIL if tail[-1] > allowed else Verdict.INCONCLUSIVE, why)
