"""How much the ground holds under feet: no foot pushes sideways more than friction allows.

Where feet use little of it, nothing tells slippery ground from any other. What a foot has used is still there, so the
force on feet that stand bounds what is lost.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pinocchio as pin

from core.block import Block
from core.legs import Legs, up_in_trunk
from core.rigid_body import Array
from sim.effect import Effect
from sim.kinds import nominal_physics
from sim.twin.balance import foot_forces
from sim.twin.parts import Stretch
from telemetry.motion import low_pass

_CUTOFF_HZ = 10.0
_APART_S = 0.2  # between instants that count: a foot goes on pushing as it does
_WEIGHT = 0.5  # and even so two of them count as one
_SPREAD = 0.08  # share of the friction by which a measured force misses
_MOST = 25.0  # an instant in which a foot strikes says no more than that
_STANDS_N = 12.0  # a foot that carries less may be in the air


class Traction:
    """Likelihood of a loss of ground friction, from the forces of four feet."""

    sees = frozenset({"ground_loss"})
    separable = True

    def __init__(self, stretch: Stretch) -> None:
        self._used = np.concatenate(_shares(Legs(stretch.robot), stretch.after))
        self._usual = self._log(1.0)

    def _log(self, left: float) -> float:
        """Log likelihood of the shares that feet use, `left` being what ground holds."""
        beyond = np.maximum(self._used - left, 0.0) / _SPREAD
        return -0.5 * _WEIGHT * float(np.minimum(np.square(beyond), _MOST).sum())

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of healthy ground."""
        return self._log(1.0 - effect.ground_loss) - self._usual if effect.ground_loss else 0.0

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> Mapping[str, float]:
        return {"ground_loss": 0.05}

    def hints(self) -> Mapping[str, Array]:
        return {}


def _shares(legs: Legs, block: Block) -> list[Array]:
    """Of each foot, the shares of nominal friction that it used while it stood, one in `_APART_S`."""
    robot, m = legs.robot, legs.m
    friction = float(np.asarray(nominal_physics(robot).constants["ground_friction"]))
    q, torque = (low_pass(block.group(name), _CUTOFF_HZ, robot.control_rate_hz) for name in ("q", "tau_meas"))
    some = slice(None, None, round(_APART_S * robot.control_rate_hz))
    q, torque = q[some], torque[some]
    turns = np.array([pin.Quaternion(pin.rpy.rpyToMatrix(*row)).coeffs() for row in q[:, m:]])
    placed = np.concatenate([np.zeros((len(q), 3)), turns, q[:, :m]], axis=1)
    weight = np.array([pin.computeGeneralizedGravity(legs.model, legs.data, row)[6:] for row in placed])
    push, up = foot_forces(legs, q, torque - weight), up_in_trunk(q[:, m:])
    onto = np.einsum("nki,ni->nk", push, up)
    across = np.linalg.norm(push - onto[..., None] * up[:, None], axis=2)
    return [across[stands, k] / (friction * onto[stands, k]) for k, stands in enumerate((onto > _STANDS_N).T)]
