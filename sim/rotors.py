"""Motors and propellers in plain floats: for four numbers an array costs more than the arithmetic.

The chain is that of every drive (`sim.drive`), without the play of a gear:

    asked -> limit -> lag -> supply -> [measured] -> thrust share -> dead band -> given
"""

from __future__ import annotations

from core.rigid_body import Array
from sim.drive import Drive
from sim.effect import Effect

Four = tuple[float, float, float, float]


class Rotors(Drive):
    """Four rotors; thrust in N. `push` replaces `step`."""

    def take(self, effect: Effect) -> None:
        """Bring an effect into force."""
        super().take(effect)
        self.rates: Four = four(self._follow if self._follow is not None else self._gain / self._gain)
        self._most, self._left, self._lost = four(self._high), four(self._gain), four(self._dead)
        self.is_plain = not (self._clips or self._sag or self._weak or self._has_dead)

    def restart(self, effort: Array) -> None:
        """As if the rotors had given `effort` (4,) for a while."""
        super().restart(effort)
        self.turning = self.said = four(self.measured)

    def push(self, asked: Four) -> Four:
        """Thrust during one physics step in which `asked` is due; `said` is then what rotor speed tells."""
        a, b, c, d = asked if self.is_plain else self._limited(asked)
        i, j, k, l = self.turning  # noqa: E741
        p, q, r, s = self.rates
        turning = (i + p * (a - i), j + q * (b - j), k + r * (c - k), l + s * (d - l))
        self.turning = self.said = turning
        return turning if self.is_plain else self._given(turning)

    def _limited(self, asked: Four) -> Four:
        """Commands of this kind are not below zero, and above the rated range only once that has shrunk."""
        a, b, c, d = map(min, asked, self._most)
        return a, b, c, d

    def _given(self, turning: Four) -> Four:
        left = max(1.0 - self._sag * sum(turning) / self._total, 0.0)
        a, b, c, d = self.said = _scaled(turning, left)
        e, f, g, h = self._left
        i, j, k, m = self._lost
        return max(a * e - i, 0.0), max(b * f - j, 0.0), max(c * g - k, 0.0), max(d * h - m, 0.0)


def four(values: Array) -> Four:
    """An array of four as plain floats."""
    a, b, c, d = values.tolist()
    return a, b, c, d


def _scaled(values: Four, share: float) -> Four:
    a, b, c, d = values
    return share * a, share * b, share * c, share * d
