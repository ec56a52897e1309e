"""Whether a joint moves at all: a brake that holds says that it does not, whatever is asked of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.block import Block
from core.rigid_body import Array
from sim.effect import Effect
from sim.twin.parts import Stretch
from telemetry.motion import smooth

_HEAD_S = 10.0  # of healthy telemetry that is looked at
_SLACK = 5.0  # speeds below so many standard deviations of the sensor count as none: brakes creep


def _recent(head: Block) -> Block:
    return head.between(head.t_s[-1] - _HEAD_S, np.inf)


class Standstill:
    """Likelihood of brakes, from n velocities against their references."""

    sees = frozenset({"brake"})
    separable = True

    def __init__(self, stretch: Stretch) -> None:
        robot = stretch.robot
        self._n = robot.dof
        motion = smooth(stretch.after, robot.control_rate_hz)
        wanted = motion.wide.reduce(stretch.after.group("qd_ref"))
        still = np.maximum(_SLACK * np.array(robot.sensors.velocity_noise), 1e-6)
        missed = np.sqrt(np.mean(np.square(motion.v - wanted), axis=0))
        spread = np.maximum(missed, still)  # how well a joint that can move has followed
        led = np.isin(np.arange(robot.dof), [joint for joint in robot.drives if joint is not None])
        usual = np.sqrt(np.mean(np.square(smooth(_recent(stretch.head), robot.control_rate_hz).v), axis=0))
        spread = np.where(led, spread, np.maximum(spread, usual))  # nothing leads it: it goes where the others take it
        speed = np.mean(np.square(motion.v), axis=0)
        each = np.log(spread / still) + 0.5 * np.square(missed / spread) - 0.5 * speed / np.square(still)
        self._gain = len(motion) * each

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of a healthy robot."""
        return float(self._gain[effect.vector("brake", self._n) > 0].sum())

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> Mapping[str, float]:
        return {}

    def hints(self) -> Mapping[str, Array]:
        return {}
