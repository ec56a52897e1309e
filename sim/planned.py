"""How many rollouts a proof takes if nothing ends it early: what a bar is drawn against."""

from __future__ import annotations

from sim.gather import FIRST_LOOK
from sim.policy import Policy

_DRILL = 2 * FIRST_LOOK + 2  # a law with half the commands is found out at the first look; two honest runs to lie about


def planned_rollouts(policy: Policy, regressions: int) -> int:
    """Rollouts of a validation and its drill.

    Args:
        regressions: past incidents that the candidate has to meet; the incumbent's results in them are known.
    """
    elsewhere, delay, gain = policy.elsewhere, policy.delay_margin, policy.gain_margin
    pairs = policy.sealed.scenarios + elsewhere.scenarios * (1 + len(elsewhere.severities))
    pairs += delay.scenarios * len(delay.added_ms) + gain.scenarios * len(gain.factors)
    return 2 * pairs + regressions + _DRILL
