"""One number to rank candidates by while searching. It never promotes: the gates judge on other scenarios."""

from __future__ import annotations

from sim.judge import Judgement

_PRICE = 0.25  # of a relative growth of torque variation or effort, against relative tracking error; chosen
_FREE_EFFORT = 0.05
LOST = 100.0


def score(after: Judgement, before: Judgement) -> float:
    """Relative tracking error plus a price for chatter and effort; lower is better, 1 is no gain."""
    if after.diverged or after.limit_broken:
        return LOST

    def relative(metric: str) -> float:
        return after.metrics[metric] / before.metrics[metric]

    chatter = max(relative("torque_variation") - 1.0, 0.0)
    effort = max(relative("rms_effort") - 1.0 - _FREE_EFFORT, 0.0)
    return relative("rms_tracking_error") + _PRICE * (chatter + effort)
