"""Drill: the gates have refused who is known to be bad.

Asked last, and only where a candidate has passed. It says nothing of the candidate: it says whether the answers before
are worth anything today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.records import Gate
from core.status import Verdict
from sim.gates.answer import answer

NAME = "drill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What became of a candidate that is known to be bad, or to lie."""

    name: str
    refused: bool


def drilled(drills: Sequence[Drill]) -> Gate:
    """Every one of them was refused."""
    passed = [each.name for each in drills if not each.refused]
    if passed or not drills:
        why = f"let through: {', '.join(passed)}; the gates cannot be trusted now" if passed else "nothing was tried"
        return answer(NAME, Verdict.INCONCLUSIVE, why)
    return answer(NAME, Verdict.PASS, f"refused, as they must be: {', '.join(each.name for each in drills)}")
