"""What a policy leaves: never more than it says, whatever was used, killed or asked before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.status import PatchStatus, Verdict
from patcher.llm.settings import LlmSettings
from remend.agency.leash import Leash
from remend.agency.limit import SearchLimit
from remend.agency.policy import ACTOR, KINDS, AgencyPolicy, Budget, KindRule, Rules
from remend.agency.uses import Cost, begin_search, end_search, uses
from remend.decision import approval_of
from remend.healing import Healing
from remend.service.freeze import freeze
from remend.store import Store

DAY_NS = 24 * 3600 * 10**9
P = PatchStatus
Make = Callable[..., Leash]


@pytest.fixture
def leash(store: Store, clock: ManualClock) -> Make:
    def make(simulated: bool = True, **rules: Any) -> Leash:
        policy = AgencyPolicy(version=1, default=replace(Rules(), **rules))
        return Leash(policy=policy, robot_id="iiwa", simulated=simulated, store=store, clock=clock, alpha_each=0.025)

    return make


@pytest.fixture
def checked(store: Store, samples: ModuleType) -> Callable[[int, str], Any]:
    """Puts a patch of a kind before the gates."""

    def put(number: int, kind: str) -> Any:
        store.add_incident(samples.incident(f"inc_{number}"))
        candidate = replace(samples.candidate(f"pat_{number}", f"inc_{number}"), kind=kind, rationale=str(number))
        store.add_candidate(candidate)
        store.move(candidate.id, P.PROPOSED, P.CHECKED, "service", "checked")
        return candidate

    return put


def awaiting(store: Store, samples: ModuleType, candidate: Any, verdict: Verdict = Verdict.PASS) -> Any:
    judged = samples.report(candidate, f"rep_{candidate.id}", verdict)
    store.move(candidate.id, P.CHECKED, P.VALIDATING, "service", "")
    store.add_report(judged)
    store.move(candidate.id, P.VALIDATING, P.AWAITING_APPROVAL, "service", "")
    return judged


def test_so_many_patches_of_a_kind_within_24_h_and_no_more(leash: Make, checked: Any, clock: ManualClock) -> None:
    held = leash(params=KindRule(proposed_per_day=2), weights=KindRule(proposed_per_day=0))
    code, weights = (SimpleNamespace(kind=kind) for kind in ("code", "weights"))
    assert held.why_not_proposed(cast(Any, weights)) == "the policy allows no patch of weights for iiwa"
    first = checked(1, "params")
    assert held.why_not_proposed(first) == ""
    checked(2, "params")
    assert held.why_not_proposed(first) == "the policy allows 2 patches of params a day for iiwa"
    assert held.why_not_proposed(cast(Any, code)) == ""
    assert held.why_not_proposed(cast(Any, SimpleNamespace(kind="firmware"))) != ""
    clock.now_ns += DAY_NS
    assert held.why_not_proposed(first) == ""


def test_what_another_robot_uses_is_not_counted(store: Store, checked: Any, clock: ManualClock) -> None:
    checked(1, "params")
    with store.reading() as connection:
        assert uses(connection, "other", clock.wall_ns()).proposed["params"] == 0
        assert uses(connection, "iiwa", clock.wall_ns()).proposed["params"] == 1


def test_a_search_begins_only_while_something_is_left(leash: Make, store: Store, checked: Any) -> None:
    assert leash().why_no_search() == ""
    nothing = KindRule(proposed_per_day=0)
    why = leash(params=nothing, code=nothing, weights=nothing).why_no_search()
    assert why == "the policy allows no further patch for iiwa within 24 h (0 of 0 params, 0 of 0 code, 0 of 0 weights)"
    assert "0.02" in (why := leash(budget=Budget(alpha=0.02)).why_no_search())
    assert why.endswith("the policy allows no further decision")
    with store.journal("service") as journal:
        begin_search(journal, "iiwa", "sea_1", Cost(simulations=50))
        end_search(journal, "iiwa", "sea_1", Cost(simulations=60))  # evidence is finished once it was begun
    assert "60 of 60 simulations" in leash(budget=Budget(simulations=60)).why_no_search()
    assert leash(budget=Budget(simulations=61)).why_no_search() == ""


counts = st.integers(0, 10_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(budget=counts, wanted=counts, searches=st.lists(st.tuples(counts, counts, st.booleans()), max_size=4))
def test_no_search_gets_more_than_is_left_and_a_killed_one_counts_in_full(
    leash: Make, store: Store, clock: ManualClock, budget: int, wanted: int, searches: list[tuple[int, int, bool]]
) -> None:
    clock.now_ns += 2 * DAY_NS  # what earlier examples used is history
    used = 0
    for number, (may, took, killed) in enumerate(searches):
        with store.journal("service") as journal:
            begin_search(journal, "iiwa", f"sea_{clock.now_ns}_{number}", Cost(simulations=may, tokens=may, usd=may))
            if not killed:
                end_search(
                    journal, "iiwa", f"sea_{clock.now_ns}_{number}", Cost(simulations=took, tokens=took, usd=took)
                )
        used += may if killed else took
    held = leash(budget=Budget(simulations=budget, tokens=budget, usd=float(budget)))
    expected = max(min(wanted, budget - used), 0)
    left = held.left(Cost(simulations=wanted, tokens=wanted, usd=float(wanted)))
    assert (left.simulations, left.tokens, left.usd) == (expected, expected, expected)
    assert held.used().cost == Cost(simulations=used, tokens=used, usd=float(used))


def test_an_approval_by_policy_needs_everything_at_once(
    leash: Make, store: Store, samples: ModuleType, checked: Any
) -> None:
    candidate = checked(1, "params")
    judged = awaiting(store, samples, candidate)
    once = KindRule(auto_approved_per_day=1)
    assert leash().decide(candidate, judged) is None  # the default
    assert leash(params=replace(once, persons=2)).decide(candidate, judged) is None
    assert leash(code=once).decide(candidate, judged) is None
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        assert leash(params=once).decide(candidate, replace(judged, verdict=verdict)) is None
    weights = replace(candidate, kind="weights")
    assert leash(simulated=False, weights=once).decide(weights, judged) is None  # high risk
    decision = leash(params=once).decide(candidate, judged)
    assert decision is not None
    assert (decision.approve, decision.actor) == (True, ACTOR)
    assert decision.reason.startswith("approved by policy version 1 (")
    assert decision.reason.endswith("params 1 of 1 within 24 h")
    with store.journal("vera") as journal:
        freeze(journal, "visitors")
    assert leash(params=once).decide(candidate, judged) is None


def test_an_approval_by_policy_is_written_to_the_audit_log_as_such_and_counts(
    leash: Make, store: Store, samples: ModuleType, checked: Any, clock: ManualClock
) -> None:
    held = leash(params=KindRule(auto_approved_per_day=1))
    first, second = checked(1, "params"), checked(2, "params")
    judged = awaiting(store, samples, first)
    decision = held.decide(first, judged)
    assert decision is not None
    store.decide(approval_of(decision, judged, clock))
    assert store.patch(first.id).status is P.APPROVED
    rows = [row for row in store.show(first.id)["audit"] if row["actor"] == ACTOR]
    assert [row["verb"] for row in rows] == ["auto_approve", "approved"]
    assert held.used().auto_approved == {"params": 1, "code": 0, "weights": 0}
    assert held.decide(second, awaiting(store, samples, second)) is None
    clock.now_ns += DAY_NS
    assert held.decide(second, samples.report(second)) is not None


def proposer(name: str) -> Any:
    return SimpleNamespace(name=name)


@pytest.mark.parametrize(
    ("model", "budget", "tokens", "asked"),
    [
        (LlmSettings(), Budget(), 0, False),
        (LlmSettings(model="m", tokens=50_000), Budget(tokens=20_000), 20_000, True),
        (LlmSettings(model="m", tokens=50_000), Budget(tokens=999), 0, False),
        (LlmSettings(model="m", usd_per_mtok_in=1.0), Budget(usd=0.0), 0, False),
        (LlmSettings(model="m"), Budget(usd=0.0), 60_000, True),  # it costs nothing
        (LlmSettings(model="m", usd_per_mtok_in=1.0, usd=0.0), Budget(usd=0.01), 60_000, True),
    ],
)
def test_a_search_is_held_to_what_is_left_and_its_cost_is_written_down(
    leash: Make, model: LlmSettings, budget: Budget, tokens: int, asked: bool
) -> None:
    held = leash(budget=replace(budget, simulations=120), weights=KindRule(proposed_per_day=0))
    known = (proposer("tune"), proposer("rl"))
    limit = SearchLimit(leash=held, wanted=300, llm=model, choose=lambda _: known)
    pipeline, healing = cast(Any, SimpleNamespace()), Healing(robot="iiwa", fault="", seed=1)
    with limit(pipeline, healing):
        assert pipeline.budget == 120
        assert pipeline.proposers == known[:1]  # nobody trains what is not allowed
        assert pipeline.llm.wanted == asked
        if asked:
            assert pipeline.llm.tokens == tokens
            assert model.cost_usd(1, 1) == 0.0 or 0.0 < pipeline.llm.usd <= budget.usd
        assert held.used().cost.simulations == 120  # until it is known what it took
        healing.search_rollouts, healing.evidence_rollouts = 90, 40
        healing.charge(1_000, 100)
    used = held.used().cost
    assert (used.simulations, used.tokens) == (130, 1_100)
    assert used.usd == pytest.approx(model.cost_usd(1_000, 100))


def test_a_search_that_fails_is_paid_for(leash: Make) -> None:
    held = leash()
    limit = SearchLimit(leash=held, wanted=300, llm=LlmSettings(), choose=lambda _: ())
    healing = Healing(robot="iiwa", fault="", seed=1, search_rollouts=7)
    with pytest.raises(RuntimeError), limit(cast(Any, SimpleNamespace()), healing):
        raise RuntimeError
    assert held.used().cost.simulations == 7


def test_kinds_are_those_that_uses_counts() -> None:
    assert set(KINDS) == {"params", "code", "weights"}
