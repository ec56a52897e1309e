"""The files of an incident agree with each other: recording, Foxglove layout, table for PlotJuggler."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.frames import Frame, Reference, TelemetryRow
from core.records import Event
from core.robot_toml import load_robot
from sim.catalogue import robot_file
from telemetry.incident_files import LAYOUT, RECORDING, TABLE, write_incident
from telemetry.recording import read_recording
from telemetry.sources import open_source

EVENT = Event(detector="d@1", channel="a", kind="bias", onset_s=0.004, alarm_s=0.008, test_ratio=1.5)


def _rows(n: int, m: int) -> list[TelemetryRow]:
    rng = np.random.default_rng(0)

    def some(size: int) -> list[float]:
        return [float(value) for value in rng.standard_normal(size)]

    return [
        TelemetryRow(
            frame=Frame(
                seq=i,
                stamp_ns=i * 4_000_000,
                q=some(n),
                qd=[math.nan] * n if i == 2 else some(n),
                tau_meas=some(m),
                tau_cmd=some(m),
            ),
            reference=Reference(q_ref=some(n), qd_ref=some(n), qdd_ref=some(n)),
        )
        for i in range(5)
    ]


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


def _leaves(node: Any) -> list[str]:
    return [node] if isinstance(node, str) else _leaves(node["first"]) + _leaves(node["second"])


@pytest.mark.parametrize("name", ["iiwa", "cartpole", "quadrotor", "quadruped"])
def test_files_agree_and_the_same_incident_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    robot = load_robot(robot_file(name))
    rows, scores = _rows(robot.dof, len(robot.actuators)), np.array([0.0, 0.5, 1.5, np.nan, 0.1])
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        write_incident(folder, robot, rows, scores, [EVENT], {"robot": "one"})
    for file in (RECORDING, LAYOUT, TABLE):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()

    recording = read_recording(folders[0] / RECORDING)
    assert (recording.mode, recording.events) == (robot.mode, (EVENT,))

    from_recording, from_table = (open_source(folders[0] / file) for file in (RECORDING, TABLE))
    assert from_table.names == tuple(channel.replace(".", "/") for channel in from_recording.names)
    assert from_table.notes == ("Column remend/score is left out: it holds labels.",)
    table, recorded = from_table.read(), from_recording.read()
    assert table.stamp_s.tobytes() == recorded.stamp_s.tobytes()
    assert np.array_equal(table.values, recorded.values, equal_nan=True)
    lines = (folders[0] / TABLE).read_text().splitlines()
    assert lines[0].startswith("t,")
    assert [line.rsplit(",", 1)[1] for line in lines] == ["remend/score", "0.0", "0.5", "1.5", "", "0.1"]

    layout = json.loads((folders[0] / LAYOUT).read_text())
    assert sorted(_leaves(layout["layout"])) == sorted(layout["configById"])
    paths = [text for text in _strings(layout["configById"]) if text.startswith("/")]
    said = _numbers(folders[0] / RECORDING)
    assert {path for path in paths if "." in path} <= said
    assert {"/remend/score.data", "/remend/event"} <= set(paths)
    assert "1" in [path["value"] for path in layout["configById"]["Plot!score"]["paths"]]  # the threshold


def _numbers(path: Path) -> set[str]:
    """Message paths of everything in a recording that can be plotted."""
    from rosbags.highlevel import AnyReader  # noqa: PLC0415

    found = set()
    with AnyReader([path]) as reader:
        for connection, _, data in reader.messages():
            message: Any = reader.deserialize(data, connection.msgtype)
            for field in ("position", "velocity", "effort"):
                found |= {f"{connection.topic}.{field}[{i}]" for i in range(len(getattr(message, field, ())))}
            if connection.msgtype == "std_msgs/msg/Float64":
                found.add(f"{connection.topic}.data")
    return found
