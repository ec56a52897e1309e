"""What happens when a residual is cut: the law runs on, and its residual is put to zero at moments nobody has chosen.

A policy may fade at any tick, because it left its training or because somebody set its authority to zero. The law under
it has to take over from wherever the robot is then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from controllers.runtime import Command, Runtime
from core.frames import Frame, Reference
from core.robot import Robot
from sim.judge import Judgement, judge_trace
from sim.rollout import drive, make_runtime
from sim.scenario import Scenario

_SILENT = ("net_target", "net_last")
_SHARE = 0.3  # of the ticks without the residual
_STRETCH_S = 0.2  # mean length of a cut


@dataclass(slots=True)
class Cut:
    """The control loop of a robot whose law loses its residual now and then."""

    runtime: Runtime
    silent: Sequence[bool]  # for each tick
    tick_: int = 0

    def tick(self, frame: Frame, reference: Reference, now_ns: int) -> Command:
        """The command for this measurement."""
        if self.silent[self.tick_ % len(self.silent)]:
            states = self.runtime.a.controller.states
            for name in _SILENT:
                states[name][:] = [0.0] * len(states[name])
        self.tick_ += 1
        return self.runtime.tick(frame, reference, now_ns)


def cut_runs(robot: Robot, law: Artefact, scenarios: Sequence[Scenario], seed: int) -> list[Judgement]:
    """One run in each scenario with cuts at random ticks."""
    rng = np.random.default_rng(seed)
    found = []
    for scenario in scenarios:
        silent = _stretches(round(scenario.duration_s / robot.dt_s) + 1, robot.dt_s, rng)
        found.append(judge_trace(robot, drive(robot, Cut(make_runtime(robot, law), silent), scenario)))
    return found


def _stretches(ticks: int, dt_s: float, rng: np.random.Generator) -> list[bool]:
    """Stretches with and without, their lengths drawn so that a cut can begin at any tick."""
    silent: list[bool] = []
    cut = bool(rng.random() < _SHARE)
    while len(silent) < ticks:
        mean_s = _STRETCH_S if cut else _STRETCH_S * (1.0 - _SHARE) / _SHARE
        silent += [cut] * (1 + int(rng.exponential(mean_s) / dt_s))
        cut = not cut
    return silent[:ticks]
