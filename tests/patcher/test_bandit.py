"""Who is asked next depends on what was gained for what it cost, and the reason is told."""

from __future__ import annotations

import pytest

from patcher.bandit import PRIORS, ROLLOUT_S, Bandit
from patcher.search import PROPOSERS


def charge(bandit: Bandit, name: str, gain: float, rollouts: int = 0, waited_s: float = 0.0, tokens: int = 0) -> None:
    bandit.charge(name, "", rollouts=rollouts, waited_s=waited_s, tokens=tokens, gain=gain, brought=())


def test_the_shipped_ones_are_known_and_the_cheapest_is_first() -> None:
    assert set(PRIORS) == set(PROPOSERS)
    name, why = Bandit().choose(list(PRIORS))
    assert name == "memory"
    assert why.startswith("it can be expected to gain 1.2 a second (skills 0.6, evolve")


def test_who_brings_nothing_falls_behind() -> None:
    bandit = Bandit()
    assert bandit.choose(["tune", "evolve"])[0] == "evolve"
    charge(bandit, "evolve", 0.0, rollouts=400)
    assert bandit.choose(["tune", "evolve"])[0] == "tune"


def test_seconds_and_tokens_are_charged() -> None:
    bandit = Bandit()
    charge(bandit, "llm", 0.5, rollouts=10, waited_s=7.0, tokens=3000)
    (turn,) = bandit.asked
    assert turn.cost_s == pytest.approx(10 * ROLLOUT_S + 7.0 + 3.0)
    before = bandit.rate("evolve")
    charge(bandit, "evolve", 2.0, rollouts=10)
    assert bandit.rate("evolve") > before


def test_a_loss_is_no_gain() -> None:
    bandit = Bandit()
    charge(bandit, "tune", -3.0, rollouts=1)
    assert bandit.asked[0].gain == 0.0


def test_a_single_one_needs_no_comparison() -> None:
    assert Bandit().choose(["somebody's"]) == ("somebody's", "it can be expected to gain 0.015 a second")
