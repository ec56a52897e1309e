"""Faults over time: when each sets in, grows, and comes and goes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sim.effect import NO_EFFECT, Effect, combine


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault with its course over time."""

    spec: str
    kind: str
    effect: Effect  # at full severity
    onset_s: float | None  # None: the run decides when
    ramp_s: float = 0.0  # time that it takes to grow
    severity: float = 1.0
    lasts_s: float = math.inf  # after this time it is gone
    period_s: float = 0.0  # with a period it comes and goes: on for `duty` of each period
    duty: float = 0.5
    values: tuple[tuple[str, float], ...] = ()  # (parameter, value) at full severity, for labels
    places: tuple[int, ...] = ()  # coordinates or actuators that it sits in

    def severity_at(self, since_onset_s: float) -> float:
        """Share of the effect in force `since_onset_s` after onset, from 0 to `severity`."""
        if since_onset_s < 0 or since_onset_s >= self.lasts_s:
            return 0.0
        if self.period_s > 0 and since_onset_s % self.period_s >= self.duty * self.period_s:
            return 0.0
        return self.severity * (1.0 if self.ramp_s <= 0 else min(1.0, since_onset_s / self.ramp_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCourse:
    """All faults of one robot over time."""

    faults: tuple[Fault, ...] = ()
    onset_s: float = 0.0  # for faults that name no onset of their own
    _last: list[object] = field(init=False, repr=False, compare=False)  # (weights, effect) of the last call
    _settled_s: float = field(init=False, repr=False, compare=False)  # from then on the effect is `_final`
    _final: list[Effect] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_last", [(0.0,) * len(self.faults), NO_EFFECT])
        object.__setattr__(self, "_settled_s", self.settled_after_s)
        object.__setattr__(self, "_final", [])

    @staticmethod
    def constant(effect: Effect) -> FaultCourse:
        """One effect, in force for ever."""
        return FaultCourse(faults=(Fault(spec="given", kind="given", effect=effect, onset_s=0.0),))

    def begins_s(self, fault: Fault) -> float:
        """When `fault` sets in [s]."""
        return self.onset_s if fault.onset_s is None else fault.onset_s

    def at(self, t_s: float) -> Effect:
        """The effect in force at `t_s` [s]; the same object while nothing changes."""
        if t_s >= self._settled_s:  # the plant asks in every tick
            if not self._final:
                self._final.append(self._sum(t_s))
            return self._final[0]
        return self._sum(t_s)

    def _sum(self, t_s: float) -> Effect:
        weights = tuple(fault.severity_at(t_s - self.begins_s(fault)) for fault in self.faults)
        if weights != self._last[0]:
            pairs = zip(weights, (fault.effect for fault in self.faults), strict=True)
            self._last[:] = [weights, combine(pairs)]
        effect = self._last[1]
        assert isinstance(effect, Effect)
        return effect

    @property
    def settled_after_s(self) -> float:
        """Time after which the effect no longer changes [s]; infinite for a fault that comes and goes for ever."""
        ends = []
        for fault in self.faults:
            lasting = math.isfinite(fault.lasts_s)
            grown_s = fault.lasts_s if lasting else math.inf if fault.period_s > 0 else fault.ramp_s
            ends.append(self.begins_s(fault) + grown_s)
        return max(ends, default=0.0)

    @property
    def grown_after_s(self) -> float:
        """Time after which every fault has set in and reached its severity once [s]."""
        return max((self.begins_s(fault) + fault.ramp_s for fault in self.faults), default=0.0)
