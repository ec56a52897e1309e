"""The study of twins compares with the truth, which a fault without unknowns does not change."""

from __future__ import annotations

import numpy as np
import pytest

from sim.effect import Effect
from sim.twin.twin import RankedCause
from sim.twin_study import _true_theta


def test_the_truth_of_a_bias_beside_a_frozen_reading_is_the_bias() -> None:
    def effect(theta: np.ndarray) -> Effect:
        return Effect(freeze=(1.0, 0.0), offset=(0.0, float(np.clip(theta[0], 0.0, 0.2))))

    cause = RankedCause(
        cause="freeze+sensor_bias",
        label="freeze joint 1 and sensor bias joint 2",
        probability=1.0,
        theta=np.array([0.04]),
        covariance=np.eye(1),
        effect=effect,
        describe=lambda theta: {"rad": float(theta[0])},
    )
    assert _true_theta(cause, Effect(freeze=(1.0, 0.0), offset=(0.0, 0.05))) == pytest.approx([0.05])
