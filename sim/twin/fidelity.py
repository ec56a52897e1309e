"""Does the fitted twin repeat the incident? Simulated again, without looking at how it was fitted."""

from __future__ import annotations

import math

import numpy as np

from controllers.artefact import Artefact
from core.block import Array, Block
from core.robot import Robot
from sim.faults.course import FaultCourse
from sim.kinds import open_plant
from sim.rollout import make_runtime, run
from sim.twin.memory import recall
from sim.twin.twin import Twin
from telemetry.motion import CUTOFF_HZ, low_pass

_REPLAY_S = 2.0
_SEAM_S = 0.5  # of telemetry to either side of the start that its speed is read from


def fidelity(twin: Twin, incumbent: Artefact, after_onset: Block, before: Block | None = None) -> float:
    """How well the fitted twin repeats the incident: 1 minus the error of its tracking error, relative, at least 0.

    The twin starts in the measured state and follows the recorded references under the incumbent. What sensors add to
    both is taken off: no twin repeats noise.

    Args:
        before: telemetry that ends where `after_onset` starts. It tells what the law remembers, and the speed at the
            start without the noise of a single reading.
    """
    robot, effect = twin.robot, twin.effect
    n = robot.dof
    rows = after_onset.between(after_onset.t_s[0], after_onset.t_s[0] + _REPLAY_S)
    first = rows.rows()[0]
    q = (np.array(first.frame.q) - effect.vector("offset", n)) / (1.0 + effect.vector("scale", n))
    v = _first_speed(robot, rows, before) - effect.vector("rate_offset", n)
    with open_plant(robot, twin.physics(), FaultCourse.constant(effect), seed=0) as plant:
        plant.reset(q, v, np.array(first.frame.tau_cmd))
        runtime = make_runtime(robot, incumbent)
        if before is not None:
            for name, values in recall(robot, incumbent, before).items():
                runtime.a.controller.states[name][:] = values
        trace = run(plant, runtime, [row.reference for row in rows.rows()])
    tracked = list(robot.tracked)
    measured = (rows.group("q_ref") - rows.group("q"))[:, tracked]
    if trace.diverged or len(trace.measured_error) != len(measured):
        return 0.0
    noise = float(np.mean(np.square(robot.sensors.position_noise)[tracked]))
    error = float(np.mean(np.square(measured))) - noise
    missed = float(np.mean(np.square(trace.measured_error[:, tracked] - measured)))
    missed = max(missed - 2.0 * noise, 0.0)  # the twin reads with noise too
    if error <= 0.0:  # nothing but noise: there is nothing to repeat
        return 0.0
    return float(np.clip(1.0 - math.sqrt(missed / error), 0.0, 1.0))


def _first_speed(robot: Robot, rows: Block, before: Block | None) -> Array:
    """(n,) velocity at the first of `rows`."""
    if before is None or not len(before):
        return np.array(rows.group("qd")[0])
    count = round(_SEAM_S * robot.control_rate_hz)
    read = np.concatenate([before.group("qd")[-count:], rows.group("qd")[:count]])
    smoothed: Array = low_pass(read, CUTOFF_HZ, robot.control_rate_hz)[min(count, len(before))]
    return smoothed
