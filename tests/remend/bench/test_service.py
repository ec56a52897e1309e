"""Kills are judged by what was sent and answered: whatever else is found in a home is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from core.records import Approval
from remend.bench.kills import Desk, Found, unsound
from remend.bench.service import deaths


@pytest.fixture
def approval(samples: ModuleType) -> Approval:
    judged = samples.report(samples.candidate())
    made: Approval = samples.decision(judged, "app_1", "approve", "anna")
    return replace(made, reason="request 1")


def judged(kept: tuple[Approval, ...], desk: Desk, **changes: Any) -> list[str]:
    facts = {"rows": Counter({"pat_1": len(kept)}), "moved": Counter({"pat_1": 1}), "going": {"pat_1"}, **changes}
    return unsound(kept, facts["rows"], facts["moved"], facts["going"], desk)


def test_approvals_that_were_sent_and_answered_are_sound(approval: Approval) -> None:
    assert not judged((approval,), Desk(sent={"request 1"}, answered={"request 1": "app_1"}))
    assert not judged((approval,), Desk(sent={"request 1"})), "killed before it could answer"
    assert not judged((), Desk(sent={"request 1"}), rows=Counter(), moved=Counter(), going=set())


def test_whatever_is_wrong_with_an_approval_is_named(approval: Approval) -> None:
    answered = Desk(sent={"request 1"}, answered={"request 1": "app_1"})
    assert judged((), answered, moved=Counter(), going=set()) == ["request 1 was answered and is lost"]
    assert judged((approval,), Desk()) == ["app_1 was asked for by nobody"]
    twice = (approval, replace(approval, id="app_2"))
    assert "pat_1 has 2 approvals" in judged(twice, answered)
    assert judged((approval,), answered, rows=Counter()) == ["pat_1 has 0 rows of an approval"]
    assert judged((approval,), answered, moved=Counter(pat_1=2)) == ["pat_1 was committed 2 times"]
    assert judged((), Desk(), moved=Counter()) == ["pat_1 went on without an approval"]


def test_a_figure_is_met_only_by_kills_that_met_an_approval() -> None:
    assert [figure.met for figure in deaths(Found(kills=5, approvals=1), 5)] == [True, True]
    assert [figure.met for figure in deaths(Found(kills=5), 5)] == [False, True]
    assert [figure.met for figure in deaths(Found(), 5)] == [False, False]
    wrong = Found(kills=5, approvals=1, wrong=["lost"], broken=["kill 1: a row"])
    assert [figure.met for figure in deaths(wrong, 5)] == [False, False]
