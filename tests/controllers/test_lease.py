"""One service at a time, each request once, whatever the network does with the messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controllers.lease import Lease


@given(st.lists(st.integers(1, 12), max_size=60))
def test_each_request_is_carried_out_once_and_in_order(numbers: list[int]) -> None:
    """Messages in any order, any number of times."""
    lease, done = Lease(1.0), []
    lease.heartbeat("a", 0.0)
    for number in numbers:
        if lease.is_new(number):
            done.append(number)
            assert lease.answer_to(number) is None
            lease.answered("a", number, f"answer {number}")
    assert done == sorted(set(done))
    assert all(lease.answer_to(number) == f"answer {number}" for number in done)


def test_a_second_service_waits_until_the_first_is_silent_and_its_patch_has_gone() -> None:
    lease = Lease(1.0)
    assert lease.heartbeat("a", 0.0)
    assert not lease.heartbeat("b", 0.9)
    assert not lease.is_over(0.9)
    assert lease.is_over(1.1)
    assert not lease.heartbeat("b", 1.1)
    lease.release()
    assert lease.heartbeat("b", 1.2)
    assert not lease.heartbeat("a", 1.3)


def test_an_answer_that_comes_after_the_lease_has_changed_hands_is_nobodys() -> None:
    lease = Lease(1.0)
    lease.heartbeat("a", 0.0)
    assert lease.is_new(1)
    lease.release()
    lease.heartbeat("b", 2.0)
    lease.answered("a", 1, "late")
    assert lease.is_new(1)
    assert lease.answer_to(1) is None


def test_old_answers_are_forgotten_but_never_carried_out_again() -> None:
    lease = Lease(1.0)
    lease.heartbeat("a", 0.0)
    for number in range(1, 200):
        assert lease.is_new(number)
        lease.answered("a", number, "done")
    assert lease.answer_to(1) is None
    assert not lease.is_new(1)
