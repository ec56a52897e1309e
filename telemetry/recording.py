"""Incident recordings: MCAP with JSON messages, which Foxglove and PlotJuggler open as they are.

Topics: `/joint_states` and `/reference` once per row, `/remend/score` where a score exists, `/remend/event` per event.
The score has a topic of its own, so that the raw telemetry stays raw. `log_time` is the robot's stamp in ns.

JSON has no NaN: it is written as null. An infinity is written as 1e999, which is a JSON number beyond the double range
and reads back as infinity. Every other float is written with the digits that restore its bits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.writer import Writer
from numpy.typing import NDArray

from core.errors import BadInput
from core.frames import Frame, Reference, TelemetryRow
from core.ids import plain
from core.records import Event

JOINT_STATES, REFERENCE, SCORE, EVENT = "/joint_states", "/reference", "/remend/score", "/remend/event"
METADATA = "remend"
_ROW = "remend.recording"  # metadata record with the names: an empty recording still knows its robot

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_STAMP = {"stamp_ns": {"type": "integer"}}


def _schema(title: str, properties: dict[str, Any]) -> bytes:
    return json.dumps({"title": title, "type": "object", "properties": properties}).encode()


_SCHEMAS = {
    JOINT_STATES: _schema(
        "remend.JointStates",
        {"seq": {"type": "integer"}}
        | _STAMP
        | dict.fromkeys(("names", "actuators"), _TEXTS)
        | dict.fromkeys(("q", "qd", "tau_meas", "tau_cmd"), _NUMBERS),
    ),
    REFERENCE: _schema("remend.Reference", _STAMP | dict.fromkeys(("q_ref", "qd_ref", "qdd_ref"), _NUMBERS)),
    SCORE: _schema("remend.Score", _STAMP | {"test_ratio": {"type": "number"}}),
    EVENT: _schema(
        "remend.Event",
        {name: {"type": "string"} for name in ("detector", "channel", "kind")}
        | {name: {"type": "number"} for name in ("onset_s", "alarm_s", "test_ratio")}
        | {"ranking": {"type": "array", "items": {"type": "array"}}},
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a recording holds."""

    joint_names: tuple[str, ...]  # n
    actuator_names: tuple[str, ...]  # m
    rows: tuple[TelemetryRow, ...]
    scores: NDArray[np.float64] | None  # (N,) test ratio per row
    events: tuple[Event, ...]
    metadata: dict[str, str] = field(default_factory=dict)


def write_recording(
    path: Path,
    rows: Sequence[TelemetryRow],
    joint_names: Sequence[str],
    actuator_names: Sequence[str],
    scores: NDArray[np.float64] | None = None,
    events: Sequence[Event] = (),
    metadata: dict[str, str] | None = None,
) -> None:
    """Write an incident to `path`; the same arguments give the same bytes.

    Args:
        rows: N rows in the order of time.
        scores: (N,) test ratio of each row, or None.
        metadata: hashes and settings, shown by Foxglove.

    Raises:
        BadInput: a stamp before zero, or scores that do not match the rows.
    """
    if scores is not None and len(scores) != len(rows):
        raise BadInput(f"The recording has {len(rows)} rows and {len(scores)} scores; give one score per row.")
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="", library="remend")
        channel = {
            topic: writer.register_channel(
                topic, "json", writer.register_schema(json.loads(schema)["title"], "jsonschema", schema)
            )
            for topic, schema in _SCHEMAS.items()
        }
        names = {"joint_names": json.dumps(list(joint_names)), "actuator_names": json.dumps(list(actuator_names))}
        writer.add_metadata(_ROW, {**names, "version": "2"})
        writer.add_metadata(METADATA, dict(metadata or {}))

        def add(topic: str, stamp_ns: int, sequence: int, message: dict[str, Any]) -> None:
            writer.add_message(channel[topic], stamp_ns, _encode(message), stamp_ns, sequence)

        for i, row in enumerate(rows):
            frame, stamp_ns = row.frame, row.frame.stamp_ns
            if stamp_ns < 0:
                raise BadInput(f"Row {i} has the stamp {stamp_ns} ns; MCAP needs stamps from 0 on.")
            stamp = {"stamp_ns": stamp_ns}
            add(
                JOINT_STATES,
                stamp_ns,
                i,
                {"seq": frame.seq}
                | stamp
                | {"names": list(joint_names), "actuators": list(actuator_names)}
                | {"q": frame.q, "qd": frame.qd, "tau_meas": frame.tau_meas, "tau_cmd": frame.tau_cmd},
            )
            ref = row.reference
            add(REFERENCE, stamp_ns, i, stamp | {"q_ref": ref.q_ref, "qd_ref": ref.qd_ref, "qdd_ref": ref.qdd_ref})
            if scores is not None:
                add(SCORE, stamp_ns, i, stamp | {"test_ratio": float(scores[i])})
        for i, event in enumerate(events):
            add(EVENT, max(0, round(event.alarm_s * 1e9)), i, plain(event))
        writer.finish()


def read_recording(path: Path) -> Recording:
    """Read what `write_recording` wrote; floats come back bit for bit, in the order in which they were written.

    Raises:
        BadInput: no such file, damaged, or an MCAP file of another kind.
    """
    found: dict[str, list[dict[str, Any]]] = {topic: [] for topic in _SCHEMAS}
    metadata: dict[str, dict[str, str]] = {}
    try:
        with path.open("rb") as file:
            reader = make_reader(file)
            for record in reader.iter_metadata():
                metadata[record.name] = dict(record.metadata)
            for _, channel, message in reader.iter_messages(log_time_order=False):
                if channel.topic in found and channel.message_encoding == "json":
                    found[channel.topic].append(json.loads(message.data))
        about = metadata[_ROW]
        joints = tuple(json.loads(about["joint_names"]))
        actuators = tuple(json.loads(about["actuator_names"])) if "actuator_names" in about else joints  # version 1
        rows = tuple(_rows(found[JOINT_STATES], found[REFERENCE]))
        scores = [_floats([message["test_ratio"]])[0] for message in found[SCORE]]
        events = tuple(_event(message) for message in found[EVENT])
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such recording; give the path of an .mcap file.") from None
    except (McapError, KeyError, ValueError, TypeError, OSError) as error:
        raise BadInput(
            f"{path}: not a complete Remend recording ({type(error).__name__}: {error}); record the incident again."
        ) from error
    return Recording(
        joint_names=joints,
        actuator_names=actuators,
        rows=rows,
        scores=np.array(scores, dtype=np.float64) if scores else None,
        events=events,
        metadata=metadata.get(METADATA, {}),
    )


def is_recording(path: Path) -> bool:
    """Whether the MCAP file at `path` was written by `write_recording`."""
    try:
        with path.open("rb") as file:
            return any(record.name == _ROW for record in make_reader(file).iter_metadata())
    except (McapError, OSError):
        return False


def _encode(message: dict[str, Any]) -> bytes:
    try:
        return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        text = json.dumps(_nulls(message), separators=(",", ":"))
        # Infinity outside a string: json.dumps writes the bare word only for floats.
        return re.sub(r'("(?:[^"\\]|\\.)*")|Infinity', lambda m: m.group(1) or "1e999", text).encode()


def _nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulls(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nulls(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _floats(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _rows(states: list[dict[str, Any]], references: list[dict[str, Any]]) -> Iterator[TelemetryRow]:
    for state, reference in zip(states, references, strict=True):
        yield TelemetryRow(
            frame=Frame(
                seq=state["seq"],
                stamp_ns=state["stamp_ns"],
                **{name: _floats(state[name]) for name in ("q", "qd", "tau_meas", "tau_cmd")},
            ),
            reference=Reference(**{name: _floats(reference[name]) for name in ("q_ref", "qd_ref", "qdd_ref")}),
        )


def _event(message: dict[str, Any]) -> Event:
    ranking = tuple((str(channel), float(ratio)) for channel, ratio in message["ranking"])
    return Event(**(message | {"ranking": ranking}))
