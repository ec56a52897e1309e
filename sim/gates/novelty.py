"""Novelty: did the sealed runs go where the incident happened? What they did not visit they say nothing about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.records import Gate
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import answer
from sim.policy import Novelty
from sim.visited import Stretch

_NAME = "novelty"


def novelty(incident: Stretch, pairs: Sequence[Pair], rule: Novelty) -> Gate:
    """Positions, speeds and commands of the incident lie inside of what the incumbent's sealed runs visited.

    A quantity that is no number in any row of the incident fails.
    """
    runs = [pair.before.visited for pair in pairs if not pair.before.diverged]
    if not runs:
        return answer(_NAME, Verdict.INCONCLUSIVE, "there is no run in which the incumbent is not lost")
    low = np.min([run.low for run in runs], axis=0)
    high = np.max([run.high for run in runs], axis=0)
    slack = rule.slack * (high - low)
    known = np.isfinite(incident.rows)
    if not known.any(axis=0).all() or not np.isfinite(slack).all():
        return answer(_NAME, Verdict.FAIL, "what the incident or a run visited is not a number")
    with np.errstate(invalid="ignore"):
        outside = (incident.rows < low - slack) | (incident.rows > high + slack)
    shares = (outside & known).sum(axis=0) / known.sum(axis=0)
    k = int(np.argmax(shares))
    share, allowed = 100 * shares[k], 100 * rule.share
    if shares[k] <= rule.share:
        where = "of the incident lie outside of what the sealed runs visited"
        why = f"at most {share:.1f} % {where}, allowed are {allowed:g} %"
        return answer(_NAME, Verdict.PASS, why)
    values = incident.rows[known[:, k], k]
    why = (
        f"{incident.names[k]} was {values.min():.3g} to {values.max():.3g} {incident.units[k]} in the incident, the "
        f"sealed runs went from {low[k]:.3g} to {high[k]:.3g}: {share:.0f} % of its rows lie outside, allowed are "
        f"{allowed:g} %; record the incident at ordinary work, or widen [tasks] in robot.toml to where the robot works"
    )
    return answer(_NAME, Verdict.INCONCLUSIVE, why)
