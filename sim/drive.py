"""Motor, amplifier, supply and gear of every drive: from the effort asked for to the effort that moves the robot.

    asked -> limit -> lag -> supply -> [measured] -> motor constant -> play -> dead band -> transmitted

What a current sensor can see lies before the motor constant; what is lost behind it shows only in the motion.
"""

from __future__ import annotations

import numpy as np

from core.rigid_body import Array
from sim.effect import Effect

_ROTOR = 0.01  # inertia of a motor for which none is stated [kg*m^2]: it crosses a gap quickly


def crossing_inertia(rotor_inertia: float) -> float:
    """The inertia with which a motor crosses the play of its gear [kg*m^2]."""
    return rotor_inertia if rotor_inertia > 0 else _ROTOR


class Drive:
    """The m drives of one robot.

    Args:
        limit: (m,) largest effort [N*m or N].
        inertia: (m,) rotor inertia, which crosses the play of a gear [kg*m^2].
        lag_s: (m,) time constant of the healthy drive [s].
        dt_s: physics step.
        low: (m,) smallest effort; zero for a rotor.
        asks_rated: whether no effort beyond the range is ever asked for.
    """

    def __init__(
        self, limit: Array, inertia: Array, lag_s: Array, dt_s: float, low: Array, asks_rated: bool = False
    ) -> None:
        self._rated, self._rated_low, self._own_lag_s, self._dt_s = limit, low, lag_s, dt_s
        self._inertia = np.array([crossing_inertia(own) for own in inertia.tolist()])
        self._asks_rated = asks_rated
        self._total, self._none = float(limit.sum()), np.zeros(len(limit))
        self.take(Effect())
        self.restart(np.zeros(len(limit)))

    def take(self, effect: Effect) -> None:
        """Bring an effect into force."""
        m = len(self._rated)
        loss = effect.vector("limit_loss", m)
        left = np.maximum(1.0 - loss, 0.0)
        self._high, self._low = self._rated * left, self._rated_low * left
        self._clips = not self._asks_rated or bool(loss.any())
        lag_s = self._own_lag_s + effect.vector("motor_lag_s", m)
        self._lags = bool(lag_s.any())
        self._follow = -np.expm1(-self._dt_s / np.maximum(lag_s, 1e-9)) if self._lags else None
        self._sag = effect.sag
        self._gain = np.maximum(1.0 - effect.vector("gain_loss", m), 0.0)  # two losses never drive backwards
        self._weak = bool(np.any(self._gain != 1.0))
        self._play, self._dead = 0.5 * effect.vector("backlash", m), effect.vector("deadband", m)
        self._has_play, self._has_dead = bool(self._play.any()), bool(self._dead.any())

    @property
    def is_prompt(self) -> bool:
        """Whether the effort depends on the present command alone, so that one answer holds while the command does."""
        return not (self._lags or self._has_play)

    def restart(self, effort: Array) -> None:
        """As if the drives had given `effort` (m,) for a while."""
        self.measured = np.minimum(np.maximum(effort, self._low), self._high)
        self._behind_lag = self.measured
        self._gap = self._gap_speed = self._none
        if self._has_play:
            self._gap = np.sign(self.measured) * self._play  # the gears rest on the side that they push

    def step(self, asked: Array) -> Array:
        """(m,) transmitted effort during one physics step in which the effort `asked` (m,) is due."""
        effort = np.minimum(np.maximum(asked, self._low), self._high) if self._clips else asked
        if self._follow is not None:
            effort = self._behind_lag = self._behind_lag + self._follow * (effort - self._behind_lag)
        if self._sag:
            effort = effort * max(1.0 - self._sag * float(np.abs(effort).sum()) / self._total, 0.0)
        self.measured = effort
        if self._weak:
            effort = effort * self._gain
        if self._has_play:
            effort = self._across_the_gap(effort)
        if self._has_dead:
            effort = np.sign(effort) * np.maximum(np.abs(effort) - self._dead, 0.0)
        return effort

    def _across_the_gap(self, effort: Array) -> Array:
        """Effort that reaches the link: all of it in contact, none while the motor crosses the gap."""
        touching = (effort * self._gap > 0) & (np.abs(self._gap) >= self._play) | (self._play <= 0)
        speed = np.where(touching, 0.0, self._gap_speed + effort / self._inertia * self._dt_s)
        gap = self._gap + speed * self._dt_s
        landed = np.abs(gap) >= self._play
        self._gap = np.clip(gap, -self._play, self._play)
        self._gap_speed = np.where(landed, 0.0, speed)
        return np.where(touching, effort, 0.0)
