"""Commands that come at random behind drives that lag: the filter gives the likelihood of the whole Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rigid_body import Array
from sim.twin.scatter import scattered_likelihood

N = 12


def dense(missed: Array, spread: Array, noise: Array, fade: float, keeps: float) -> float:
    """The same from the covariance of all readings, minus that of noise alone without anything missed."""
    reading = np.zeros((N, N + 1))  # by independent draws of unit variance, the first of them before the first tick
    state, drive = np.zeros(N + 1), np.zeros(N + 1)
    state[0] = np.sqrt(spread[0])
    for t in range(N):
        state = keeps * state
        state[t + 1] += np.sqrt((1.0 - keeps**2) * spread[t])
        drive = fade * drive + (1.0 - fade) * state
        reading[t] = drive
    covariance = reading @ reading.T + np.diag(noise)
    _, log_det = np.linalg.slogdet(covariance)
    return float(-0.5 * (missed @ np.linalg.solve(covariance, missed) + log_det - np.log(noise).sum()))


@given(
    seed=st.integers(0, 1000),
    fade=st.floats(0.0, 0.95),
    keeps=st.floats(0.0, 0.95),
)
def test_the_filter_is_the_gaussian(seed: int, fade: float, keeps: float) -> None:
    rng = np.random.default_rng(seed)
    missed, spread, noise = rng.normal(size=N), rng.uniform(0.0, 2.0, N), rng.uniform(0.1, 1.0, N)
    (found,) = scattered_likelihood(missed[:, None], spread[:, None], noise[:, None], np.array([fade]), keeps)
    assert found == pytest.approx(dense(missed, spread, noise, fade, keeps), abs=1e-8)


def test_drives_are_taken_one_by_one() -> None:
    rng = np.random.default_rng(1)
    missed, spread, noise = rng.normal(size=(N, 2)), rng.uniform(0.0, 2.0, (N, 2)), np.ones((N, 2))
    fades = np.array([0.3, 0.8])
    both = scattered_likelihood(missed, spread, noise, fades, 0.5)
    for k in range(2):
        one = scattered_likelihood(missed[:, [k]], spread[:, [k]], noise[:, [k]], fades[[k]], 0.5)
        assert one[0] == both[k]
