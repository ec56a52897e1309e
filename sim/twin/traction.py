"""How much the ground holds under feet: none pushes sideways more than friction allows, and near that it may slide.

Where feet use little of it, nothing tells slippery ground from any other. What a foot has used is still there, so the
force on feet that stand bounds what is lost; and feet that slide though they use little say that there is little left.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit

from core.block import Block
from core.legs import Legs
from core.rigid_body import Array
from sim.effect import Effect
from sim.twin.parts import Mask, Stretch
from sim.twin.stance import upright
from sim.twin.tread import Tread

_APART_S = 0.2  # between instants that count: a foot goes on pushing as it does
_WEIGHT = 0.5  # and even so two of them count as one
_SPREAD = 0.08  # share of the friction by which a measured force misses
_MOST = 25.0  # an instant in which a foot strikes says no more than that
_LOADED_N = 12.0  # a foot that carries less may be in the air
_HEAD_S = 20.0  # of healthy telemetry that is looked at
_SLIDES = 4.5  # standard deviations of the healthy way in a while
_AGREE = (2.0, 3.5)  # that the way by speed is long at least, and off at the most
_AT_LIMIT = 0.05  # probability that a foot slides in a while in which it uses all that is left
_NEAR, _WIDTH = 0.85, 0.1  # share of it from which it may, and how sharply
_ONE_FOOT = 0.5  # a foot that slides leaves two of the other three, as a rule
_ONSET_S = 0.3  # before the stretch


class Traction:
    """Likelihood of a loss of ground friction, from the forces and the slides of feet."""

    sees = frozenset({"ground_loss"})
    separable = True

    def __init__(self, stretch: Stretch) -> None:
        robot, legs = stretch.robot, Legs(stretch.robot)
        after = Tread(legs, upright(robot, _from_onset(stretch)))
        some = slice(None, None, round(_APART_S * robot.control_rate_hz))
        self._used = after.use[some][after.onto[some] > _LOADED_N]
        head = Tread(legs, stretch.head.between(stretch.head.t_s[-1] - _HEAD_S, np.inf))
        (way, by_speed), stands = head.slides(), _inner(head.stands())
        std = (_spread(way[stands]), _spread(by_speed[stands]))
        self._odd = (np.sum(_slid(way, by_speed, std)[stands]) + 0.5) / (np.sum(stands) + 1.0)
        stands = _inner(after.stands())
        self._use = after.pair_use()[stands]
        self._slides = _slid(*after.slides(), std)[stands]
        self._usual = self._log(1.0)

    def _log(self, left: float) -> float:
        """Log likelihood of the shares that feet use and of what slid, `left` being what ground holds."""
        beyond = np.maximum(self._used - left, 0.0) / _SPREAD
        forces = -0.5 * _WEIGHT * float(np.minimum(np.square(beyond), _MOST).sum())
        slides = self._odd + _AT_LIMIT * expit((self._use / max(left, 1e-3) - _NEAR) / _WIDTH)
        return forces + _ONE_FOOT * float(np.log(np.where(self._slides, slides, 1.0 - slides)).sum())

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of healthy ground."""
        return self._log(1.0 - effect.ground_loss) - self._usual if effect.ground_loss else 0.0

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> Mapping[str, float]:
        return {"ground_loss": 0.05}

    def hints(self) -> Mapping[str, Array]:
        return {}


def _from_onset(stretch: Stretch) -> Block:
    """Where friction is lost, feet slide at once, until they push each other less."""
    if stretch.around is None:
        return stretch.after
    begins = stretch.around[-round(_ONSET_S * stretch.robot.control_rate_hz) :]
    return Block(data=np.concatenate([begins.data, stretch.after.data]), actuators=stretch.after.actuators)


def _spread(way: Array) -> float:
    """Standard deviation without slides."""
    return 1.48 * float(np.median(np.abs(way))) if len(way) else 1.0


def _slid(way: Array, by_speed: Array, std: tuple[float, float]) -> Mask:
    """(B, p) where the angles show a slide and the speeds agree; `std` is that of the healthy way by either."""
    agrees = (by_speed * np.sign(way) > _AGREE[0] * std[1]) & (np.abs(way - by_speed) < _AGREE[1] * std[1])
    slid: Mask = (np.abs(way) > _SLIDES * std[0]) & agrees
    return slid


def _inner(stands: Mask) -> Mask:
    """`stands` without the first and the last while, which the filter bends."""
    inner = stands.copy()
    inner[:1] = inner[-1:] = False
    return inner
