"""What a failure looks like: signals of one run of the incumbent in the twin, as its sensors tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from core.metrics import Array
from patcher.propose.base import Situation
from sim.evidence import draw_scenarios
from sim.workers.base import Workers


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
    (rolled,) = workers.roll([(situation.incumbent, scenario)], lockstep=situation.incumbent)
    assert rolled.exchange is not None
    signals = rolled.exchange.signals(robot)
    return Curves(
        t_s=np.arange(len(rolled.command), dtype=float) * robot.dt_s,
        q_ref=signals["q_ref"],
        qd_ref=signals["qd_ref"],
        qdd_ref=signals["qdd_ref"],
        q=signals["q"],
        qd=signals["qd"],
        command=rolled.command,
    )
