"""What telemetry can show of a fault, in parts that know nothing of each other.

Two shapes of part exist. `Rows` are numbers that would be zero, but for noise, on the healthy robot, and that a fault
shifts: torque that the model does not explain, position against velocity. A `Likelihood` judges a fault as a whole: how
well the drives followed commands that came late, how readings scatter. Given the fault, parts are independent, so the
evidence of a cause is the sum over the parts that see it; the others say what they say of a healthy robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from core.block import Block
from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect
from telemetry.drive import HealthyDrive

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The telemetry that a twin is fitted to."""

    robot: Robot
    head: Block  # healthy
    after: Block  # under the fault
    around: Block | None  # from before the onset until the fault was in force, if that is known
    drive: HealthyDrive  # learnt from the head


class Rows(Protocol):
    """N instants of r signals that a fault shifts; noise is Gaussian and independent between instants and signals."""

    @property
    def sees(self) -> frozenset[str]:
        """Fields of `Effect` that shift these rows."""
        ...

    @property
    def linear(self) -> frozenset[str]:
        """Those of them that shift the rows in proportion."""
        ...

    @property
    def residual(self) -> Array:
        """(N, r) what the healthy robot leaves unexplained."""
        ...

    @property
    def noise(self) -> Array:
        """(r,) standard deviation on healthy telemetry."""
        ...

    @property
    def inflation(self) -> Array:
        """(r,) instants for each independent one, at least 1."""
        ...

    @property
    def nuisance(self) -> Array:
        """(N, r, p) columns of p unknowns of unit variance: what calibration does not know of the healthy robot."""
        ...

    @property
    def broad(self) -> Array:
        """(r,) standard deviation of a signal that a fault frees from the model."""
        ...

    def shift(self, effect: Effect) -> Array:
        """(N, r) expected residual under `effect`; zero without one."""
        ...

    def freed(self, effect: Effect) -> Mask:
        """(r,) true where `effect` leaves a signal undetermined, as a brake leaves the torque of its joint."""
        ...


@runtime_checkable
class DrivenRows(Protocol):
    """Rows computed from the effort that healthy drives give, which shift with what faulty ones give instead."""

    def by_effort(self, change: Array) -> Array:
        """(N, r) shift when the drives gave `change` (M, m) more than healthy ones, at the M ticks of the stretch."""
        ...


@runtime_checkable
class DoubtfulRows(Protocol):
    """Rows in which some instants show an effect worse than others, because its shift hangs on a noisy measurement."""

    def doubt(self, effect: Effect) -> Array:
        """(N, r) standard deviation of the shift by `effect` that sensor noise makes."""
        ...


@runtime_checkable
class LooseRows(Protocol):
    """Rows that an effect shifts by more than it says, in ways that hang together from instant to instant."""

    def loose(self, effect: Effect) -> Array:
        """(N, r, l) columns of l unknowns of unit variance that `effect` brings with it."""
        ...


class Likelihood(Protocol):
    """How much better an effect explains a part of the telemetry than a healthy robot does."""

    @property
    def sees(self) -> frozenset[str]:
        """Fields of `Effect` that matter here."""
        ...

    @property
    def separable(self) -> bool:
        """Whether effects at different places add their gains."""
        ...

    def gain(self, effect: Effect) -> float:
        """Log likelihood under `effect` minus that of the healthy robot."""
        ...

    def settle(self, effect: Effect) -> bool:
        """Take for noise what `effect`, the best explanation so far, leaves; whether that changes gains by much."""
        ...

    def resolution(self) -> Mapping[str, float]:
        """Standard deviations below which values of fields cannot be told apart."""
        ...

    def hints(self) -> Mapping[str, Array]:
        """Values of fields that the data itself suggests, for fields whose likelihood has too sharp a peak to find."""
        ...


class Corrections(Protocol):
    """What a kind of robot learns from healthy telemetry: corrections of its data sheet, as a Gaussian."""

    @property
    def correction(self) -> Array:
        """(p,) mean."""
        ...

    @property
    def covariance(self) -> Array:
        """(p, p)"""
        ...
