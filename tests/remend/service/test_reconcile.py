"""After a start every status has one way to go on, and the robot decides what runs."""

from __future__ import annotations

from typing import Any

import pytest

from core.status import SUCCESSORS, PatchStatus
from remend.service.reconcile import reconcile
from remend.store import Store

P = PatchStatus
BASE, RESULT, OTHER = "b" * 64, "c" * 64, "d" * 64

# status: (after, if the robot runs the controller before; after, if it runs the patch)
TABLE = {
    P.PROPOSED: (P.REJECTED, P.REJECTED),
    P.CHECKED: (P.REJECTED, P.REJECTED),
    P.VALIDATING: (P.REJECTED, P.REJECTED),
    P.AWAITING_APPROVAL: (P.AWAITING_APPROVAL, P.AWAITING_APPROVAL),
    P.INCONCLUSIVE: (P.INCONCLUSIVE, P.INCONCLUSIVE),
    P.APPROVED: (P.APPROVED, P.APPROVED),
    P.STAGED: (P.ROLLED_BACK, P.ACTIVE),
    P.SHADOW: (P.ROLLED_BACK, P.ACTIVE),
    P.CANARY: (P.ROLLED_BACK, P.ACTIVE),
    P.ACTIVE: (P.ROLLED_BACK, P.ACTIVE),
    P.ROLLING_BACK: (P.ROLLED_BACK, P.ROLLBACK_FAILED),
    P.SUPERSEDED: (P.SUPERSEDED, P.SUPERSEDED),
    P.REJECTED: (P.REJECTED, P.REJECTED),
    P.EXPIRED: (P.EXPIRED, P.EXPIRED),
    P.ROLLED_BACK: (P.ROLLED_BACK, P.ROLLED_BACK),
    P.ROLLBACK_FAILED: (P.ROLLBACK_FAILED, P.ROLLBACK_FAILED),
    P.KILLED: (P.KILLED, P.KILLED),
}


def test_the_table_knows_every_status() -> None:
    assert set(TABLE) == set(PatchStatus) == set(SUCCESSORS)


@pytest.mark.parametrize("runs_patch", [False, True])
@pytest.mark.parametrize("status", list(PatchStatus))
def test_every_status_has_one_way_on(store: Store, stored: Any, status: PatchStatus, runs_patch: bool) -> None:
    patch = stored(store, status)
    assert patch.status is status
    active = reconcile(store, "iiwa", RESULT if runs_patch else BASE)
    after = store.patch(patch.id)
    assert after.status is TABLE[status][runs_patch]
    assert (active is not None) == (after.status is P.ACTIVE)
    again = reconcile(store, "iiwa", RESULT if runs_patch else BASE)
    assert store.patch(patch.id) == after, "a second start changes nothing"
    assert (again is None) == (active is None)


def test_a_trial_that_nobody_saw_the_end_of_is_told_as_interrupted(store: Store, stored: Any) -> None:
    patch = stored(store, P.CANARY)
    reconcile(store, "iiwa", BASE)
    (outcome,) = store.patch(patch.id).outcomes
    assert outcome.rolled_back
    assert "interrupted" in outcome.reason


def test_of_two_active_patches_with_the_same_controller_the_later_one_counts(store: Store, stored: Any) -> None:
    first, second = stored(store, P.ACTIVE, 1), stored(store, P.ACTIVE, 2)
    active = reconcile(store, "iiwa", RESULT)
    assert active is not None
    assert active.id == second.id
    assert store.patch(first.id).status is P.SUPERSEDED


def test_patches_of_other_robots_are_left_alone(store: Store, stored: Any) -> None:
    patch = stored(store, P.CANARY)
    assert reconcile(store, "another", OTHER) is None
    assert store.patch(patch.id).status is P.CANARY
