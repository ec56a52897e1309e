"""What people ask of a robot: written down first, carried out once, answered in writing.

An order is an outbox entry. The service may stop between any two steps; whoever looks after the robot next finds the
order without a result and carries it out. The key makes the same request, sent twice, one order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from core.ids import sha256_of
from remend import ledger, tables
from remend.journal import Journal


class Verb(StrEnum):
    """What can be asked."""

    ROLL_BACK = "roll_back"  # return to the controller before
    CANCEL = "cancel"  # end the search for a patch, or its proof
    HOLD = "hold"  # come to a stop and stay there
    RESUME = "resume"  # go on after a hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request."""

    id: str  # ord_...
    robot_id: str
    verb: Verb
    actor: str
    reason: str
    key: str  # of the request
    at_ns: int  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderResult:
    """What became of an order."""

    order_id: str
    done: bool
    what: str  # one sentence
    at_ns: int  # UTC


def place(journal: Journal, order: Order) -> Order:
    """Write an order down; a request whose key is known gets the order that it was."""
    earlier = ledger.records(journal.connection, tables.orders, Order, key=order.key)
    if earlier:
        return earlier[0]
    subject = (order.robot_id, sha256_of(order.robot_id))
    columns = {"id": order.id, "robot_id": order.robot_id, "key": order.key}
    journal.record(tables.orders, order.verb.value, subject, order, **columns)
    return order


def answer(journal: Journal, order: Order, result: OrderResult) -> None:
    """Write down what became of an order. The first answer stays."""
    if order_result(journal.connection, order.id) is None:
        subject = (order.robot_id, sha256_of(order.robot_id))
        journal.record(tables.order_results, "answered", subject, result, order_id=order.id)


def order_of(connection: Connection, order_id: str) -> Order:
    """One order.

    Raises:
        Missing: no such order.
    """
    ledger.digest(connection, tables.orders, order_id)
    return ledger.records(connection, tables.orders, Order, id=order_id)[0]


def order_result(connection: Connection, order_id: str) -> OrderResult | None:
    """What became of an order; None while it waits."""
    found = ledger.records(connection, tables.order_results, OrderResult, order_id=order_id)
    return found[0] if found else None


def waiting(connection: Connection, robot_id: str) -> tuple[Order, ...]:
    """Orders to a robot that nobody has answered yet, oldest first."""
    answered = set(connection.scalars(select(tables.order_results.c.order_id)))
    orders = ledger.records(connection, tables.orders, Order, robot_id=robot_id)
    return tuple(order for order in orders if order.id not in answered)
