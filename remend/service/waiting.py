"""Waiting for what was asked of a service."""

from __future__ import annotations

import time

from core.clock import Clock
from remend.service.client import Client
from remend.web.resources import OrderShown

_LOOK_S = 0.2


def wait_for_order(service: Client, shown: OrderShown, seconds: float, clock: Clock) -> OrderShown:
    """The order with its result, or without one when `seconds` are over."""
    end_ns = clock.monotonic_ns() + round(seconds * 1e9)
    while shown.result is None and clock.monotonic_ns() < end_ns:
        time.sleep(_LOOK_S)
        shown = service.order(shown.order.id)
    return shown
