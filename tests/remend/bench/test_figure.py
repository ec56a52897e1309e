"""A figure says itself whether its target is met, and its interval is one of the median."""

from __future__ import annotations

import math

import numpy as np
import pytest

from remend.bench.figure import Figure, median_interval


def figure(value: float | None, target: float | None = 0.25, sense: str = ">=", **more: object) -> Figure:
    return Figure(
        bench="sim", figure="f", value=value, unit="1", interval=None, n=1, target=target, sense=sense, **more
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "target", "sense", "met"),
    [
        (0.25, 0.25, ">=", True),
        (0.2499, 0.25, ">=", False),
        (20.0, 20.0, "<=", True),
        (20.1, 20.0, "<=", False),
        (3.0, None, ">=", True),
        (None, None, ">=", False),
        (None, 0.25, ">=", False),
        (math.nan, 0.25, ">=", False),
        (math.nan, 0.25, "<=", False),
        (math.inf, 0.25, ">=", False),
    ],
)
def test_met_is_computed_from_value_and_target(
    value: float | None, target: float | None, sense: str, met: bool
) -> None:
    assert figure(value, target, sense).met is met
    assert figure(value, target, sense).to_json()["met"] is met


def test_the_row_has_the_documented_keys_and_a_note_only_if_there_is_one() -> None:
    row = figure(0.5, peer="bare loop", peer_value=2.0).to_json()
    keys = "bench figure value unit interval n peer peer_value ratio target sense met"
    assert list(row) == keys.split()
    assert row["ratio"] == 0.25
    assert figure(None, note="no ROS here").to_json()["note"] == "no ROS here"


def test_a_ratio_needs_a_peer() -> None:
    assert figure(0.5).ratio is None
    assert figure(None, peer_value=2.0).ratio is None


def test_the_interval_of_the_median_covers_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    for n in (7, 25, 60):
        hits = 0
        for _ in range(600):
            _, (low, high) = median_interval(rng.exponential(size=n).tolist())
            hits += low <= math.log(2.0) <= high
        assert hits / 600 > 0.92


def test_few_samples_give_their_range() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == (2.0, (1.0, 3.0))
