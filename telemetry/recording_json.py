"""Incident recordings of versions 1 and 2, with JSON messages: still read, because incidents are kept for ever.

JSON has no NaN: it was written as null. An infinity was written as 1e999, which is a JSON number beyond the double
range and reads back as infinity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.frames import Frame, Reference, TelemetryRow
from core.records import Event

JOINT_STATES, REFERENCE, SCORE, EVENT = "/joint_states", "/reference", "/remend/score", "/remend/event"
Messages = Mapping[str, Sequence[bytes]]  # topic -> messages in the order in which they were written


def rows_of(messages: Messages) -> Iterator[TelemetryRow]:
    """Telemetry rows, bit for bit."""
    for state, reference in zip(_read(messages, JOINT_STATES), _read(messages, REFERENCE), strict=True):
        yield TelemetryRow(
            frame=Frame(
                seq=state["seq"],
                stamp_ns=state["stamp_ns"],
                **{name: _floats(state[name]) for name in ("q", "qd", "tau_meas", "tau_cmd")},
            ),
            reference=Reference(**{name: _floats(reference[name]) for name in ("q_ref", "qd_ref", "qdd_ref")}),
        )


def scores_of(messages: Messages) -> list[float]:
    """Test ratio per row; empty where none was recorded."""
    return [_floats([message["test_ratio"]])[0] for message in _read(messages, SCORE)]


def events_of(messages: Messages) -> Iterator[Event]:
    """Events, in the order of alarm."""
    for message in _read(messages, EVENT):
        ranking = tuple((str(channel), float(ratio)) for channel, ratio in message["ranking"])
        yield Event(**(message | {"ranking": ranking}))


def _read(messages: Messages, topic: str) -> list[dict[str, Any]]:
    return [json.loads(data) for data in messages.get(topic, ())]


def _floats(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
