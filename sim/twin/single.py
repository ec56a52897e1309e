"""One cause against the telemetry: how it shifts the rows, and what the other parts say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.rigid_body import Array
from sim.effect import Effect, combine
from sim.twin.cause import Cause
from sim.twin.linear import Expansion, Stack
from sim.twin.parts import Likelihood
from sim.twin.scan import Scan, scan

_STEP = 0.02  # of a derivative, in prior standard deviations
_STARTS = (0.2, 0.6, 1.2)  # where a one-sided cause that is not linear is expanded first, in the same unit
_CONTRADICTED = -20.0  # log likelihood at which a cause without unknowns is dropped


@dataclass(slots=True, kw_only=True)
class Single:
    """What is known of one cause so far. Its unknowns are measured by rows, or scanned in a likelihood."""

    cause: Cause
    fields: frozenset[str]
    expansion: Expansion
    scan: Scan | None = None
    sure: float = 0.0  # log likelihood gain where there is no unknown
    is_linear: bool = True

    @property
    def gain(self) -> float:
        """Log evidence outside the rows."""
        return self.sure if self.scan is None else self.scan.gain


class Preparation:
    """Turns causes into singles against one stretch of telemetry."""

    def __init__(self, stack: Stack, likelihoods: Sequence[Likelihood]) -> None:
        self._stack, self._likelihoods = stack, tuple(likelihoods)
        self._columns: dict[tuple[str, int], Array] = {}  # (fault, place) -> slope of its one unknown

    def seeing(self, fields: frozenset[str]) -> list[Likelihood]:
        """The likelihoods that see `fields`."""
        return [part for part in self._likelihoods if part.sees & fields]

    def singles(self, causes: Sequence[Cause]) -> list[Single]:
        """All causes that some part sees and none contradicts outright, and the healthy robot."""
        found = [single for single in map(self._single, causes) if single is not None]
        for part in self._likelihoods:
            scanned = [s for s in found if s.scan is not None and part.sees & s.fields]
            best = max(scanned, key=lambda s: s.gain, default=None)
            if best is None or best.scan is None or best.gain <= 0:
                continue
            if part.settle(best.cause.effect(np.array([best.scan.theta]))):
                for single in scanned:
                    single.scan = self.scan(single)
        return found

    def _single(self, cause: Cause) -> Single | None:
        fields = cause.touched
        parts = self.seeing(fields)
        if cause.fault != "none" and not parts and not fields & self._stack.sees:
            return None
        k = len(cause.prior_std)
        if not k:
            sure = sum(part.gain(cause.effect(np.zeros(0))) for part in parts)
            if sure < _CONTRADICTED:
                return None
            return Single(cause=cause, fields=fields, expansion=self.pinned(cause, np.zeros(0)), sure=sure)
        if parts and k == 1:
            single = Single(cause=cause, fields=fields, expansion=self.pinned(cause, np.zeros(1)))
            single.scan = self.scan(single)
            single.expansion = self.pinned(cause, np.array([single.scan.theta]))
            return single
        linear = self._stack.is_linear(fields)
        return Single(cause=cause, fields=fields, expansion=self.expand(cause, np.zeros(k)), is_linear=linear)

    def scan(self, single: Single, beside: Effect | None = None) -> Scan:
        """Posterior of the unknown of `single`, another effect being in force or not; peak counts both."""
        cause = single.cause
        parts = self.seeing(single.fields)
        base = 0.0 if beside is None else sum(part.gain(beside) for part in parts)

        def gain(theta: float) -> float:
            effect = cause.effect(np.array([theta]))
            whole = effect if beside is None else combine([(1.0, beside), (1.0, effect)])
            return sum(part.gain(whole) for part in parts) - base

        unit = cause.effect(np.array([cause.high[0] or cause.low[0]]))
        hints, resolution = [], 0.0
        for part in parts:
            for name, values in part.hints().items():
                per_theta = unit.vector(name, len(values)) / (cause.high[0] or cause.low[0])
                hints += [float(v / p) for v, p in zip(values, per_theta, strict=True) if p]
            for name, std in part.resolution().items():
                per_theta = np.max(np.abs(getattr(unit, name))) / abs(cause.high[0] or cause.low[0])
                resolution = max(resolution, std / per_theta if per_theta else 0.0)
        return scan(gain, float(cause.prior_std[0]), float(cause.low[0]), float(cause.high[0]), hints, resolution)

    def is_shared(self, single: Single) -> bool:
        """Whether a part sees it whose gains do not add up over faults."""
        return any(not part.separable for part in self.seeing(single.fields))

    def clash(self, a: Single, b: Single) -> bool:
        """Whether two causes change the same place in a part that only takes places apart."""
        same = [part for part in self.seeing(a.fields) if part.sees & b.fields and part.separable]
        return bool(same) and (not a.cause.places or not b.cause.places or bool({*a.cause.places} & {*b.cause.places}))

    def scan_gain(self, single: Single, theta: float) -> float:
        """Log likelihood gain of `single` alone at `theta`."""
        effect = single.cause.effect(np.array([theta]))
        return sum(part.gain(effect) for part in self.seeing(single.fields))

    def pinned(self, cause: Cause, theta: Array) -> Expansion:
        """The shift of the rows at `theta`, which the rows do not measure."""
        rows = len(self._stack.residual)
        effect = cause.effect(theta)
        return Expansion(
            cause=cause, fixed=self._stack.shift(effect), slope=np.zeros((rows, 0)), freed=self._stack.freed(effect)
        )

    def expand(self, cause: Cause, at: Array) -> Expansion:
        """The shift of the rows to first order around `at`."""
        if not np.any(at):
            slope = np.stack([self._column(cause, i) for i in range(len(at))], axis=1)
            fixed = np.zeros(len(slope))
        else:
            here = self._stack.shift(cause.effect(at))
            slope = np.stack([self._slope(cause, i, at, here) for i in range(len(at))], axis=1)
            fixed = here - slope @ at
        return Expansion(cause=cause, fixed=fixed, slope=slope, freed=self._stack.freed(cause.effect(cause.prior_std)))

    def starts(self, single: Single) -> list[Expansion]:
        """Expansions to begin with: several where the slope at "no fault" may mislead."""
        cause = single.cause
        one_sided = len(cause.low) == 1 and (cause.low[0] == 0.0 or cause.high[0] == 0.0)
        if single.is_linear or not one_sided:
            return [single.expansion]
        sign = 1.0 if cause.high[0] > 0 else -1.0
        return [self.expand(cause, sign * start * cause.prior_std) for start in _STARTS]

    def _column(self, cause: Cause, i: int) -> Array:
        """(R,) slope of unknown `i` at no fault; a fault of all places has the slopes of its places."""
        own = (cause.fault, cause.places[i]) if len(cause.places) == len(cause.prior_std) else None
        if own is None or own not in self._columns:
            column = self._slope(cause, i, np.zeros(len(cause.prior_std)), np.zeros(len(self._stack.residual)))
            if own is None:
                return column
            self._columns[own] = column
        return self._columns[own]

    def _slope(self, cause: Cause, i: int, at: Array, here: Array) -> Array:
        linear = self._stack.is_linear(cause.touched)
        step = (1.0 if linear else _STEP) * float(cause.prior_std[i])
        if at[i] + step > cause.high[i]:
            step = -step
        moved = at.copy()
        moved[i] += step
        return (self._stack.shift(cause.effect(moved)) - here) / step
