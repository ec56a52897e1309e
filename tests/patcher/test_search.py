"""Proposers are asked cheapest first, ranked on the same scenarios, and kept to one budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import Artefact
from core.errors import BadInput
from patcher.llm.settings import LlmSettings
from patcher.propose.base import Proposal, Proposer, Ranked, Situation, params_proposal
from patcher.propose.llm import Llm
from patcher.score import LOST, score
from patcher.search import PROPOSERS, brought, choose_proposers, in_order, search
from sim.effect import Effect
from sim.evidence import draw_scenarios
from sim.judge import Judgement
from sim.scenario import Scenario
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, FakeWorkers, judged


class Fake:
    """FAKE proposer: masses to propose, and rollouts to burn before; remembers what budget it was given."""

    def __init__(self, name: str, masses: Sequence[float], burn: int | None = 0) -> None:
        self.name, self.budgets = name, list[int]()
        self._masses, self._burn = masses, burn

    def propose(self, situation: Situation, workers: Any) -> list[Proposal]:
        self.budgets.append(situation.budget)
        scenario = draw_scenarios(situation.twin, 1, 0)[0]
        burn = situation.budget if self._burn is None else min(self._burn, situation.budget)
        workers.judge([(situation.incumbent, scenario)] * burn)
        found = [params_proposal(situation, self.name, {"mass": mass}, "", burn) for mass in self._masses]
        return [proposal for proposal in found if proposal is not None]


def run(proposers: Sequence[Proposer], budget: int = 300, workers: FakeWorkers | None = None) -> list[Ranked]:
    fake: Any = workers or FakeWorkers(made_up.load_cancelled)
    return search(made_up.situation(budget=budget), proposers, fake)


def masses(ranked: list[Ranked]) -> list[float]:
    return [made_up.params(each.proposal.artefact)["mass"] for each in ranked]


def test_candidates_come_best_first() -> None:
    ranked = run([Fake("a", [1.0, 3.0]), Fake("b", [2.0])])
    assert masses(ranked) == [3.0, 2.0, 1.0]
    scores = [each.score for each in ranked]
    assert scores == sorted(scores)
    assert scores[-1] < 1.0


def test_recovery_is_the_share_of_the_lost_tracking() -> None:
    (half,) = run([Fake("a", [2.5])])
    assert half.recovery == pytest.approx(0.5, abs=0.02)
    (worse,) = run([Fake("a", [10.0])])
    assert worse.recovery == pytest.approx(0.0, abs=0.05)


def test_a_dearer_proposer_is_not_asked_when_enough_came_back() -> None:
    dear = Fake("dear", [5.0])
    (found,) = run([Fake("cheap", [4.8]), dear])
    assert found.recovery >= 0.9
    assert dear.budgets == []


def test_a_dearer_proposer_is_asked_when_too_little_came_back() -> None:
    dear = Fake("dear", [5.0])
    assert masses(run([Fake("cheap", [4.0]), dear])) == [5.0, 4.0]
    assert len(dear.budgets) == 1


def test_a_remedy_that_costs_more_than_it_brings_does_not_end_the_search() -> None:
    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        error = made_up.load_cancelled(artefact, scenario).metrics["rms_tracking_error"]
        return judged(error, torque_variation=1.0 if artefact is COMPUTED_TORQUE else 9.0)

    dear = Fake("dear", [2.0])
    ranked = run([Fake("cheap", [5.0]), dear], workers=FakeWorkers(formula))
    assert ranked[0].recovery > 0.9
    assert ranked[0].score > 1.0
    assert len(dear.budgets) == 1


def test_the_next_proposer_gets_what_the_ones_before_have_left() -> None:
    first, second = Fake("first", [1.0], burn=50), Fake("second", [2.0])
    run([first, second], budget=200)
    assert first.budgets == [144]  # a part is kept for who comes next
    assert second.budgets == [200 - 12 - 50 - 3 - 6]  # the first one's candidate was clear after three


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 120),
    st.lists(
        st.tuples(st.lists(st.floats(0.5, 4.0), max_size=4), st.one_of(st.none(), st.integers(0, 60))), max_size=3
    ),
)
def test_the_budget_is_kept_for_all_proposers_together(
    budget: int, plans: list[tuple[list[float], int | None]]
) -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    proposers = [Fake(f"p{k}", found, burn) for k, (found, burn) in enumerate(plans)]
    run(proposers, budget, workers)
    assert workers.rollouts <= budget
    for proposer in proposers:
        assert all(given_budget >= 0 for given_budget in proposer.budgets)


def test_the_shipped_proposers_keep_the_budget_too() -> None:
    for budget in (0, 5, 17, 18, 60, 100):
        workers = FakeWorkers(lambda artefact, scenario: judged(0.02))
        run(choose_proposers("auto"), budget, workers)
        assert workers.rollouts <= budget


def test_without_rollouts_to_rank_by_candidates_come_as_proposed() -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    ranked = run([Fake("a", [1.0, 3.0])], 0, workers)
    assert workers.rollouts == 0
    assert masses(ranked) == [1.0, 3.0]
    assert all(each.score < 1.0 and each.recovery == 0.0 for each in ranked)


def test_every_candidate_meets_the_same_scenarios_as_the_incumbent() -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    run([Fake("a", [1.0, 3.0])], workers=workers)
    met: dict[str, list[str]] = {}
    for artefact, scenario in workers.jobs:
        met.setdefault(artefact.sha256, []).append(scenario.sha256)
    incumbent, *candidates = met.values()
    assert len(candidates) == 2
    assert all(found == incumbent[: len(found)] and len(found) >= 3 for found in candidates)
    assert len(incumbent) == 12  # and six without the fault


def test_where_nothing_was_lost_nothing_is_recovered() -> None:
    assert run([Fake("a", [1.0])], workers=FakeWorkers(lambda artefact, scenario: judged(0.01))) == []


def test_nothing_proposed_is_nothing_found() -> None:
    assert run([Fake("a", [])]) == []
    assert run([]) == []


def test_nothing_is_kept_back_for_who_could_not_use_it() -> None:
    """A training needs hundreds of rollouts; with fewer it is not asked, and others get what they got without it."""
    first, demanding = Fake("tune", []), Fake("rl", [])
    demanding.least = 200  # type: ignore[attr-defined]
    run([first, demanding], 150, FakeWorkers(made_up.load_cancelled))
    alone = Fake("tune", [])
    run([alone], 150, FakeWorkers(made_up.load_cancelled))
    assert first.budgets == alone.budgets
    assert demanding.budgets == []
    first, demanding.budgets = Fake("tune", []), []
    run([first, demanding], 900, FakeWorkers(made_up.load_cancelled))
    assert first.budgets[0] < 700
    assert demanding.budgets


def test_auto_is_every_proposer_and_a_model_if_there_is_one() -> None:
    assert [proposer.name for proposer in choose_proposers("auto")] == ["memory", "skills", "tune", "evolve", "rl"]
    model = LlmSettings(model="small")
    assert [proposer.name for proposer in choose_proposers("auto", model)] == list(PROPOSERS)
    (llm,) = choose_proposers("llm", model)
    assert isinstance(llm, Llm)
    assert llm.settings is model
    with pytest.raises(BadInput, match="no language model is set; add"):
        choose_proposers("llm")
    with pytest.raises(BadInput, match="no REMEND_NO_SUCH_KEY in the environment"):
        choose_proposers("auto", LlmSettings(model="small", key_variable="REMEND_NO_SUCH_KEY"))


@pytest.mark.parametrize("name", ["", "Auto", "oracle"])
def test_an_unknown_proposer_is_bad_input(name: str) -> None:
    with pytest.raises(BadInput, match="use auto, memory, skills, tune"):
        choose_proposers(name)


# -- the score --------------------------------------------------------------------------------------------------------


def test_score_is_the_relative_error_plus_a_price_for_what_grew() -> None:
    before = judged(0.02)
    assert score(before, before) == 1.0
    assert score(judged(0.01), before) == 0.5
    assert score(judged(0.01, torque_variation=3.0), before) == pytest.approx(0.5 + 0.25 * 2.0)
    assert score(judged(0.01, rms_effort=42.0), before) == pytest.approx(0.5)
    assert score(judged(0.01, rms_effort=60.0), before) == pytest.approx(0.5 + 0.25 * 0.45)
    assert score(judged(0.01, rms_effort=20.0, torque_variation=0.1), before) == 0.5  # calm earns nothing


def test_a_run_that_breaks_limits_is_lost_whatever_it_tracked() -> None:
    assert score(judged(1e-6, broken=True), judged(0.02)) == LOST


def test_what_is_no_number_is_ranked_last() -> None:
    proposal = params_proposal(made_up.situation(), "x", {"mass": 1.0}, "", 0)
    assert proposal is not None
    ranked = [Ranked(proposal=proposal, score=1.0, bound=bound, recovery=0.0) for bound in (math.nan, math.inf, 0.5)]
    assert in_order(ranked)[0].bound == 0.5


def test_the_words_for_what_was_found_say_when_nothing_of_it_is_worth_the_gates() -> None:
    proposal = params_proposal(made_up.situation(), "test", {"mass": 1.0}, "", 0)
    assert proposal is not None

    def found(*scores: float, dropped: bool = False) -> str:
        each = Ranked(proposal=proposal, score=0.0, bound=1.0, recovery=0.0, dropped=dropped)
        return brought([replace(each, score=score) for score in scores], made_up.twin())

    assert found(0.1) == "1 candidate"
    assert found(12.6, 0.99) == "2 candidates"
    none = "none better than the controller at work (the best scores"
    assert found(33.4, 12.59) == f"2 candidates, {none} 12.6, and 1 is no gain),"
    assert found(1.0) == f"1 candidate, {none} 1, and 1 is no gain),"
    assert found(0.98, dropped=True) == f"1 candidate, {none} 0.98, and 1 is no gain),"


def test_where_tasks_ask_a_motor_for_more_than_it_has_that_is_said_as_well() -> None:
    twin = made_up.twin()
    heavy = replace(twin.causes[0], effect=lambda _: Effect(payload_kg=30.0))
    said = brought([], replace(twin, causes=(heavy,)))
    assert "1 is no gain; of 24 tasks drawn under this fault: in 24 of these 24 the task asks a motor" in said
    assert said.endswith("slow the work down or take load off),")
