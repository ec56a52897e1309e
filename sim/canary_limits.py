"""What the canary may show on the robot, from what paired simulation showed for this robot."""

from __future__ import annotations

from collections.abc import Sequence

from controllers.canary import CanaryLimits
from core.records import ValidationReport
from core.robot import Robot
from sim.evidence import Pair
from sim.twin.twin import Twin

_RAMP_MARGIN, _SETTLED_MARGIN, _FLOOR = 1.2, 2.0, 0.002  # room for what the twin does not know; chosen
_VARIATION_MARGIN = 1.5


def predicted_limits(robot: Robot, twin: Twin, pairs: Sequence[Pair]) -> dict[str, float]:
    """Observable -> largest value; without pairs nothing is predicted."""
    if not pairs:
        return {}
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


def canary_peaks(robot: Robot, pairs: Sequence[Pair]) -> tuple[list[float], list[float], float]:
    """Largest error per joint of incumbent and candidate [rad], and the largest torque variation [N*m]."""
    before = [max(pair.before.peak_error[i] for pair in pairs) for i in range(robot.dof)]
    after = [max(pair.after.peak_error[i] for pair in pairs) for i in range(robot.dof)]
    variation = max(max(pair.before.peak_variation_nm, pair.after.peak_variation_nm) for pair in pairs)
    return before, after, variation


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
