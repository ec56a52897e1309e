"""The cost of a law: it must fit into a share of the control period, by its static bound and this machine's speed."""

from __future__ import annotations

import math

from core.records import Gate
from core.status import Verdict
from sim.gates.answer import answer
from sim.policy import Law

_NAME = "law_cost"


def law_cost(operations: int, dt_s: float, rule: Law, measured_ns: float) -> Gate:
    """The static bound of operations, each at the policy's time or at what this machine takes if that is more.

    A measurement above the policy's time counts as the next of its doublings, so that noise does not change the answer.

    Args:
        dt_s: control period.
        measured_ns: time of one counted operation on this machine [ns].
    """
    if not (math.isfinite(measured_ns) and measured_ns > 0):
        return answer(_NAME, Verdict.FAIL, "the speed of this machine could not be measured")
    doublings = max(0, math.ceil(math.log2(measured_ns / rule.ns_per_operation)))
    each_ns = rule.ns_per_operation * 2.0**doublings
    load = operations * each_ns * 1e-9 / dt_s
    why = (
        f"{operations} operations of {each_ns:g} ns are at most {100 * load:.2g} % of the control period, "
        f"allowed are {100 * rule.load:g} %"
    )
    return answer(_NAME, Verdict.PASS if load <= rule.load else Verdict.FAIL, why)
