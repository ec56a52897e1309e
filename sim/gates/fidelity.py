"""Fidelity: evidence from a twin that does not repeat the incident decides nothing."""

from __future__ import annotations

import math

from core.records import Gate
from core.status import Verdict
from sim.gates.answer import answer
from sim.policy import TwinQuality

_NAME = "fidelity"


def twin_fidelity(fidelity: float, rule: TwinQuality) -> Gate:
    """The twin repeats as much of the incident as the policy asks for."""
    if math.isnan(fidelity):
        return answer(_NAME, Verdict.FAIL, "the fidelity of the twin is not a number")
    why = f"the twin repeats {100 * fidelity:.0f} % of the incident, {100 * rule.fidelity:g} % are needed"
    return answer(_NAME, Verdict.PASS if fidelity >= rule.fidelity else Verdict.INCONCLUSIVE, why)
