"""Does the fitted twin repeat the incident? Simulated again, without looking at how it was fitted."""

from __future__ import annotations

import numpy as np

from controllers.artefact import Artefact
from core.block import Block
from sim.faults.course import FaultCourse
from sim.kinds import open_plant
from sim.rollout import make_runtime, run
from sim.twin.twin import Twin

_REPLAY_S = 2.0


def fidelity(twin: Twin, incumbent: Artefact, after_onset: Block) -> float:
    """How well the fitted twin repeats the incident: 1 minus the error of its tracking error, relative, at least 0.

    The twin starts in the measured state and follows the recorded references under the incumbent.
    """
    robot, effect = twin.robot, twin.effect
    n = robot.dof
    rows = after_onset.between(after_onset.t_s[0], after_onset.t_s[0] + _REPLAY_S)
    first = rows.rows()[0]
    q = (np.array(first.frame.q) - effect.vector("offset", n)) / (1.0 + effect.vector("scale", n))
    v = np.array(first.frame.qd) - effect.vector("rate_offset", n)
    with open_plant(robot, twin.physics(), FaultCourse.constant(effect), seed=0) as plant:
        plant.reset(q, v, np.array(first.frame.tau_cmd))
        trace = run(plant, make_runtime(robot, incumbent), [row.reference for row in rows.rows()])
    tracked = list(robot.tracked)
    measured = (rows.group("q_ref") - rows.group("q"))[:, tracked]
    if trace.diverged or len(trace.measured_error) != len(measured):
        return 0.0
    miss = np.sqrt(np.mean(np.square(trace.measured_error[:, tracked] - measured)))
    return float(np.clip(1.0 - miss / np.sqrt(np.mean(np.square(measured))), 0.0, 1.0))
