"""Motors and propellers in plain floats: for four numbers an array costs more than the arithmetic.

The chain is that of every drive (`sim.drive`), without the play of a gear:

    asked -> limit -> lag -> supply -> [measured] -> thrust share -> dead band -> given

The lag is first order and is solved exactly over any time t: exp(-t / lag) of the way to a command is left then, and
(1 - exp(-t / lag)) lag / t of it was left in the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.rigid_body import Array
from sim.drive import Drive
from sim.effect import Effect

Four = tuple[float, float, float, float]


class Rotors(Drive):
    """Four rotors; thrust in N. `push` replaces `step`."""

    def take(self, effect: Effect) -> None:
        """Bring an effect into force."""
        super().take(effect)
        self._lag_s: list[float] = (self._own_lag_s + effect.vector("motor_lag_s", len(self._rated))).tolist()
        self._shares: dict[int, tuple[Four, Four]] = {}
        self._most, self._left, self._lost = _four(self._high), _four(self._gain), _four(self._dead)
        self._gives_all = not (self._sag or self._weak or self._has_dead)

    def restart(self, effort: Array) -> None:
        """As if the rotors had given `effort` (4,) for a while."""
        super().restart(effort)
        self.turning = self.said = _four(self.measured)

    def push(self, asked: Sequence[float], steps: int) -> Four:
        """Mean thrust while `asked` (4) is due for `steps` physics steps; `said` is then what rotor speed tells.

        Supply and dead band are taken at the mean rotor speed, which changes by a few per cent meanwhile.
        """
        shares = self._shares.get(steps)
        if shares is None:
            shares = self._shares[steps] = self._reached(steps)
        (p, q, r, s), (e, f, g, h) = shares
        if self._clips:  # commands are inside the rated range, but that may have shrunk
            asked = [min(thrust, most) for thrust, most in zip(asked, self._most, strict=True)]
        a, b, c, d = asked
        i, j, k, m = self.turning
        i, j, k, m = i - a, j - b, k - c, m - d
        self.turning = self.said = (a + p * i, b + q * j, c + r * k, d + s * m)
        mean = (a + e * i, b + f * j, c + g * k, d + h * m)
        if self._gives_all:
            return mean
        self.said = self._supplied(self.turning)
        return self.given(mean)

    def given(self, turning: Four) -> Four:
        """Thrust of rotors that the supply would have turn for the thrust `turning`."""
        if self._gives_all:
            return turning
        a, b, c, d = self._supplied(turning)
        e, f, g, h = self._left
        i, j, k, m = self._lost
        return max(a * e - i, 0.0), max(b * f - j, 0.0), max(c * g - k, 0.0), max(d * h - m, 0.0)

    def _supplied(self, turning: Four) -> Four:
        a, b, c, d = turning
        left = max(1.0 - self._sag * (a + b + c + d) / self._total, 0.0)
        return left * a, left * b, left * c, left * d

    def _reached(self, steps: int) -> tuple[Four, Four]:
        """Of the way to a command, the share that is left after `steps` physics steps, and its mean until then."""
        over = steps * self._dt_s
        left = [math.exp(-over / lag) if lag > 0 else 0.0 for lag in self._lag_s]
        mean = [(1.0 - share) * lag / over for share, lag in zip(left, self._lag_s, strict=True)]
        return _four(np.array(left)), _four(np.array(mean))


def _four(values: Array) -> Four:
    """An array of four as plain floats."""
    a, b, c, d = values.tolist()
    return a, b, c, d
