"""The posterior of one unknown, found on a grid and then closely."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from sim.twin.scan import scan


@pytest.mark.parametrize(("mean", "std"), [(3.0, 0.4), (-1.7, 0.05), (0.8, 0.002)])
def test_a_gaussian_likelihood_gives_its_own_posterior_and_evidence(mean: float, std: float) -> None:
    prior = 2.0
    found = scan(lambda x: 0.5 * (mean / std) ** 2 - 0.5 * ((x - mean) / std) ** 2, prior, -10.0, 10.0, hints=[mean])
    precision = std**-2 + prior**-2
    assert found.theta == pytest.approx(mean * std**-2 / precision, abs=0.25 * std)
    assert found.std == pytest.approx(precision**-0.5, rel=0.2)
    marginal = norm.logpdf(mean, 0.0, np.hypot(std, prior)) - norm.logpdf(mean, 0.0, std)
    assert found.gain == pytest.approx(marginal, abs=0.3)


def test_a_likelihood_that_says_nothing_leaves_the_prior() -> None:
    found = scan(lambda x: 0.0, 1.0, 0.0, 2.0)
    x = np.linspace(0.0, 2.0, 2001)
    weight = norm.pdf(x) / norm.pdf(x).sum()
    assert found.theta == pytest.approx(weight @ x, abs=0.02)
    assert found.std == pytest.approx(np.sqrt(weight @ x**2 - (weight @ x) ** 2), rel=0.05)
    assert found.gain == pytest.approx(0.0, abs=0.02)


def test_a_peak_at_the_end_of_the_range_stays_inside() -> None:
    found = scan(lambda x: -50.0 * x, 1.0, 0.0, 2.0)
    assert 0.0 <= found.theta < 0.1
    assert found.gain < -1.0  # an unknown that is not needed costs


def test_a_needle_is_found_by_its_hint_alone() -> None:
    def needle(x: float) -> float:
        return 100.0 if abs(x - 0.777) < 1e-6 else (0.0 if x == 0.0 else -np.inf)

    assert scan(needle, 1.0, 0.0, 2.0).gain < 0.0
    found = scan(needle, 1.0, 0.0, 2.0, hints=[0.777])
    assert found.theta == pytest.approx(0.777)
    assert found.peak == 100.0


def test_what_cannot_be_told_apart_is_not_told_apart() -> None:
    found = scan(lambda x: 5000.0 - 5000.0 * (x - 1.0) ** 2, 1.0, 0.0, 2.0, resolution=0.3)
    assert found.theta == pytest.approx(1.0, abs=0.01)
    assert found.std == 0.3
