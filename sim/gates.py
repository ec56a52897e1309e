"""What evidence must answer before a person is asked. Each answer is pass, fail or inconclusive, with a reason.

NaN is a failure. Inconclusive never promotes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from core.records import Gate
from core.stats import paired_interval, rate_upper_bound
from core.status import Verdict
from sim.evidence import Evidence, Pair

ATTEMPTS = 2  # candidates that may go before the sealed scenarios for one incident
LEVEL = 1.0 - 0.05 / ATTEMPTS  # of every interval here: an error rate of 5 % is spent per incident, not per try
EFFORT_MARGIN = 0.10  # more torque than this share is not accepted for better tracking; chosen
VARIATION_MARGIN = 0.25  # the same for chatter; chosen
FREE_VARIATION_PER_S = 1.5  # half ranges of all commands a second: chatter below this wears nothing out; chosen
MIN_FIDELITY = 0.7  # a twin that repeats less than this of the incident proves nothing; chosen
MAX_LOAD = 0.2  # share of the control period that a law may take
NS_PER_OPERATION = 10.0  # three times what desktop cores need for one counted operation of a law
DELAY_FACTOR = 2.0  # growth of the tracking error under added delay that still counts as a margin


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict from many: any failure fails, anything open stays open, and no answers at all are no pass."""
    found = list(verdicts)
    if Verdict.FAIL in found:
        return Verdict.FAIL
    if not found or Verdict.INCONCLUSIVE in found:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS


def _gate(name: str, verdict: Verdict, why: str) -> Gate:
    return Gate(name=name, verdict=verdict, why=why)


def superior_tracking(pairs: Sequence[Pair]) -> Gate:
    """The tracking error must fall: the whole interval of its mean relative change lies below zero."""
    name = "superior_tracking"
    ratio = [_ratio(p.after.metrics["rms_tracking_error"], p.before.metrics["rms_tracking_error"]) for p in pairs]
    if not _finite(pairs) or not all(math.isfinite(value) and value > 0 for value in ratio):
        return _gate(name, Verdict.FAIL, "a metric is not a number")
    interval = paired_interval(np.log(ratio), LEVEL)
    low, mean, high = (100 * math.expm1(value) for value in (interval.low, interval.mean, interval.high))
    span = f"{100 * LEVEL:g} % interval {low:+.1f} to {high:+.1f} %"
    why = f"tracking error changes by {mean:+.1f} % ({span}) over {len(pairs)} pairs"
    if high < 0:
        return _gate(name, Verdict.PASS, why)
    return _gate(name, Verdict.FAIL if low >= 0 else Verdict.INCONCLUSIVE, why)


def non_inferior(
    metric: str, label: str, margin: float, pairs: Sequence[Pair], free: float = 0.0, unit: str = "N*m"
) -> Gate:
    """`metric` may grow by at most `margin` of the incumbent's mean: the upper end of the interval decides.

    Pairs in which the incumbent is lost have nothing to compare with; with fewer than half left there is no answer.

    Args:
        unit: of the metric.
        free: growth in the metric's unit that is always allowed. To accelerate a load as fast as before takes torque in
            proportion to its inertia, and so does the answer to every noise; a share of a small number would forbid it.
    """
    name = f"non_inferior_{label}"
    if not all(math.isfinite(p.after.metrics[metric]) for p in pairs):
        return _gate(name, Verdict.FAIL, f"{_spoken(metric)} is not a number")
    kept = [p for p in pairs if not p.before.diverged and math.isfinite(p.before.metrics[metric])]
    if len(kept) < max(2, len(pairs) / 2):
        lost = len(pairs) - len(kept)
        return _gate(name, Verdict.INCONCLUSIVE, f"the incumbent is lost in {lost} of {len(pairs)} runs")
    before = np.array([p.before.metrics[metric] for p in kept])
    after = np.array([p.after.metrics[metric] for p in kept])
    mean = float(before.mean())
    if not mean > 0:
        return _gate(name, Verdict.FAIL, f"{_spoken(metric)} is not a number")
    margin = max(margin, free / mean)
    interval = paired_interval((after - before) / mean, LEVEL)
    why = (
        f"{_spoken(metric)} changes by {100 * interval.mean:+.1f} % ({100 * LEVEL:g} % interval "
        f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f} %) over {len(kept)} pairs, allowed is "
        f"{100 * margin:+.0f} %, that is {margin * mean:.3g} {unit}"
    )
    if interval.high <= margin:
        return _gate(name, Verdict.PASS, why)
    return _gate(name, Verdict.FAIL if interval.low > margin else Verdict.INCONCLUSIVE, why)


def limits(pairs: Sequence[Pair]) -> Gate:
    """The candidate breaks no limit: no joint range left, no command replaced by the envelope, no divergence."""
    broken = sum(pair.after.limit_broken for pair in pairs)
    before = sum(pair.before.limit_broken for pair in pairs)
    bound = rate_upper_bound(broken, len(pairs))
    share = f"at most {100 * bound:.1f} % with 95 % confidence"
    why = f"{broken} of {len(pairs)} runs broke a limit ({share}), {before} with the incumbent"
    if broken == 0:
        return _gate("limits", Verdict.PASS, why)
    return _gate("limits", Verdict.FAIL if broken >= before else Verdict.INCONCLUSIVE, why)


def delay_margin(evidence: Evidence) -> Gate:
    """The candidate keeps tracking when commands come later than they do."""
    name = "delay_margin"
    if not _complete(evidence.delays):
        return _gate(name, Verdict.INCONCLUSIVE, "nothing was run with more delay")
    words = []
    for delay_s, pairs in sorted(evidence.delays.items()):
        if not _finite(pairs):
            return _gate(name, Verdict.FAIL, f"a metric is not a number with {1000 * delay_s:g} ms more delay")
        alone = float(np.mean([p.after.metrics["rms_tracking_error"] for p in evidence.sealed[: len(pairs)]]))
        after = float(np.mean([p.after.metrics["rms_tracking_error"] for p in pairs]))
        before = float(np.mean([p.before.metrics["rms_tracking_error"] for p in pairs]))
        lost = sum(p.after.diverged and not p.before.diverged for p in pairs)
        if lost:
            return _gate(
                name, Verdict.FAIL, f"{lost} of {len(pairs)} runs diverge with {1000 * delay_s:g} ms more delay"
            )
        if not after <= max(DELAY_FACTOR * alone, before):
            why = f"tracking error grows {_ratio(after, alone):.1f} times with {1000 * delay_s:g} ms more delay"
            return _gate(name, Verdict.FAIL, why)
        words.append(f"{_ratio(after, alone):.2f} times with {1000 * delay_s:g} ms")
    return _gate(name, Verdict.PASS, f"under added delay the tracking error becomes {', '.join(words)}")


def healthy_plant(evidence: Evidence, unit: str = "rad") -> tuple[Gate, bool]:
    """What the patch does when the fault is absent, half or half as much again, and whether it needs a revert trigger.

    A patch that breaks limits there may only run with an armed trigger that takes it back; so may one that tracks the
    healthy robot clearly worse than the incumbent does.

    Args:
        unit: of the tracking error.
    """
    name = "healthy_plant"
    if not _complete(evidence.severities) or 0 not in evidence.severities:
        return _gate(name, Verdict.INCONCLUSIVE, "nothing was run on the healthy plant"), True
    broken, words = [], []
    armed = False
    for severity, pairs in sorted(evidence.severities.items()):
        if not _finite(pairs):
            return _gate(name, Verdict.FAIL, f"a metric is not a number at x{severity:g}"), True
        count = sum(p.after.limit_broken for p in pairs)
        if count:
            before_count = sum(p.before.limit_broken for p in pairs)
            broken.append(f"{count} of {len(pairs)} runs at x{severity:g} ({before_count} with the incumbent)")
        kept = [p for p in pairs if not (p.before.diverged or p.after.diverged)]
        worse = bool(count)
        if kept:  # a run that came apart has no tracking error to average
            after = float(np.mean([p.after.metrics["rms_tracking_error"] for p in kept]))
            before = float(np.mean([p.before.metrics["rms_tracking_error"] for p in kept]))
            words.append(f"x{severity:g}: error {1000 * before:.3g} -> {1000 * after:.3g} {thousandths(unit)}")
            worse = worse or (severity == 0 and not after <= 1.5 * before)
        armed = armed or worse
    why = "; ".join(words) or "no run in which neither controller is lost"
    if broken:
        why = f"breaks limits in {', '.join(broken)}, so it may only run with an armed revert trigger ({why})"
    elif armed:
        why = f"worse than the incumbent once the fault is gone, so a revert trigger is armed ({why})"
    return _gate(name, Verdict.PASS, why), armed


def law_cost(operations: int, dt_s: float) -> Gate:
    """The law must fit into a share of the control period, by its static bound."""
    load = operations * NS_PER_OPERATION * 1e-9 / dt_s
    share, allowed = 100 * load, 100 * MAX_LOAD
    why = f"{operations} operations are at most {share:.2g} % of the control period, allowed are {allowed:.0f} %"
    return _gate("law_cost", Verdict.PASS if load <= MAX_LOAD else Verdict.FAIL, why)


def twin_fidelity(fidelity: float) -> Gate:
    """Evidence from a twin that does not repeat the incident decides nothing."""
    enough = fidelity >= MIN_FIDELITY
    why = f"the twin repeats {100 * fidelity:.0f} % of the incident, {100 * MIN_FIDELITY:.0f} % are needed"
    return _gate("fidelity", Verdict.PASS if enough else Verdict.INCONCLUSIVE, why)


def thousandths(unit: str) -> str:
    """The unit of a thousand times a number in `unit`: "mrad" for "rad", thousandths for "1"."""
    return "thousandths" if unit == "1" else f"m{unit}"


def _spoken(metric: str) -> str:
    return metric.replace("rms", "RMS").replace("_", " ")


def _finite(pairs: Sequence[Pair]) -> bool:
    """Whether every metric of the candidate is a number."""
    return all(math.isfinite(value) for pair in pairs for value in pair.after.metrics.values())


def _complete(groups: Mapping[float, Sequence[Pair]]) -> bool:
    """Whether there are groups and none of them is empty: an answer needs something that it rests on."""
    return bool(groups) and all(groups.values())


def _ratio(after: float, before: float) -> float:
    return after / before if before > 0 else math.inf
