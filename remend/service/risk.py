"""How much a wrong approval could cost, in parts that a person can weigh."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.records import Candidate, ValidationReport

_LARGE_STEP = 0.25  # of a parameter's allowed range; chosen


class Level(StrEnum):
    """How careful the decision has to be made, mildest first."""

    LOW = "low"
    MEDIUM = "medium"  # an approval needs a reason
    HIGH = "high"  # an approval needs the robot's name, typed

    @property
    def rank(self) -> int:
        return list(Level).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The level, and (level, sentence) for each part of it."""

    level: Level
    parts: tuple[tuple[Level, str], ...]


def risk_of(candidate: Candidate, report: ValidationReport | None, *, simulated: bool) -> Risk:
    """The risk of a patch for one robot."""
    parts = [_of_kind(candidate), _of_steps(candidate)]
    if report is not None and report.needs_revert_trigger:
        parts.append((Level.MEDIUM, "it harms a healthy robot, so it runs with an armed revert"))
    if simulated:  # nobody can come to harm
        parts = [(min(level, Level.MEDIUM, key=lambda each: each.rank), text) for level, text in parts]
        parts.append((Level.LOW, "the robot is simulated"))
    parts.append((Level.LOW, "the envelope is no part of any patch, and the controller before stays ready"))
    return Risk(level=max((level for level, _ in parts), key=lambda each: each.rank), parts=tuple(parts))


def _of_kind(candidate: Candidate) -> tuple[Level, str]:
    match candidate.kind:
        case "params":
            return Level.LOW, "only declared parameters change, inside their bounds"
        case "code":
            return Level.MEDIUM, "the law is another one"
        case _:
            return Level.HIGH, "weights were learnt, and nobody can read them"


def _of_steps(candidate: Candidate) -> tuple[Level, str]:
    steps = [abs(c.new - c.old) / (c.high - c.low) for c in candidate.changes if c.high > c.low]
    if not steps:
        return Level.LOW, "no parameter of the controller before changes"
    largest = max(steps)
    text = f"the largest step of a parameter is {100 * largest:.3g} % of its allowed range"
    return (Level.MEDIUM if largest > _LARGE_STEP else Level.LOW), text
