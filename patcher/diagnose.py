"""From the twin's posterior to a diagnosis in words."""

from __future__ import annotations

from core.records import Cause, Diagnosis
from core.robot import Robot
from patcher.causes import Estimate, words_of
from sim.faults.catalogue import CATALOGUE
from sim.twin.twin import RankedCause, Twin

AUTHOR = "rules@2"
_SHOWN = 5  # rivals below this rank are noise
_LEAST = 0.001  # probability of a rival that is worth a line


def diagnose(incident_id: str, twin: Twin, fidelity: float) -> Diagnosis:
    """Rank the causes and say what happened, how sure that is, what would refute it, and what to do."""
    kept = [ranked for k, ranked in enumerate(twin.causes[:_SHOWN]) if k == 0 or ranked.probability >= _LEAST]
    top = twin.causes[0]
    told = [(words_of(fault), estimate) for fault, estimate in parts(top)]
    refuted = ", or if ".join(words.refuted_by for words, _ in told)
    said = in_words(top, twin.robot)
    bad = [words.advice for words, estimate in told if not words.patchable(estimate)]
    return Diagnosis(
        incident_id=incident_id,
        causes=tuple(_cause(ranked) for ranked in kept),
        fidelity=fidelity,
        summary=f"Most likely {said} ({100 * top.probability:.0f} %). It would be refuted if {refuted}.",
        author=AUTHOR,
        is_controller_fault=not bad,
        advice=" ".join(dict.fromkeys(bad)),
        unobservable=twin.unobservable,
    )


def parts(ranked: RankedCause) -> list[tuple[str, Estimate]]:
    """(fault, estimate) of every fault in a hypothesis; ("none", {}) for a healthy robot."""
    estimate = ranked.describe(ranked.theta)
    if len(ranked.faults) < 2:
        return [(ranked.cause, estimate)]
    found: list[tuple[str, Estimate]] = []
    for k, fault in enumerate(ranked.faults):
        prefix = fault if fault not in ranked.faults[:k] else f"{fault}2"
        own = {name.partition(".")[2]: value for name, value in estimate.items() if name.startswith(f"{prefix}.")}
        found.append((fault, own))
    return found


def in_words(ranked: RankedCause, robot: Robot) -> str:
    """What happened, under this hypothesis."""
    told = [words_of(fault).told(estimate, *_place(fault, estimate, robot)) for fault, estimate in parts(ranked)]
    return " and ".join(told)


def _place(fault: str, estimate: Estimate, robot: Robot) -> tuple[str, str]:
    """Where it sits, such as "in joint 3" or "in all wheels", and the unit of the coordinate there."""
    kind = CATALOGUE.get(fault)
    if kind is None or kind.target == "robot":
        return "", robot.tracking_unit
    at = estimate.get(kind.key)
    if at is None:
        return f"in all {kind.key}s", robot.tracking_unit
    joint = robot.drives[round(at) - 1] if kind.target == "actuator" else round(at) - 1
    return f"in {kind.key} {at:.0f}", robot.tracking_unit if joint is None else robot.units[joint]


def _cause(ranked: RankedCause) -> Cause:
    return Cause(
        cause=ranked.cause,
        probability=ranked.probability,
        estimate=ranked.describe(ranked.theta),
        interval=ranked.interval(),
        remark=ranked.unseen or ranked.label,
    )
