"""Motors and propellers of a quadrotor.

The chain is that of every drive (`sim.drive`), without the play of a gear:

    asked -> limit -> lag -> supply -> [measured] -> thrust share -> dead band -> given

The lag is first order and is solved exactly over any time t: exp(-t / lag) of the way to a command is left then, and
(1 - exp(-t / lag)) lag / t of it was left in the mean. The arithmetic is compiled (`sim.flight_step`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.rigid_body import Array
from sim.drive import Drive
from sim.effect import Effect


class Rotors(Drive):
    """Four rotors; thrust in N. `push` replaces `step`, and `said` what is `measured`."""

    def __init__(
        self, limit: Array, inertia: Array, lag_s: Array, dt_s: float, low: Array, asks_rated: bool = False
    ) -> None:
        from sim import flight_step  # noqa: PLC0415 numba takes half a second to import, and only this kind needs it

        self._layout, self.bank = flight_step, np.zeros(flight_step.BANK)  # the state that `flight_step.push` works on
        super().__init__(limit, inertia, lag_s, dt_s, low, asks_rated)

    def take(self, effect: Effect) -> None:
        """Bring an effect into force."""
        super().take(effect)
        at, bank = self._layout, self.bank
        bank[at.MOST], bank[at.LEFT], bank[at.LOST] = self._high, self._gain, self._dead
        bank[at.SAG] = self._sag / self._total
        self._lag_s = self._own_lag_s + effect.vector("motor_lag_s", len(self._rated))
        self._shares: dict[int, Array] = {}

    def restart(self, effort: Array) -> None:
        """As if the rotors had given `effort` (4,) for a while."""
        super().restart(effort)
        self.bank[self._layout.TURNING] = self.bank[self._layout.SAID] = self.measured

    def shares(self, steps: int) -> Array:
        """(8,) of the way to a command, the share of each rotor left after `steps` physics steps, and until then."""
        shares = self._shares.get(steps)
        if shares is None:
            over, lag_s = steps * self._dt_s, self._lag_s
            left = np.exp(-over / np.maximum(lag_s, 1e-9 * over))
            shares = self._shares[steps] = np.concatenate([left, (1.0 - left) * lag_s / over])
        return shares

    def push(self, asked: Sequence[float], steps: int) -> tuple[float, ...]:
        """Mean thrust while `asked` (4) is due for `steps` physics steps; `said` is then what rotor speed tells."""
        a, b, c, d = asked
        mean: tuple[float, ...] = self._layout.push(a, b, c, d, self.shares(steps), self.bank)
        return mean

    @property
    def said(self) -> list[float]:
        """(4) thrust by rotor speed: of the drives' chain, what is measured."""
        said: list[float] = self.bank[self._layout.SAID].tolist()
        return said

    @property
    def given(self) -> list[float]:
        """(4) thrust that reaches the body now."""
        left, lost = self.bank[self._layout.LEFT], self.bank[self._layout.LOST]
        given: list[float] = np.maximum(self.bank[self._layout.SAID] * left - lost, 0.0).tolist()
        return given
