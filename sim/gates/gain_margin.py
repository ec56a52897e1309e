"""The gain margin: does the loop stay calm when every drive gives less or more than it is asked for?"""

from __future__ import annotations

import math

from core.records import Gate
from core.status import Verdict
from sim.evidence import Evidence
from sim.gates.answer import NO_NUMBER, answer, complete, finite, mean_metric, newly_broken
from sim.policy import GainMargin

_NAME = "gain_margin"


def gain_margin(evidence: Evidence, rule: GainMargin) -> Gate:
    """Torque variation may grow by the policy's factor, or to the incumbent's; no limit may break that it keeps.

    A loop beyond its gain margin oscillates, and that shows in its commands. Its tracking error says little here:
    weaker drives track worse under any law.
    """
    if not complete(evidence.gains):
        return answer(_NAME, Verdict.INCONCLUSIVE, "nothing was run at another loop gain")
    words = []
    for factor, pairs in sorted(evidence.gains.items()):
        under = f"at {factor:g} times the loop gain"
        if not finite(pairs):
            return answer(_NAME, Verdict.FAIL, f"{NO_NUMBER} {under}")
        if broken := newly_broken(pairs):
            why = f"{broken} of {len(pairs)} runs break a limit {under} that the incumbent keeps"
            return answer(_NAME, Verdict.FAIL, why)
        _, alone = mean_metric(evidence.sealed[: len(pairs)], "torque_variation")
        before, after = mean_metric(pairs, "torque_variation")
        growth = after / alone if alone > 0 else math.inf
        if not after <= max(rule.growth * alone, before):
            why = f"torque variation grows {growth:.1f} times {under}, allowed are {rule.growth:g} times"
            return answer(_NAME, Verdict.FAIL, why)
        words.append(f"{growth:.2f} times {under}")
    return answer(_NAME, Verdict.PASS, f"torque variation becomes {', '.join(words)}")
