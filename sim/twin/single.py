"""One cause against the telemetry: how it shifts the rows, and what the other parts say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.rigid_body import Array
from sim.effect import Effect, combine
from sim.twin.cause import Cause
from sim.twin.linear import Expansion
from sim.twin.parts import Likelihood
from sim.twin.scan import Scan, scan
from sim.twin.stack import Stack

_STEP = 0.02  # of a derivative, in prior standard deviations
_LEAST_STEP = 0.001  # the same where a scan has found the unknown more closely
_STARTS = (0.2, 0.6, 1.2)  # where a one-sided cause that is not linear is expanded first, in the same unit
_POINTS, _POINTS_BESIDE = 16, 8  # of the grid on which an unknown is looked for, alone and beside another fault
_CONTRADICTED = -20.0  # log likelihood at which a cause without unknowns is dropped


@dataclass(slots=True, kw_only=True)
class Single:
    """What is known of one cause so far.

    Its unknowns are measured by rows. One that a likelihood sees is scanned there first, and the rows go on from what
    the scan has found.
    """

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
        for single in found:
            if single.scan is not None:
                self._go_on(single)
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
            return Single(cause=cause, fields=fields, expansion=self._pinned(cause.effect(np.zeros(0))), sure=sure)
        if parts and k == 1:
            single = Single(cause=cause, fields=fields, expansion=self._pinned(Effect()), is_linear=False)
            single.scan = self.scan(single)
            return single
        linear = self._stack.is_linear(fields)
        return Single(cause=cause, fields=fields, expansion=self._first(cause, linear), is_linear=linear)

    def _go_on(self, single: Single) -> None:
        """Let the rows go on from what the scan has found."""
        assert single.scan is not None
        cause, found = single.cause, single.scan
        at = np.array([found.theta])
        effect = cause.effect(at)
        if not np.any(self._stack.shift(effect)):  # the rows do not see it, or are only freed by it
            single.expansion = self._pinned(effect)
            return
        single.expansion = self._expand(cause.effect, cause.low, cause.high, at, at, _spread(found, cause))

    def scan(self, single: Single, beside: Effect | None = None) -> Scan:
        """Posterior of the unknown of `single`, another effect being in force or not; its peak is relative to that."""
        cause = single.cause
        parts = self.seeing(single.fields)
        base = 0.0 if beside is None else sum(part.gain(beside) for part in parts)

        def gain(theta: float) -> float:
            effect = cause.effect(np.array([theta]))
            whole = effect if beside is None else combine([(1.0, beside), (1.0, effect)])
            return sum(part.gain(whole) for part in parts) - base

        end = cause.high[0] or cause.low[0]
        unit = cause.effect(np.array([end]))
        hints, resolution = [], 0.0
        for part in parts:
            for name, values in part.hints().items():
                per_theta = unit.vector(name, len(values)) / end
                hints += [float(v / p) for v, p in zip(values, per_theta, strict=True) if p]
            for name, std in part.resolution().items():
                per_theta = np.max(np.abs(getattr(unit, name))) / abs(end)
                resolution = max(resolution, std / per_theta if per_theta else 0.0)
        prior_std, low, high = float(cause.prior_std[0]), float(cause.low[0]), float(cause.high[0])
        return scan(gain, prior_std, low, high, hints, resolution, _POINTS if beside is None else _POINTS_BESIDE)

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

    def starts(self, single: Single) -> list[Expansion]:
        """Expansions to begin with: several where the slope at "no fault" may mislead."""
        cause = single.cause
        one_sided = len(cause.low) == 1 and (cause.low[0] == 0.0 or cause.high[0] == 0.0)
        if single.is_linear or single.scan is not None or not one_sided:
            return [single.expansion]
        sign = 1.0 if cause.high[0] > 0 else -1.0
        return [self.expand_again(single, sign * start * cause.prior_std) for start in _STARTS]

    def expand_again(self, single: Single, at: Array, u: Array | None = None) -> Expansion:
        """The same unknowns with the same prior, to first order around `at` ((k,) theta) and `u` of what is open."""
        cause, before = single.cause, single.expansion
        if before.loose.shape[1] and len(at) == 1:  # so close to nothing nothing would be open
            at = np.copysign(np.maximum(np.abs(at), _STARTS[0] * cause.prior_std), before.at)
        return self._expand(cause.effect, cause.low, cause.high, at, before.origin, before.prior_std, u)

    def expand_both(self, a: Single, b: Single, scans: tuple[Scan, Scan]) -> Expansion:
        """Two scanned causes together, to first order around what was found of them together."""
        first, second = a.cause, b.cause
        at = np.array([each.theta for each in scans])
        return self._expand(
            lambda theta: combine([(1.0, first.effect(theta[:1])), (1.0, second.effect(theta[1:]))]),
            np.concatenate([first.low, second.low]),
            np.concatenate([first.high, second.high]),
            at,
            at,
            np.concatenate([_spread(scans[0], first), _spread(scans[1], second)]),
        )

    def _pinned(self, effect: Effect) -> Expansion:
        """The shift of the rows by an effect of which they do not measure anything."""
        empty = np.zeros(0)
        return Expansion(
            origin=empty,
            at=empty,
            prior_std=empty,
            low=empty,
            high=empty,
            fixed=self._stack.shift(effect),
            slope=np.zeros((len(self._stack.residual), 0)),
            loose=self._stack.loose(effect),
            freed=self._stack.freed(effect),
        )

    def _first(self, cause: Cause, linear: bool) -> Expansion:
        """The shift of the rows to first order around no fault."""
        k = len(cause.prior_std)
        slope = np.stack([self._column(cause, i, linear) for i in range(k)], axis=1)
        return Expansion(
            origin=np.zeros(k),
            at=np.zeros(k),
            prior_std=cause.prior_std,
            low=cause.low,
            high=cause.high,
            fixed=np.zeros(len(slope)),
            slope=slope,
            loose=np.zeros((len(slope), 0)),
            freed=self._stack.freed(cause.effect(cause.prior_std)),
        )

    def _column(self, cause: Cause, i: int, linear: bool) -> Array:
        """(R,) slope of unknown `i` at no fault; a fault of all places has the slopes of its places."""
        own = (cause.fault, cause.places[i]) if len(cause.places) == len(cause.prior_std) else None
        if own is not None and own in self._columns:
            return self._columns[own]
        std = float(cause.prior_std[i])
        step = std if linear else _STEP * std
        moved = (step if step <= cause.high[i] else -step) * np.eye(len(cause.prior_std))[i]
        column: Array = self._stack.shift(cause.effect(moved)) / moved[i]
        if own is not None:
            self._columns[own] = column
        return column

    def _expand(
        self,
        effect: Callable[[Array], Effect],
        low: Array,
        high: Array,
        at: Array,
        origin: Array,
        prior_std: Array,
        u: Array | None = None,
    ) -> Expansion:
        here, loose = self._stack.shift(effect(at)), self._stack.loose(effect(at))
        known = np.zeros(len(here)) if u is None or len(u) != loose.shape[1] else loose @ u
        columns = []
        for i, std in enumerate(prior_std):
            step = _STEP * float(std) if at[i] + _STEP * std <= high[i] else -_STEP * float(std)
            moved = at + step * np.eye(len(at))[i]
            change = self._stack.shift(effect(moved)) - here
            if np.any(known) and u is not None:  # what is open grows with the effect
                wider = self._stack.loose(effect(moved))
                change = change + (wider @ u - known if wider.shape == loose.shape else 0.0)
            columns.append(change / step)
        slope = np.stack(columns, axis=1)
        return Expansion(
            origin=origin,
            at=at,
            prior_std=prior_std,
            low=low - origin,
            high=high - origin,
            fixed=here - slope @ (at - origin),
            slope=slope,
            loose=loose,
            freed=self._stack.freed(effect(at)),
        )


def _spread(found: Scan, cause: Cause) -> Array:
    """(1,) standard deviation with which the rows go on; not so small that their derivative drowns in rounding."""
    return np.array([max(found.std, _LEAST_STEP * float(cause.prior_std[0]))])
