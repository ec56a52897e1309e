"""From evidence to the report that an operator signs."""

from __future__ import annotations

import numpy as np

from controllers.artefact import Artefact
from controllers.canary import CanaryLimits
from controllers.controller import Controller
from core.ids import new_id
from core.metrics import METRICS
from core.records import MetricDelta, ScenarioResult, ValidationReport
from core.robot import Robot
from core.stats import paired_interval
from sim import gates
from sim.evidence import Pair, canary_peaks, gather, sealed_seed
from sim.twin.twin import Twin
from sim.workers.base import Workers

_RAMP_MARGIN, _SETTLED_MARGIN, _FLOOR = 1.2, 2.0, 0.002  # room for what the twin does not know; chosen
_VARIATION_MARGIN = 1.5


def validate(
    workers: Workers,
    twin: Twin,
    *,
    incumbent: Artefact,
    candidate: Artefact,
    fidelity: float,
    patch_id: str = "",
    seed: int | None = None,
) -> ValidationReport:
    """Gather evidence for `candidate` against `incumbent` and put it before the gates.

    Args:
        fidelity: how well the twin repeats the incident, 0 to 1.
        patch_id: what the report is about, where there is a record of it.
        seed: of the sealed scenarios, from `sim.evidence.sealed_seed`; by default from the hashes of the two laws.
    """
    robot = twin.robot
    seed = sealed_seed(incumbent.sha256, candidate.sha256) if seed is None else seed
    evidence = gather(workers, twin, incumbent, candidate, seed)
    pairs = evidence.sealed
    half_ranges = (np.array(robot.limits.effort_high) - robot.limits.effort_low) / 2
    free = gates.FREE_VARIATION_PER_S * robot.dt_s * float(half_ranges.sum())
    healthy, armed = gates.healthy_plant(evidence, robot.tracking_unit)
    unit = robot.command_unit
    answers = (
        gates.superior_tracking(pairs),
        gates.non_inferior("rms_effort", "effort", gates.EFFORT_MARGIN, pairs, unit=unit),
        gates.non_inferior("torque_variation", "torque_variation", gates.VARIATION_MARGIN, pairs, free=free, unit=unit),
        gates.limits(pairs),
        gates.delay_margin(evidence),
        healthy,
        gates.law_cost(Controller.from_artefact(candidate, robot.ports).cost, robot.dt_s),
        gates.twin_fidelity(fidelity),
    )
    return ValidationReport(
        id=new_id("rep"),
        patch_id=patch_id,
        base_sha=incumbent.sha256,
        result_sha=candidate.sha256,
        deltas=tuple(_delta(robot, name, pairs) for name in METRICS),
        scenarios=tuple(_result(pair) for pair in pairs),
        worst=_worst(pairs, robot.tracking_unit),
        gates=answers,
        fidelity=fidelity,
        verdict=gates.overall(gate.verdict for gate in answers),
        needs_revert_trigger=armed,
        canary_limit=_canary_limit(robot, twin, pairs),
        rollouts=evidence.rollouts,
        seed=seed,
        unknowns=(
            "contact, cables and heat are not simulated",
            "one fault at a time: two faults that look like one are not told apart",
            f"tasks are drawn from the robot's own task space and last {evidence.sealed[0].scenario.duration_s:g} s",
        ),
    )


def _delta(robot: Robot, metric: str, pairs: tuple[Pair, ...]) -> MetricDelta:
    """Before and after over the pairs in which nobody was lost; over all of them if that leaves fewer than two."""
    whole = tuple(pair for pair in pairs if not (pair.before.diverged or pair.after.diverged))
    pairs = whole if len(whole) > 1 else pairs
    before = np.array([pair.before.metrics[metric] for pair in pairs])
    after = np.array([pair.after.metrics[metric] for pair in pairs])
    interval = paired_interval(after - before)
    return MetricDelta(
        metric=metric,
        unit=METRICS[metric].unit(robot),
        before=float(before.mean()),
        after=float(after.mean()),
        delta=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        level=0.95,
        n_pairs=len(pairs),
        method="paired t",
    )


def _result(pair: Pair) -> ScenarioResult:
    return ScenarioResult(
        scenario=pair.scenario.name,
        scenario_sha=pair.scenario.sha256,
        before=pair.before.metrics,
        after=pair.after.metrics,
    )


def _worst(pairs: tuple[Pair, ...], unit: str) -> str:
    def change(pair: Pair) -> float:
        return pair.after.metrics["rms_tracking_error"] / pair.before.metrics["rms_tracking_error"]

    worst = max(pairs, key=change)
    before, after = (1000 * j.metrics["rms_tracking_error"] for j in (worst.before, worst.after))
    return f"{worst.scenario.name}: tracking error {before:.3g} -> {after:.3g} {gates.thousandths(unit)}"


def _canary_limit(robot: Robot, twin: Twin, pairs: tuple[Pair, ...]) -> dict[str, float]:
    before, after, variation = canary_peaks(robot, pairs)
    offset = twin.effect.vector("offset", robot.dof).tolist()
    values = {"variation_nm": _VARIATION_MARGIN * variation, "settle_s": robot.canary.settle_s}
    for i in range(robot.dof):
        values[f"offset_{i + 1}"] = offset[i]
        # Never worse than the incumbent, whatever the candidate was predicted to do.
        floor = _FLOOR * min(1.0, robot.lost_error[i])  # a slide of a hand's width is lost before it is 1 m off
        worst = _RAMP_MARGIN * before[i] + floor
        values[f"ramp_error_{i + 1}"] = worst
        values[f"settled_error_{i + 1}"] = min(_SETTLED_MARGIN * after[i] + floor, worst)
    return values


def canary_limits(report: ValidationReport, dof: int) -> CanaryLimits:
    """The limits of a report, as the robot's monitor takes them."""

    def each(name: str) -> tuple[float, ...]:
        return tuple(report.canary_limit[f"{name}_{i + 1}"] for i in range(dof))

    return CanaryLimits(
        offset=each("offset"),
        ramp_error=each("ramp_error"),
        settled_error=each("settled_error"),
        settle_s=report.canary_limit["settle_s"],
        variation_nm=report.canary_limit["variation_nm"],
    )
