"""The life of a patch: which moves exist, which do not, and what no sequence of moves can do."""

from __future__ import annotations

from itertools import product

import pytest

from core.errors import Conflict
from core.status import SUCCESSORS, PatchStatus, Verdict, require_transition

P = PatchStatus
TERMINAL = {P.SUPERSEDED, P.REJECTED, P.EXPIRED, P.ROLLED_BACK, P.KILLED}
COMMANDING = {P.CANARY, P.ACTIVE}  # the patch has authority over the robot


def predecessors(status: PatchStatus) -> set[PatchStatus]:
    return {before for before, after in SUCCESSORS.items() if status in after}


def reachable(start: PatchStatus, without: frozenset[PatchStatus] = frozenset()) -> set[PatchStatus]:
    """Every status that a patch can get to from `start`, never passing through `without`."""
    seen, open_ends = {start}, [start]
    while open_ends:
        for after in SUCCESSORS[open_ends.pop()] - seen - without:
            seen.add(after)
            open_ends.append(after)
    return seen


def test_every_status_has_a_row() -> None:
    assert set(SUCCESSORS) == set(PatchStatus)


def test_the_terminal_statuses_and_no_others_have_no_successor() -> None:
    assert {status for status, after in SUCCESSORS.items() if not after} == TERMINAL


def test_every_status_can_be_reached_by_a_proposed_patch() -> None:
    assert reachable(P.PROPOSED) == set(PatchStatus)


def test_every_status_leads_to_an_end() -> None:
    assert all(reachable(status) & TERMINAL for status in PatchStatus)


def test_nothing_becomes_proposed_again() -> None:
    assert predecessors(P.PROPOSED) == set()


def test_no_patch_returns_to_where_it_was() -> None:
    for status in PatchStatus:
        later = set().union(*(reachable(after) for after in SUCCESSORS[status]))
        assert status not in later


def test_a_patch_is_approved_only_while_it_waits_for_approval() -> None:
    assert predecessors(P.APPROVED) == {P.AWAITING_APPROVAL}


def test_a_patch_waits_for_approval_only_after_its_evidence() -> None:
    assert predecessors(P.AWAITING_APPROVAL) == {P.VALIDATING}


@pytest.mark.parametrize("gate", [P.CHECKED, P.VALIDATING, P.AWAITING_APPROVAL, P.APPROVED, P.STAGED, P.SHADOW])
def test_no_way_to_the_robot_leads_around(gate: PatchStatus) -> None:
    assert not reachable(P.PROPOSED, without=frozenset({gate})) & COMMANDING


def test_inconclusive_evidence_never_promotes() -> None:
    assert reachable(P.INCONCLUSIVE) == {P.INCONCLUSIVE, P.REJECTED}


@pytest.mark.parametrize("status", sorted(COMMANDING | {P.STAGED, P.SHADOW}))
def test_whatever_is_on_a_robot_can_be_taken_back_and_killed(status: PatchStatus) -> None:
    assert SUCCESSORS[status] >= {P.ROLLING_BACK, P.KILLED}


def test_a_failed_rollback_stays_until_the_robot_is_killed() -> None:
    assert SUCCESSORS[P.ROLLBACK_FAILED] == {P.KILLED}


@pytest.mark.parametrize(("before", "after"), list(product(PatchStatus, PatchStatus)))
def test_the_door_lets_through_what_the_table_names_and_nothing_else(before: PatchStatus, after: PatchStatus) -> None:
    if after in SUCCESSORS[before]:
        require_transition(before, after)
    else:
        with pytest.raises(Conflict, match=f"that is {before.value} cannot become {after.value}"):
            require_transition(before, after)


def test_verdicts_and_statuses_are_their_own_words() -> None:
    assert [verdict.value for verdict in Verdict] == ["pass", "fail", "inconclusive"]
    assert all(status.value == status.name.lower() for status in PatchStatus)
