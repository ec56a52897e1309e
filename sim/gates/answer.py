"""What a gate answers: pass, fail or inconclusive with a reason; and one verdict from many answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from core.records import Gate
from core.status import Verdict
from sim.evidence import Pair

NO_NUMBER = "a metric is not a number"


def answer(name: str, verdict: Verdict, why: str) -> Gate:
    """The answer of the gate `name`."""
    return Gate(name=name, verdict=verdict, why=why)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict from many: any failure fails, anything open stays open, and no answers at all are no pass."""
    found = list(verdicts)
    if Verdict.FAIL in found:
        return Verdict.FAIL
    if not found or Verdict.INCONCLUSIVE in found:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS


def finite(pairs: Sequence[Pair]) -> bool:
    """Whether every metric of the candidate is a number."""
    return all(math.isfinite(value) for pair in pairs for value in pair.after.metrics.values())


def complete(groups: Mapping[float, Sequence[Pair]]) -> bool:
    """Whether there are groups and none of them is empty: an answer needs something that it rests on."""
    return bool(groups) and all(groups.values())


def newly_broken(pairs: Sequence[Pair]) -> int:
    """Runs in which the candidate breaks a limit that the incumbent keeps."""
    return sum(pair.after.limit_broken and not pair.before.limit_broken for pair in pairs)


def mean_metric(pairs: Sequence[Pair], metric: str) -> tuple[float, float]:
    """Mean of a metric over the runs of incumbent and candidate."""
    before = math.fsum(pair.before.metrics[metric] for pair in pairs) / len(pairs)
    return before, math.fsum(pair.after.metrics[metric] for pair in pairs) / len(pairs)


def thousandths(unit: str) -> str:
    """The unit of a thousand times a number in `unit`: "mrad" for "rad", thousandths for "1"."""
    return "thousandths" if unit == "1" else f"m{unit}"


def spoken(metric: str) -> str:
    """The name of a metric in words."""
    return metric.replace("rms", "RMS").replace("_", " ")
