"""Pairs as the figures of a report: deltas with intervals, each scenario's metrics, and the worst one in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.metrics import METRICS
from core.records import MetricDelta, ScenarioResult
from core.robot import Robot
from core.stats import paired_interval
from sim.evidence import Pair
from sim.gates.answer import thousandths

_LEVEL = 0.95  # of the intervals that a report shows; the gates go by the policy's


def deltas(robot: Robot, pairs: Sequence[Pair]) -> tuple[MetricDelta, ...]:
    """Before and after of each metric; a metric with fewer than two pairs of numbers has none."""
    found = (_delta(robot, metric, pairs) for metric in METRICS)
    return tuple(delta for delta in found if delta is not None)


def _delta(robot: Robot, metric: str, pairs: Sequence[Pair]) -> MetricDelta | None:
    """Over the pairs in which nobody was lost; over all of them if that leaves fewer than two."""
    known = [pair for pair in pairs if all(math.isfinite(j.metrics[metric]) for j in (pair.before, pair.after))]
    whole = [pair for pair in known if not (pair.before.diverged or pair.after.diverged)]
    chosen = whole if len(whole) > 1 else known
    if len(chosen) < 2:
        return None
    before = np.array([pair.before.metrics[metric] for pair in chosen])
    after = np.array([pair.after.metrics[metric] for pair in chosen])
    interval = paired_interval(after - before, _LEVEL)
    return MetricDelta(
        metric=metric,
        unit=METRICS[metric].unit(robot),
        before=float(before.mean()),
        after=float(after.mean()),
        delta=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        level=_LEVEL,
        n_pairs=len(chosen),
        method="paired t",
    )


def result(pair: Pair) -> ScenarioResult:
    """Both sets of metrics in one scenario, without what is no number."""
    return ScenarioResult(
        scenario=pair.scenario.name,
        scenario_sha=pair.scenario.sha256,
        before=_numbers(pair.before.metrics),
        after=_numbers(pair.after.metrics),
    )


def _numbers(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def worst(pairs: Sequence[Pair], unit: str) -> str:
    """The scenario in which the candidate does worst against the incumbent; empty without any."""
    if not pairs:
        return ""
    found = max(pairs, key=lambda pair: math.inf if math.isnan(pair.change) else pair.change)
    before, after = (1000 * j.metrics["rms_tracking_error"] for j in (found.before, found.after))
    return f"{found.scenario.name}: tracking error {before:.3g} -> {after:.3g} {thousandths(unit)}"
