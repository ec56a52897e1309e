"""An order is written down once, waits until it is answered, and is answered once."""

from __future__ import annotations

import pytest

from core.clock import ManualClock
from core.errors import Missing
from remend.service.orders import Order, OrderResult, Verb, answer, order_of, order_result, place, waiting
from remend.store import Store


def order(name: str, robot: str = "iiwa", key: str = "") -> Order:
    return Order(
        id=name, robot_id=robot, verb=Verb.ROLL_BACK, actor="anna", reason="odd noise", key=key or name, at_ns=1
    )


def result(name: str, what: str = "done") -> OrderResult:
    return OrderResult(order_id=name, done=True, what=what, at_ns=2)


def test_orders_wait_in_order_and_per_robot_until_they_are_answered(store: Store) -> None:
    orders = [order("ord_1"), order("ord_2", robot="arm2"), order("ord_3")]
    with store.journal("anna") as journal:
        for each in orders:
            assert place(journal, each) == each
        assert waiting(journal.connection, "iiwa") == (orders[0], orders[2])
        answer(journal, orders[0], result("ord_1"))
        assert waiting(journal.connection, "iiwa") == (orders[2],)
        assert waiting(journal.connection, "arm2") == (orders[1],)
        assert order_of(journal.connection, "ord_3") == orders[2]
        assert order_result(journal.connection, "ord_3") is None


def test_the_same_request_twice_is_one_order(store: Store) -> None:
    with store.journal("anna") as journal:
        first = place(journal, order("ord_1", key="k"))
        assert place(journal, order("ord_2", key="k")) == first
        assert waiting(journal.connection, "iiwa") == (first,)


def test_the_first_answer_stays(store: Store) -> None:
    with store.journal("robot") as journal:
        one = place(journal, order("ord_1"))
        answer(journal, one, result("ord_1", "the robot is back"))
        answer(journal, one, result("ord_1", "something else"))
        found = order_result(journal.connection, "ord_1")
        assert found is not None
        assert found.what == "the robot is back"


def test_an_unknown_order_is_said_to_be_unknown(store: Store, clock: ManualClock) -> None:
    with store.reading() as connection, pytest.raises(Missing, match="no order 'ord_9'"):
        order_of(connection, "ord_9")
