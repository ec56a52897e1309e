"""What a failure looks like: signals of one run of the incumbent in the twin, as its sensors tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from core.errors import RobotFault
from core.metrics import Array
from patcher.propose.base import Situation
from sim.evidence import draw_scenarios
from sim.workers.base import Workers
from sim.workers.outcome import Lost
from sim.workers.replays import ReplayJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """N ticks of a robot with n coordinates and m actuators."""

    t_s: Array  # (N,)
    q_ref: Array  # (N, n) reference
    qd_ref: Array  # (N, n)
    qdd_ref: Array  # (N, n)
    q: Array  # (N, n) measured
    qd: Array  # (N, n)
    command: Array  # (N, m)

    @property
    def error(self) -> Array:
        """(N, n) reference minus measured position."""
        return self.q_ref - self.q

    def first(self, ticks: int) -> Curves:
        """The same, cut."""
        return Curves(**{spec.name: getattr(self, spec.name)[:ticks] for spec in fields(self)})


def joined(parts: Sequence[Curves]) -> Curves:
    """Runs one after the other."""
    return Curves(
        **{spec.name: np.concatenate([getattr(each, spec.name) for each in parts]) for spec in fields(Curves)}
    )


def curves_of(situation: Situation, workers: Workers, severity: float = 1.0, which: int = 0) -> Curves:
    """One scenario under a share of the diagnosed fault; costs one rollout.

    Args:
        which: of the scenarios.

    Raises:
        RobotFault: it was lost.
    """
    robot = situation.twin.robot
    scenario = draw_scenarios(situation.twin, which + 1, situation.seed, severity=severity)[which]
    (rolled,) = workers.roll([(situation.incumbent, scenario)])
    (answer,) = workers.replay([ReplayJob(robot=robot, scenarios=(scenario,), commands=(rolled.command,))])
    if isinstance(answer, Lost):
        raise RobotFault(f"a run of {situation.incumbent.name} was lost ({answer.reason}: {answer.what}); start again")
    frames = answer[0].frames
    references = scenario.task(robot).references()[: len(frames)]
    return Curves(
        t_s=np.array([1e-9 * frame.stamp_ns for frame in frames]),
        q_ref=np.array([reference.q_ref for reference in references]),
        qd_ref=np.array([reference.qd_ref for reference in references]),
        qdd_ref=np.array([reference.qdd_ref for reference in references]),
        q=np.array([frame.q for frame in frames]),
        qd=np.array([frame.qd for frame in frames]),
        command=rolled.command,
    )
