"""A race drops who is not worth it after a few runs, keeps who is, and is fooled neither by luck nor by tuning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import Artefact
from patcher.propose.base import Proposal, Ranked, params_proposal
from patcher.race import UNRANKED, Runner, Track, race
from patcher.search import search, worth_proving
from sim.evidence import draw_scenarios
from sim.judge import Judgement
from sim.policy_toml import shipped_policy
from sim.scenario import Scenario
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, FakeWorkers, judged

POLICY = shipped_policy()
SITUATION = made_up.situation()
SEED = 77
WEIGHED = 12  # six scenarios of the incumbent with and without the fault
Ratio = Callable[[float, Scenario], float]


def proposals(masses: Sequence[float]) -> list[Proposal]:
    found = [params_proposal(SITUATION, "test", {"mass": mass}, "", 0) for mass in masses]
    return [proposal for proposal in found if proposal is not None]


def run(masses: Sequence[float], ratio: Ratio, budget: int = 1000) -> tuple[list[Runner], FakeWorkers]:
    """A race of laws with these masses; `ratio(mass, scenario)` is their tracking error, the incumbent's is 1."""

    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        if artefact.sha256 == COMPUTED_TORQUE.sha256:
            return judged(1.0 if scenario.effect.payload_kg else 0.1)
        return judged(ratio(made_up.params(artefact)["mass"], scenario))

    workers = FakeWorkers(formula)
    fake: Any = workers
    track = Track(SITUATION, fake, 6, 16, SEED)
    assert workers.rollouts == WEIGHED
    return race(track, proposals(masses), POLICY, budget), workers


def runs(runners: list[Runner]) -> list[int]:
    return [len(runner.scores) for runner in runners]


def noise(scenario: Scenario, mass: float, spread: float) -> float:
    rng = np.random.default_rng([scenario.noise_seed, round(1000 * mass)])
    return float(np.exp(spread * rng.standard_normal()))


def test_a_candidate_that_changes_nothing_is_dropped_after_five_runs() -> None:
    (runner,), workers = run([1.0], lambda mass, scenario: 1.0)
    assert runner.dropped
    assert workers.rollouts == WEIGHED + 5


def test_a_field_of_worthless_candidates_costs_less_than_ten_runs_each() -> None:
    """Half of them a little worse, half a little better than nothing, all with the noise of real ones."""
    masses = [0.1 * k for k in range(1, 41)]
    runners, workers = run(masses, lambda mass, s: (1.0 + 0.01 * (round(10 * mass) % 3 - 1)) * noise(s, mass, 0.02))
    assert sum(runner.dropped for runner in runners) >= 39
    assert (workers.rollouts - WEIGHED) / len(runners) < 7


def test_what_is_far_worse_or_breaks_limits_goes_first() -> None:
    runners, _ = run([1.0, 2.0], lambda mass, scenario: 3.0 if mass == 1.0 else 1.0)
    assert runs(runners) == [2, 5]


def test_a_candidate_that_is_clearly_better_needs_the_first_stage_only() -> None:
    (runner,), workers = run([1.0], lambda mass, scenario: 0.5)
    assert runs([runner]) == [3]
    assert not runner.dropped
    assert workers.rollouts == WEIGHED + 3


def test_a_candidate_better_by_a_tenth_is_kept_whatever_its_luck() -> None:
    masses = [0.1 * k for k in range(1, 61)]
    runners, _ = run(masses, lambda mass, scenario: 0.9 * noise(scenario, mass, 0.06))
    assert sum(runner.dropped for runner in runners) <= 2


def test_two_that_are_alike_race_to_the_end_and_a_clear_leader_does_not() -> None:
    alike, _ = run([1.0, 2.0], lambda mass, scenario: 0.7 * noise(scenario, mass, 0.05))
    assert runs(alike) == [16, 16]
    clear, _ = run([1.0, 2.0], lambda mass, scenario: (0.5 if mass == 1.0 else 0.8) * noise(scenario, mass, 0.01))
    assert runs(clear) == [3, 3]


def test_the_incumbent_runs_each_scenario_once_and_all_meet_the_same_in_one_order() -> None:
    _, workers = run([1.0, 2.0], lambda mass, scenario: 0.7 * noise(scenario, mass, 0.05))
    met: dict[str, list[str]] = {}
    for artefact, scenario in workers.jobs:
        if scenario.effect.payload_kg:
            met.setdefault(artefact.sha256, []).append(scenario.sha256)
    expected = [scenario.sha256 for scenario in draw_scenarios(SITUATION.twin, 16, SEED)]
    assert list(met.values()) == [expected] * 3


def test_tuned_to_other_scenarios_is_not_tuned_to_these() -> None:
    """The scenarios of a proposer are not those of the race, whatever the seed that the proposer was told."""
    known = {
        scenario.task_seed
        for seed in (SITUATION.seed, SITUATION.seed + 1)
        for scenario in draw_scenarios(SITUATION.twin, 99, seed)
    }
    (runner,), _ = run([1.0], lambda mass, scenario: 0.2 if scenario.task_seed in known else 1.0)
    assert runner.dropped


def test_the_steady_come_before_the_lucky() -> None:
    """The mean of one is better, its bound is not."""

    def ratio(mass: float, scenario: Scenario) -> float:
        if mass == 1.0:
            return 0.85
        return 0.6 if scenario.noise_seed % 4 == 0 else 0.95

    runners, _ = run([1.0, 2.0], ratio)
    steady, lucky = runners
    assert not lucky.dropped
    assert lucky.score < steady.score + 0.05
    assert lucky.bounds(0.9)[1] > steady.bounds(0.9)[1]


def test_bounds_of_too_few_runs_say_nothing() -> None:
    (runner,), _ = run([1.0], lambda mass, scenario: 0.5, budget=1)
    assert runs([runner]) == [1]
    assert runner.bounds(0.9) == (0.0, UNRANKED)
    (unseen,), _ = run([1.0], lambda mass, scenario: 0.5, budget=0)
    assert (unseen.score, unseen.bounds(0.9)) == (UNRANKED, (0.0, UNRANKED))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 120), st.lists(st.floats(0.4, 1.3), min_size=1, max_size=6))
def test_no_race_spends_more_than_it_was_given(budget: int, ratios: list[float]) -> None:
    masses = [float(k + 1) for k in range(len(ratios))]
    runners, workers = run(masses, lambda mass, scenario: ratios[int(mass) - 1] * noise(scenario, mass, 0.05), budget)
    assert workers.rollouts - WEIGHED <= budget
    if budget >= 3:
        taken_in = min(len(ratios), max(1, budget // 3))
        assert len(runners) == taken_in
        assert min(runs(runners)) >= 1


def test_a_score_without_any_error_is_no_reason_to_stop() -> None:
    (runner,), _ = run([1.0], lambda mass, scenario: 0.0)
    assert not runner.dropped
    assert runner.score == 0.0


# -- in a search ------------------------------------------------------------------------------------------------------


class Proposing:
    name = "proposing"

    def __init__(self, masses: Sequence[float]) -> None:
        self.masses = masses

    def propose(self, situation: Any, workers: Any) -> list[Proposal]:
        return proposals(self.masses)


def ranked(ratios: dict[float, float], **more: Any) -> list[Ranked]:
    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        mass = made_up.params(artefact)["mass"]
        return judged((1.0 if scenario.effect.payload_kg else 0.1) * ratios.get(mass, 1.0))

    fake: Any = FakeWorkers(formula)
    return search(SITUATION, [Proposing(list(ratios))], fake, **more)


def test_dropped_candidates_come_last_and_never_before_the_gates() -> None:
    found = ranked({1.0: 0.97, 2.0: 0.953, 4.0: 1.2})
    order = [made_up.params(each.proposal.artefact)["mass"] for each in found]
    assert order == [2.0, 1.0, 4.0]
    assert [each.dropped for each in found] == [False, True, True]
    assert found[1].score < 1.0
    assert worth_proving(found, 9) == found[:1]


def test_the_race_is_run_on_scenarios_of_its_own_seed() -> None:
    seeds: list[set[int]] = []
    for seed in (5, 6):
        met: set[int] = set()

        def formula(artefact: Artefact, scenario: Scenario, met: set[int] = met) -> Judgement:
            met.add(scenario.task_seed)
            return made_up.load_cancelled(artefact, scenario)

        fake: Any = FakeWorkers(formula)
        search(SITUATION, [Proposing([4.0])], fake, race_seed=seed)
        seeds.append(met)
    assert not seeds[0] & seeds[1]


@pytest.mark.parametrize("drop_at", [2.0, 50.0])
def test_the_policy_says_when_to_drop(drop_at: float) -> None:
    policy = replace(POLICY, hopeless=replace(POLICY.hopeless, drop_at=drop_at))
    (found,) = ranked({1.0: 0.97}, policy=policy)
    assert found.dropped == (drop_at == 2.0)
