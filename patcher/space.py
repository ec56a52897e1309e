"""What a search vector without units means: how much of each remedy, and how stiff and damped the loop is.

Every value that comes out lies inside the manifest's bounds, and within the largest step of one patch from where the
parameter was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.params import Value
from core.metrics import Array

MOST = 9  # dimensions; with a few hundred rollouts more are worse than fewer (measured on the arm)
_GAIN_RANGE = 4.0  # gains within a quarter and four times: tuned without noise, they run to their bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The numbers of a law that a search may move.

    Args:
        law: what is tuned.
        params: its parameters, from which the largest step counts.
        remedies: groups of parameters at their full amount; each group scales as one.
        gains: names of parameters that scale by powers.
        free: entries of parameters that move over their whole range, as name and indices; () is a number.
    """

    law: Artefact
    base: Controller
    params: dict[str, Value]
    remedies: tuple[dict[str, Value], ...]
    gains: tuple[str, ...]
    free: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def size(self) -> int:
        return len(self.remedies) + len(self.gains) + len(self.free)

    @property
    def start(self) -> Array:
        """The point at which a search begins: remedies in full, gains as they are, the rest where it is."""
        known = len(self.remedies) + len(self.gains)
        return np.array([0.0] * known + [self._place(name, places) for name, places in self.free])

    def values(self, x: Array) -> dict[str, Value]:
        """Parameters at search point `x`: remedies scaled by 1 + x/2, gains by 4^x."""
        values: dict[str, Value] = {}
        known = len(self.remedies) + len(self.gains)
        shares, exponents = x[: len(self.remedies)], x[len(self.remedies) : known]
        for remedy, share in zip(self.remedies, shares, strict=True):
            for name, full in remedy.items():
                values[name] = self._inside(name, _between(self.params[name], full, 1.0 + 0.5 * float(share)))
        for name, exponent in zip(self.gains, exponents, strict=True):
            old, factor = self.base.params[name], math.pow(_GAIN_RANGE, float(exponent))
            values[name] = self._inside(name, [factor * v for v in old] if isinstance(old, list) else factor * old)
        for (name, places), share in zip(self.free, x[known:], strict=True):
            values[name] = self._moved(name, values.get(name, self.base.params[name]), places, float(share))
        return values

    def _moved(self, name: str, value: Value, places: tuple[int, ...], share: float) -> Value:
        """A value with some entries at `share` of their range: -1 its lower end, 1 its upper one."""
        spec = self.base.manifest.params[name]
        ends = [low + 0.5 * (share + 1.0) * (high - low) for low, high in zip(spec.low, spec.high, strict=True)]
        if not isinstance(value, list):
            return self._inside(name, ends[0])
        return self._inside(name, [ends[i] if i in places else v for i, v in enumerate(value)])

    def _place(self, name: str, places: tuple[int, ...]) -> float:
        spec, value = self.base.manifest.params[name], self.base.params[name]
        at = places[0] if places else 0
        low, high = spec.low[at], spec.high[at]
        now = value[at] if isinstance(value, list) else value
        return 2.0 * (now - low) / (high - low) - 1.0 if high > low else 0.0

    def at(self, x: Array) -> Artefact:
        """The law at a search point."""
        return with_params(self.law, self.values(x))

    def _inside(self, name: str, value: Value) -> Value:
        spec, old = self.base.manifest.params[name], self.params[name]
        if not isinstance(value, list) or not isinstance(old, list):
            assert isinstance(value, float)
            assert isinstance(old, float)
            return _clip(value, old, spec.low[0], spec.high[0], spec.max_step)
        last = len(spec.low) - 1
        return [
            _clip(v, o, spec.low[min(i, last)], spec.high[min(i, last)], spec.max_step)
            for i, (v, o) in enumerate(zip(value, old, strict=True))
        ]


def _clip(value: float, old: float, low: float, high: float, max_step: float) -> float:
    reach = max_step * (high - low)
    return min(max(value, low, old - reach), high, old + reach)


def _between(old: Value, full: Value, share: float) -> Value:
    if isinstance(old, list) and isinstance(full, list):
        return [o + share * (f - o) for o, f in zip(old, full, strict=True)]
    assert isinstance(old, float)
    assert isinstance(full, float)
    return old + share * (full - old)
