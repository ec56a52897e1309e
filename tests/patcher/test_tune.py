"""The tuner stays inside bounds, steps and budget whatever it is given, and finds what there is to find."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.params import check_step
from patcher.propose.base import Proposal, Ranked, Situation
from patcher.propose.skills import Skills
from patcher.propose.tune import Tune
from sim.judge import Judgement
from sim.scenario import Scenario
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, IIWA, JOINT_PD, FakeWorkers, judged

FULL = 3 + 3 + 7 * 6 * 3 + 4 * 3  # incumbent, start, seven generations, elites with the incumbent on fresh scenarios


def propose(situation: Situation, workers: FakeWorkers) -> list[Proposal]:
    fake: Any = workers
    return Tune().propose(situation, fake)


def flat(artefact: Artefact) -> np.ndarray[Any, Any]:
    """All parameters in one row."""
    return np.concatenate([np.atleast_1d(value) for value in made_up.params(artefact).values()])


def stiffer_is_better(artefact: Artefact, scenario: Scenario) -> Judgement:
    """A load to cancel, and a best stiffness at 1.5 times nominal."""
    values = made_up.params(artefact)
    stiffness = values["kp"][0] / 625.0
    missed = abs(scenario.effect.payload_kg - values["mass"])
    return judged(0.004 + 0.01 * missed + 0.004 * (np.log2(stiffness) - np.log2(1.5)) ** 2)


def greedy(artefact: Artefact, scenario: Scenario) -> Judgement:
    """The farther from nominal, the better: drives every search into its bounds."""
    return judged(1.0 / (1.0 + float(np.abs(flat(artefact)).sum())))


def test_it_finds_more_than_the_remedy_alone() -> None:
    workers = FakeWorkers(stiffer_is_better)
    (proposal,) = propose(made_up.situation(), workers)
    values = made_up.params(proposal.artefact)
    scenario = workers.jobs[0][1]
    remedy = with_params(COMPUTED_TORQUE, {"mass": 5.0})
    found, known = (
        stiffer_is_better(each, scenario).metrics["rms_tracking_error"] for each in (proposal.artefact, remedy)
    )
    assert found < known
    assert values["kp"][0] > 625.0
    assert values["mass"] == pytest.approx(5.0, abs=0.5)
    assert proposal.candidate.proposer == "tune"
    assert proposal.candidate.search_rollouts == workers.rollouts == FULL


@pytest.mark.parametrize("incumbent", [COMPUTED_TORQUE, JOINT_PD], ids=["computed_torque", "joint_pd"])
@pytest.mark.parametrize("cause", [("payload", 9.5), ("actuator_loss", 0.7), ("sensor_bias", 0.19), ("none", 0.0)])
def test_every_value_that_is_tried_respects_bounds_and_step(incumbent: Artefact, cause: tuple[str, float]) -> None:
    workers = FakeWorkers(greedy)
    situation = made_up.situation(made_up.cause(*cause), incumbent=incumbent)
    proposals = propose(situation, workers)
    base = Controller.from_artefact(incumbent, IIWA.ports)
    tried = {artefact.sha256: artefact for artefact, _ in workers.jobs}
    assert len(tried) > 30
    for artefact in (*tried.values(), *(proposal.artefact for proposal in proposals)):
        check_step(base.manifest, base.params, made_up.params(artefact))  # raises outside either
        assert artefact.files["law.py"] == incumbent.files["law.py"]
        assert artefact.files["manifest.toml"] == incumbent.files["manifest.toml"]
    assert proposals


def test_gains_stay_within_a_quarter_and_four_times_their_value() -> None:
    workers = FakeWorkers(greedy)
    propose(made_up.situation(made_up.cause("none")), workers)
    for artefact, _ in workers.jobs:
        values = made_up.params(artefact)
        assert all(0.25 * 625.0 <= kp <= 4.0 * 625.0 for kp in values["kp"])
        assert all(0.25 * 50.0 <= kd <= 4.0 * 50.0 for kd in values["kd"])


@pytest.mark.parametrize("max_step", [0.05, 0.3])
def test_a_small_largest_step_binds_the_search(max_step: float) -> None:
    law = made_up.law("careful", gains=3, remedy=True, max_step=max_step)
    workers = FakeWorkers(greedy)
    propose(made_up.situation(incumbent=law), workers)
    values = np.array([flat(artefact) for artefact, _ in workers.jobs])
    reach = max_step * np.array([4.0, 4.0, 4.0, 10.0])
    assert np.all(np.abs(values - flat(law)) <= reach + 1e-9)
    assert np.any(np.abs(values - flat(law)) > 0.5 * reach)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 200), st.integers(0, 3))
def test_it_never_spends_more_rollouts_than_its_budget(budget: int, seed: int) -> None:
    workers = FakeWorkers(stiffer_is_better)
    proposals = propose(made_up.situation(budget=budget, seed=seed), workers)
    assert workers.rollouts <= min(budget, FULL)
    assert bool(proposals) == (budget >= 3 + 3 + 6 * 3)
    assert all(proposal.candidate.search_rollouts == workers.rollouts for proposal in proposals)


@pytest.mark.parametrize(("gains", "remedy", "most"), [(12, True, 9), (12, False, 8), (4, True, 5)])
def test_it_searches_at_most_nine_dimensions(gains: int, remedy: bool, most: int) -> None:
    law = made_up.law("many", gains=gains, remedy=remedy)
    workers = FakeWorkers(greedy)
    propose(made_up.situation(incumbent=law), workers)
    values = np.array([flat(artefact) for artefact, _ in workers.jobs])
    assert np.sum(np.ptp(values, axis=0) > 0) == most


@pytest.mark.parametrize(("gains", "remedy"), [(1, False), (0, True), (2, False), (1, True)])
def test_one_number_is_enough_to_tune(gains: int, remedy: bool) -> None:
    law = made_up.law("little", gains=gains, remedy=remedy)
    workers = FakeWorkers(greedy)
    (proposal,) = propose(made_up.situation(incumbent=law, budget=FULL), workers)
    assert proposal.candidate.changes
    assert workers.rollouts == FULL


def test_a_law_without_numbers_is_left_alone() -> None:
    workers = FakeWorkers(greedy)
    assert propose(made_up.situation(incumbent=made_up.law("rigid", gains=0, remedy=False)), workers) == []
    assert workers.rollouts == 0


def test_one_seed_finds_one_patch() -> None:
    found = []
    for seed in (0, 0, 5):
        workers = FakeWorkers(stiffer_is_better)
        (proposal,) = propose(made_up.situation(seed=seed), workers)
        found.append((proposal.candidate.result_sha, [a.sha256 + s.sha256 for a, s in workers.jobs]))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]


def test_all_points_meet_the_same_scenarios_and_one_of_them_is_late() -> None:
    workers = FakeWorkers(stiffer_is_better)
    propose(made_up.situation(budget=FULL), workers)
    scenarios = [scenario.sha256 for _, scenario in workers.jobs]
    assert all(scenarios[k : k + 3] == scenarios[:3] for k in range(0, 132, 3))
    fresh = scenarios[132:135]
    assert not set(fresh) & set(scenarios[:3])
    assert all(scenarios[k : k + 3] == fresh for k in range(132, len(scenarios), 3))
    assert [scenario.effect.delay_s for _, scenario in workers.jobs[:3]] == [0.0, 0.0, 0.004]


def test_a_search_in_which_everything_breaks_limits_still_ends() -> None:
    workers = FakeWorkers(lambda artefact, scenario: judged(0.01, broken=True))
    assert len(propose(made_up.situation(), workers)) <= 1
    assert workers.rollouts <= 300


def test_it_starts_again_only_while_much_is_left() -> None:
    little = FakeWorkers(stiffer_is_better)
    propose(made_up.situation(budget=1000), little)
    assert little.rollouts == FULL
    much = FakeWorkers(
        lambda artefact, scenario: judged(
            0.9 * made_up.load_cancelled(artefact, scenario).metrics["rms_tracking_error"] + 0.05
        )
    )
    propose(made_up.situation(budget=1000), much)
    assert much.rollouts == FULL + 3 * 7 * (12 + 24)


def test_of_the_elites_the_one_that_is_good_everywhere_is_proposed() -> None:
    met: list[str] = []

    def wanders(artefact: Artefact, scenario: Scenario) -> Judgement:
        """The best stiffness is another one on fresh scenarios."""
        if scenario.sha256 not in met:
            met.append(scenario.sha256)
        best = 1.5 if met.index(scenario.sha256) < 3 else 1.2
        return judged(0.02 + 0.1 * abs(made_up.params(artefact)["kp"][0] / 625.0 - best))

    workers = FakeWorkers(wanders)
    (proposal,) = propose(made_up.situation(made_up.cause("none"), budget=FULL), workers)
    elites = [made_up.params(artefact)["kp"][0] / 625.0 for artefact, _ in workers.jobs[-9::3]]
    assert len(set(elites)) == 3
    best = min(elites, key=lambda stiffness: abs(stiffness - 1.5) / 0.07 + abs(stiffness - 1.2) / 0.04)
    assert made_up.params(proposal.artefact)["kp"][0] / 625.0 == best


def test_the_best_new_structure_is_what_is_tuned() -> None:
    late = made_up.situation(made_up.cause("delay", 0.006), incumbent=JOINT_PD)
    workers: Any = FakeWorkers(greedy)
    (grafted,) = Skills().propose(late, workers)

    def wants_lead(artefact: Artefact, scenario: Scenario) -> Judgement:
        return judged(0.01 + abs(made_up.params(artefact).get("lead", 0.0) - 0.005))

    tried = (Ranked(proposal=grafted, score=0.8, bound=0.9, recovery=0.3),)
    fake = FakeWorkers(wants_lead)
    (proposal,) = propose(replace(late, tried=tried), fake)
    assert (proposal.candidate.kind, proposal.candidate.proposer) == ("code", "tune")
    assert made_up.params(proposal.artefact)["lead"] == pytest.approx(0.005, abs=0.0005)
    assert proposal.artefact.files["law.py"] == grafted.artefact.files["law.py"]
    (lead,) = [change for change in proposal.candidate.changes if change.name == "lead"]
    assert lead.old == 0.0
