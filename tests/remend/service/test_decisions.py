"""A decision is made once, on exactly what was shown, with the care that the risk asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import BadInput, Conflict, Missing, Refused
from core.records import Approval
from core.status import PatchStatus
from remend.decision import VALID_NS
from remend.ledger import Patch
from remend.second_person import FIRST, first_approval
from remend.service import accounts
from remend.service.accounts import Role
from remend.service.decisions import MAX_REASON, Shown, Wish, decide
from remend.service.freeze import freeze
from remend.service.risk import Level, risk_of
from remend.store import Store

P = PatchStatus
WISH = Wish(decision="approve", actor="ada", reason="agreed with the shift", robot_name="")
Ask = Callable[..., Approval]


@pytest.fixture
def patch(store: Store, stored: Any) -> Patch:
    found: Patch = stored(store, P.AWAITING_APPROVAL)
    return found


@pytest.fixture
def ask(store: Store, clock: ManualClock, patch: Patch) -> Ask:
    assert patch.report is not None
    shown = Shown(
        base_sha=patch.candidate.base_sha, result_sha=patch.candidate.result_sha, report_sha=patch.report.sha256
    )

    def put(*, simulated: bool = True, stale: str = "", **changes: str) -> Approval:
        seen = replace(shown, **{stale: "f" * 64}) if stale else shown
        return decide(store, clock, patch.id, replace(WISH, **changes), seen, simulated=simulated)

    return put


def status(store: Store) -> PatchStatus:
    return store.patch("pat_1").status


@pytest.mark.parametrize(("decision", "after"), [("approve", P.APPROVED), ("reject", P.REJECTED)])
def test_a_decision_is_stored_with_what_it_was_about(
    store: Store, ask: Ask, patch: Patch, decision: str, after: PatchStatus
) -> None:
    made = ask(decision=decision)
    assert status(store) is after
    assert store.patch(patch.id).approval == made
    assert (made.actor, made.reason, made.base_sha) == ("ada", WISH.reason, patch.candidate.base_sha)


@pytest.mark.parametrize(
    ("stale", "what"),
    [("base_sha", "the controller that it changes"), ("result_sha", "the patch"), ("report_sha", "the report")],
)
def test_what_changed_since_the_page_was_opened_is_named_and_nothing_happens(
    store: Store, ask: Ask, stale: str, what: str
) -> None:
    with pytest.raises(Conflict, match=f"^{what} changed since the page was opened"):
        ask(stale=stale)
    assert status(store) is P.AWAITING_APPROVAL


def test_the_same_decision_twice_is_one_and_another_one_is_too_late(store: Store, ask: Ask) -> None:
    assert ask() == ask()
    with pytest.raises(Conflict, match="approved by ada; a patch is decided once"):
        ask(decision="reject")
    with pytest.raises(Conflict, match="decided once"):
        ask(actor="berta")
    assert status(store) is P.APPROVED


def test_a_rejection_needs_a_reason_and_no_reason_is_endless(store: Store, ask: Ask) -> None:
    with pytest.raises(BadInput, match="a rejection needs a reason"):
        ask(decision="reject", reason=" ")
    with pytest.raises(BadInput, match="at most 2000 characters"):
        ask(reason="x" * (MAX_REASON + 1))
    assert status(store) is P.AWAITING_APPROVAL


def test_nothing_is_approved_while_patching_is_frozen_but_rejecting_goes_on(store: Store, ask: Ask) -> None:
    with store.journal("anna") as journal:
        freeze(journal, "visitors")
    with pytest.raises(Refused, match="frozen by anna"):
        ask()
    assert ask(decision="reject").decision == "reject"


def test_what_is_decided_or_not_there_cannot_be_decided(store: Store, clock: ManualClock, stored: Any) -> None:
    expired = stored(store, P.EXPIRED)
    shown = Shown(base_sha="b" * 64, result_sha="c" * 64, report_sha=expired.report.sha256)
    with pytest.raises(Conflict, match=r"is expired by now .a test.; there is nothing to decide"):
        decide(store, clock, expired.id, WISH, shown, simulated=True)
    with pytest.raises(Missing, match="no patch 'pat_9'"):
        decide(store, clock, "pat_9", WISH, shown, simulated=True)


@pytest.mark.parametrize(
    ("kind", "step", "revert", "level"),
    [
        ("params", 0.1, False, Level.LOW),
        ("params", 0.3, False, Level.MEDIUM),
        ("params", 0.1, True, Level.MEDIUM),
        ("code", 0.1, False, Level.MEDIUM),
        ("weights", 0.1, False, Level.HIGH),
    ],
)
def test_the_risk_is_that_of_its_worst_part(
    samples: ModuleType, kind: str, step: float, revert: bool, level: Level
) -> None:
    candidate = samples.candidate()
    change = replace(candidate.changes[0], old=0.0, new=step, low=0.0, high=1.0)
    candidate = replace(candidate, kind=kind, changes=(change,))
    report = replace(samples.report(candidate), needs_revert_trigger=revert)
    found = risk_of(candidate, report, simulated=False)
    assert found.level is level
    assert any(part is level for part, _ in found.parts)
    at_no_danger = risk_of(candidate, report, simulated=True)
    assert at_no_danger.level is min(level, Level.MEDIUM, key=lambda each: each.rank)


def test_medium_risk_asks_for_a_reason_and_high_risk_for_the_robots_name_and_the_password(
    store: Store, clock: ManualClock, samples: ModuleType
) -> None:
    store.add_incident(samples.incident())
    candidate = replace(samples.candidate(), kind="weights")
    judged = samples.report(candidate)
    samples.await_approval(store, candidate, judged)
    shown = Shown(base_sha=candidate.base_sha, result_sha=candidate.result_sha, report_sha=judged.sha256)

    def ask(simulated: bool, reason: str, robot_name: str = "", assured: bool = False) -> Approval:
        wish = replace(WISH, reason=reason, robot_name=robot_name, assured=assured)
        return decide(store, clock, candidate.id, wish, shown, simulated=simulated)

    with pytest.raises(BadInput, match="the risk is medium: an approval needs a reason"):
        ask(True, "")
    with pytest.raises(BadInput, match="type the robot's name, iiwa"):
        ask(False, "good", "iwa")
    with pytest.raises(Refused, match="the risk is high: give your password again"):
        ask(False, "good", "iiwa")
    assert ask(False, "good", "iiwa", assured=True).decision == "approve"


@pytest.fixture
def two(store: Store, clock: ManualClock, patch: Patch) -> Ask:
    """A decision where the policy asks for two people; ada and ben are operators, vera reads."""
    assert patch.report is not None
    with store.journal("test") as journal:
        for name, role in (("ada", Role.OPERATOR), ("ben", Role.ADMIN), ("vera", Role.VIEWER)):
            accounts.add_user(journal, name, role, "long enough indeed")

    def put(actor: str, *, decision: str = "approve", first_id: str | None = None) -> Approval:
        now = store.patch(patch.id)
        assert now.report is not None
        shown = Shown(
            base_sha=now.candidate.base_sha,
            result_sha=now.candidate.result_sha,
            report_sha=now.report.sha256,
            first_id=first_id,
        )
        wish = replace(WISH, actor=actor, decision=decision)
        return decide(store, clock, patch.id, wish, shown, simulated=True, persons=2)

    return put


def counting(store: Store, clock: ManualClock) -> str | None:
    """Whose first approval counts."""
    with store.reading() as connection:
        first = first_approval(connection, store.patch("pat_1"), clock.wall_ns())
    return None if first is None else first.actor


def test_two_different_people_approve_and_both_are_named(store: Store, clock: ManualClock, two: Ask) -> None:
    first = two("ada")
    assert (first.decision, status(store), counting(store, clock)) == (FIRST, P.AWAITING_APPROVAL, "ada")
    second = two("ben", first_id=first.id)
    assert status(store) is P.APPROVED
    assert (second.first_actor, second.actor, second.approver) == ("ada", "ben", "ada and ben")
    assert store.patch("pat_1").approval == second
    rows = [(row["actor"], row["verb"]) for row in store.show("pat_1")["audit"]]
    assert rows[-3:] == [("ada", "first_approve"), ("ben", "approve"), ("ben", "approved")]


def test_nobody_is_two_people(store: Store, clock: ManualClock, two: Ask) -> None:
    first = two("ada", first_id="")
    assert two("ada", first_id="") == first  # the same request once more
    for seen in (None, first.id):
        with pytest.raises(Conflict, match="ada has approved pat_1 already"):
            two("ada", first_id=seen)
    assert (status(store), counting(store, clock)) == (P.AWAITING_APPROVAL, "ada")
    with pytest.raises(Refused, match="policy is no user here"):
        two("policy", first_id=first.id)


def test_who_comes_second_has_seen_the_first(store: Store, two: Ask) -> None:
    two("ada", first_id="")
    with pytest.raises(Conflict, match="ada has approved pat_1 meanwhile"):
        two("ben", first_id="")
    assert status(store) is P.AWAITING_APPROVAL


@pytest.mark.parametrize("why", ["another report", "a day", "the clock was set back", "no operator", "no user"])
def test_a_first_approval_counts_only_while_all_of_it_holds(
    store: Store, clock: ManualClock, samples: ModuleType, two: Ask, why: str
) -> None:
    first = two("ada")
    match why:
        case "another report":
            store.add_report(samples.report(store.patch("pat_1").candidate, "rep_2"))
        case "a day":
            clock.now_ns += VALID_NS
        case "the clock was set back":
            clock.now_ns -= 1
        case "no operator":
            with store.journal("ben") as journal:
                accounts.set_role(journal, "ada", Role.VIEWER)
        case _:
            with store.journal("ben") as journal:
                accounts.remove_user(journal, "ada")
    assert counting(store, clock) is None
    with pytest.raises(Conflict, match="counts no more"):
        two("ben", first_id=first.id)
    assert two("ben", first_id="").decision == FIRST  # it begins anew
    assert status(store) is P.AWAITING_APPROVAL


def test_either_of_both_can_still_reject(store: Store, clock: ManualClock, two: Ask) -> None:
    two("ada")
    two("ben", decision="reject")
    assert (status(store), counting(store, clock)) == (P.REJECTED, None)
