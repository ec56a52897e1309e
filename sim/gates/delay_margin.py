"""The delay margin: does the candidate keep tracking when commands come later than they do?"""

from __future__ import annotations

import math

from core.records import Gate
from core.status import Verdict
from sim.evidence import Evidence
from sim.gates.answer import NO_NUMBER, answer, complete, finite, mean_metric, newly_broken
from sim.policy import DelayMargin

_NAME = "delay_margin"


def delay_margin(evidence: Evidence, rule: DelayMargin) -> Gate:
    """The tracking error may grow by the policy's factor, or to the incumbent's; no limit may break that it keeps."""
    if not complete(evidence.delays):
        return answer(_NAME, Verdict.INCONCLUSIVE, "nothing was run with more delay")
    words = []
    for delay_s, pairs in sorted(evidence.delays.items()):
        under = f"with {1000 * delay_s:g} ms more delay"
        if not finite(pairs):
            return answer(_NAME, Verdict.FAIL, f"{NO_NUMBER} {under}")
        if broken := newly_broken(pairs):
            why = f"{broken} of {len(pairs)} runs break a limit {under} that the incumbent keeps"
            return answer(_NAME, Verdict.FAIL, why)
        _, alone = mean_metric(evidence.sealed[: len(pairs)], "rms_tracking_error")
        before, after = mean_metric(pairs, "rms_tracking_error")
        growth = after / alone if alone > 0 else math.inf
        if not after <= max(rule.growth * alone, before):
            why = f"tracking error grows {growth:.1f} times {under}, allowed are {rule.growth:g} times"
            return answer(_NAME, Verdict.FAIL, why)
        words.append(f"{growth:.2f} times with {1000 * delay_s:g} ms")
    return answer(_NAME, Verdict.PASS, f"under added delay the tracking error becomes {', '.join(words)}")
