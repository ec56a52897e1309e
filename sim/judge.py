"""What a judgement keeps of a rollout: metrics, peaks and broken limits, small enough to send between processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from core.metrics import Array
from core.robot import Robot
from sim.rollout import Trace, rollout
from sim.scenario import Scenario
from sim.visited import NOWHERE, Visited, visited

_CHATTER_TICKS = 25  # window of the peak torque variation, as the canary measures it
LOST_VARIATION_NM = 1e4  # of a run that came apart before there was a window; finite, so that a report can carry it
_FAR = 1e9  # error [rad or m] of a run that came apart so fast that it has none
_SETTLE_TICKS = 50  # a rollout starts at rest on its reference; its first 0.1 s is no sample of tracking


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One controller in one scenario."""

    metrics: dict[str, float]
    peak_error: tuple[float, ...]  # per joint, largest true tracking error
    peak_variation_nm: float  # largest windowed mean of the command's change per tick, summed over joints
    diverged: bool
    safety_share: float  # share of ticks in which the safety law had to command
    clipped_share: float
    limit_broken: bool  # a joint left its range, or the envelope had to replace a command
    visited: Visited = NOWHERE


def judge(robot: Robot, artefact: Artefact, scenario: Scenario) -> Judgement:
    """Run `artefact` in `scenario`."""
    return judge_trace(robot, rollout(robot, artefact, scenario))


def judge_trace(robot: Robot, trace: Trace) -> Judgement:
    """What to keep of a rollout that was run."""
    return Judgement(
        metrics=trace.metrics(),
        peak_error=tuple(np.nan_to_num(np.max(np.abs(trace.error), axis=0), nan=_FAR, posinf=_FAR).tolist()),
        peak_variation_nm=_peak_variation(trace.command),
        diverged=trace.diverged,
        safety_share=trace.safety_share,
        clipped_share=trace.clipped_share,
        limit_broken=trace.diverged or trace.safety_share > 0 or _leaves_range(robot, trace),
        visited=visited(robot, trace.q_true + trace.error - trace.measured_error, trace.q_true, trace.command),
    )


def _peak_variation(command: Array) -> float:
    change = np.sum(np.abs(np.diff(command, axis=0)), axis=1)
    if len(change) <= _SETTLE_TICKS + _CHATTER_TICKS:
        return LOST_VARIATION_NM
    window = np.convolve(change[_SETTLE_TICKS:], np.full(_CHATTER_TICKS, 1.0 / _CHATTER_TICKS), mode="valid")
    return float(window.max())


def _leaves_range(robot: Robot, trace: Trace) -> bool:
    lower, upper = np.array(robot.limits.lower), np.array(robot.limits.upper)
    return bool(np.any(trace.q_true < lower) or np.any(trace.q_true > upper))
