"""Non-inferiority: what a candidate is not for may not become worse by more than a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.records import Gate
from core.stats import paired_interval
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import answer, spoken


def non_inferior(
    metric: str, margin: float, pairs: Sequence[Pair], *, alpha: float, free: float = 0.0, unit: str = "N*m"
) -> Gate:
    """`metric` may grow by at most `margin` of the incumbent's mean: one-sided paired t test at `alpha`.

    Pairs in which the incumbent is lost have nothing to compare with; with fewer than half left there is no answer.

    Args:
        free: growth in the metric's unit that is always allowed. To accelerate a load as fast as before takes torque in
            proportion to its inertia, and so does the answer to every noise; a share of a small number would forbid it.
        unit: of the metric.
    """
    name = f"non_inferior_{metric.removeprefix('rms_')}"
    if not all(math.isfinite(p.after.metrics[metric]) for p in pairs):
        return answer(name, Verdict.FAIL, f"{spoken(metric)} is not a number")
    kept = [p for p in pairs if not p.before.diverged and math.isfinite(p.before.metrics[metric])]
    if len(kept) < max(2, len(pairs) / 2):
        lost = len(pairs) - len(kept)
        return answer(name, Verdict.INCONCLUSIVE, f"the incumbent is lost in {lost} of {len(pairs)} runs")
    before = np.array([p.before.metrics[metric] for p in kept])
    after = np.array([p.after.metrics[metric] for p in kept])
    mean = float(before.mean())
    if not mean > 0:
        return answer(name, Verdict.FAIL, f"{spoken(metric)} is not a number")
    margin = max(margin, free / mean)
    interval = paired_interval((after - before) / mean, 1.0 - 2.0 * alpha)
    why = (
        f"{spoken(metric)} changes by {100 * interval.mean:+.1f} %, with {100 * (1.0 - alpha):g} % confidence by at "
        f"most {100 * interval.high:+.1f} %, over {len(kept)} pairs; allowed is {100 * margin:+.0f} %, that is "
        f"{margin * mean:.3g} {unit}"
    )
    if interval.high <= margin:
        return answer(name, Verdict.PASS, why)
    if interval.low > margin:
        return answer(name, Verdict.FAIL, why)
    return answer(name, Verdict.INCONCLUSIVE, f"{why}; it may be {100 * interval.low:+.1f} % as well")
