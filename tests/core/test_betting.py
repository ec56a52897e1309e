"""A bet against a candidate is rarely lost by a good one, soon won against a bad one, and may be looked at any time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.betting import Bet

WORTH, CLIP = 0.05, 0.15


def capital(differences: list[float], worth: float = WORTH, clip: float = CLIP) -> list[float]:
    bet = Bet(worth, clip)
    return [bet.take(difference) for difference in differences]


def test_the_first_stake_is_known_and_the_capital_follows_from_it() -> None:
    # bold enough for 1 / (2 worth) = 10, kept to 0.9 / (clip - worth) = 9
    assert capital([0.0])[-1] == pytest.approx(1.0 + 9.0 * 0.05)
    assert capital([-0.05])[-1] == pytest.approx(1.0)
    assert capital([-0.15])[-1] == pytest.approx(1.0 - 9.0 * 0.10)
    # second stake: gains 0.05 (as if) and -0.10; mean -0.025 is no reason to bet
    assert capital([-0.15, 0.1]) == pytest.approx([0.1, 0.1])


def test_stakes_follow_what_was_seen_before() -> None:
    # gains 0.05 (as if), 0.06: mean 0.055, squares 0.0025 + 0.005^2; stake is kept to 0.9 / 0.4
    first, second = capital([0.01, 0.02], clip=0.45)
    assert first == pytest.approx(1.0 + 2.25 * 0.06)
    assert second == pytest.approx(first * (1.0 + 2.25 * 0.07))
    # a worth far below the spread: mean 0.02 and 0.02^2 + 0.09^2 / 2 decide, not the bound
    bet = Bet(0.02, 0.2)
    bet.take(0.2)  # gain 0.22
    mean, variance = 0.12, (0.02**2 + 0.1**2) / 2
    before = bet.capital
    assert bet.take(0.0) == pytest.approx(before * (1.0 + min(mean / (variance + mean**2), 5.0) * 0.02))


def test_a_candidate_that_changes_nothing_falls_within_five_runs() -> None:
    found = capital([0.0] * 5)
    assert found[-1] >= 5.0 > found[-2]


def test_what_is_far_worse_or_no_number_falls_sooner() -> None:
    assert capital([4.6, 4.6])[-1] > 5.0
    assert capital([math.nan, math.inf])[-1] == capital([4.6, 4.6])[-1]
    assert capital([-math.inf]) == capital([-CLIP])


def test_a_candidate_worth_its_while_never_falls_by_being_that_good() -> None:
    assert max(capital([-0.06] * 200)) < 1.0
    assert max(capital([-0.05] * 200)) == pytest.approx(1.0)


@given(st.lists(st.floats(-1.0, 1.0), max_size=40), st.floats(0.01, 0.2), st.floats(1.05, 5.0))
def test_capital_is_never_negative_and_no_look_decides_the_next_stake(
    differences: list[float], worth: float, wider: float
) -> None:
    found = capital(differences, worth, worth * wider)
    assert all(value >= 0.0 for value in found)
    assert found == capital(differences, worth, worth * wider)


@pytest.mark.parametrize("spread", [0.01, 0.05, 0.1])
def test_a_candidate_just_worth_it_is_dropped_no_more_often_than_promised(spread: float) -> None:
    """Looked at after each of 60 runs: the chance to reach 5 ever is at most 1 in 5."""
    rng = np.random.default_rng(3)
    runs = 600
    fell = 0
    for _ in range(runs):
        samples = np.clip(rng.normal(0.0, spread, 60), -0.09, 0.09) - WORTH  # symmetric, so clipping keeps the mean
        fell += max(capital(samples.tolist())) >= 5.0
    assert fell / runs <= 0.2 + 3.5 * math.sqrt(0.2 * 0.8 / runs)


@pytest.mark.parametrize(("worth", "clip"), [(0.0, 0.1), (0.1, 0.1), (0.2, 0.1), (math.nan, 0.1)])
def test_a_bet_without_room_is_refused(worth: float, clip: float) -> None:
    with pytest.raises(ValueError, match="0 < worth < clip"):
        Bet(worth, clip)
