"""What healthy residuals look like: scale, regressors, products and the reach of their sums."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from telemetry import score_kernels as kernels
from telemetry.residuals import Residuals

Array = NDArray[np.float64]

CLIP = 5.0  # standard deviations; chosen: beyond it a residual says no more
LEAKS = np.array([0.9, 0.98, 0.998])  # memories of 10, 50 and 500 rows; chosen: shifts of about 2, 1 and 0.3 sigma
OFF = 1e300  # a threshold out of reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """What the rows before the next one leave behind, for C channels; written to in place."""

    previous: Array  # (C, 2) last standardised residual and expectation
    activity: Array  # (C,)
    reach: Array  # (C, 3) of the regressors

    @staticmethod
    def start(channels: int) -> Motion:
        """Before the first row."""
        return Motion(
            previous=np.full((channels, 2), np.nan), activity=np.full(channels, np.nan), reach=np.zeros((channels, 3))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Result of calibration for C channels, K tests and L leaks; see `telemetry.score_kernels` for their use."""

    location: Array  # (C,) unit of the residual
    inverse_scale: Array  # (C,) 1 / unit of the residual; 0 = channel not watched
    knots: Array  # (C, KNOTS) activity
    spread: Array  # (C, KNOTS) scale at each knot, relative
    centre: Array  # (C,) of the expectation
    inverse_expected: Array  # (C,)
    inverse_change: Array  # (C,)
    inverse_rate: Array  # (C,)
    inverse_stir: Array  # (C,)
    mean: Array  # (C, K) of the products
    inverse_spread: Array  # (C, K)
    slack: Array  # (C, K)
    threshold: Array  # (C, L, K)
    predictable: Array  # (C,) share of the residual that follows from the two rows before
    spike: Array  # (C,) standardised residual that no healthy row reaches

    def arrays(self) -> dict[str, Array]:
        """The fields by name, copied."""
        return {f.name: np.array(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Baseline:
        """Inverse of `arrays`; other keys are ignored."""
        return cls(**{f.name: np.array(arrays[f.name], dtype=np.float64) for f in fields(cls)})

    def products(self, rows: Residuals, state: Motion) -> tuple[Array, Array, Array]:
        """(N, C, K) products, (N, C) activities and (N, C) standardised residuals; advances the state in place."""
        n, channels = rows.value.shape
        out, activities = np.empty((n, channels, kernels.TESTS)), np.empty((n, channels))
        standardised = np.empty((n, channels))
        kernels.products(
            rows.value,
            rows.expected,
            rows.rate,
            rows.stir,
            self.location,
            self.inverse_scale,
            self.knots,
            self.spread,
            self.centre,
            self.inverse_expected,
            self.inverse_change,
            self.inverse_rate,
            self.inverse_stir,
            CLIP,
            state.previous,
            state.activity,
            state.reach,
            out,
            activities,
            standardised,
        )
        return out, activities, standardised
