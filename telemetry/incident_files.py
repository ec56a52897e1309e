"""The files of an incident: a recording, a layout for Foxglove beside it, and a flat table for PlotJuggler."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.frames import TelemetryRow
from core.records import Event
from core.robot import Robot
from telemetry import ros_topics as ros
from telemetry.recording import write_recording

RECORDING, LAYOUT, TABLE = "incident.mcap", "incident.foxglove.json", "incident.csv"


def write_incident(
    folder: Path,
    robot: Robot,
    rows: Sequence[TelemetryRow],
    scores: NDArray[np.float64] | None,
    events: Sequence[Event],
    metadata: dict[str, str],
) -> None:
    """Write `incident.mcap`, `incident.foxglove.json` and `incident.csv`; the same arguments give the same bytes.

    Args:
        folder: exists.
        rows: N rows in the order of time.
        scores: (N,) test ratio of each row, or None.
        metadata: what the recording says about itself; `robot` is shown with the events.

    Raises:
        BadInput: see `write_recording`.
        OSError: a file cannot be written.
    """
    parts = {name: folder / f"{name}.part" for name in (RECORDING, LAYOUT, TABLE)}
    write_recording(parts[RECORDING], rows, robot.joints, robot.actuators, scores, events, metadata, mode=robot.mode)
    parts[LAYOUT].write_text(json.dumps(foxglove_layout(robot), indent=1) + "\n", encoding="utf-8")
    write_table(parts[TABLE], robot, rows, scores)
    for name, part in parts.items():  # who is stopped on the way leaves the files of before
        part.replace(folder / name)


def write_table(path: Path, robot: Robot, rows: Sequence[TelemetryRow], scores: NDArray[np.float64] | None) -> None:
    """One line per row: time on the robot's clock [s], channels as `NAME/FIELD`, the test ratio. Missing is empty."""
    joints, actuators = robot.joints, robot.actuators
    groups = [(joints, ("q", "qd")), (actuators, ("tau_meas", "tau_cmd")), (joints, ("q_ref", "qd_ref", "qdd_ref"))]
    names = [f"{name}/{field}" for of, fields in groups for field in fields for name in of]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(["t", *names, *([] if scores is None else ["remend/score"])]) + "\n")
        for i, row in enumerate(rows):
            frame, ref = row.frame, row.reference
            values = [*frame.q, *frame.qd, *frame.tau_meas, *frame.tau_cmd, *ref.q_ref, *ref.qd_ref, *ref.qdd_ref]
            if scores is not None:
                values.append(float(scores[i]))
            cells = ("" if math.isnan(value) else repr(value) for value in values)
            file.write(f"{frame.stamp_ns * 1e-9!r},{','.join(cells)}\n")


def foxglove_layout(robot: Robot) -> dict[str, Any]:
    """A layout for Foxglove: score with its threshold, joints against their references, drives, events."""
    joints, actuators = range(robot.dof), range(len(robot.actuators))
    measured = ros.JOINT_STATES if robot.joints == robot.actuators else ros.ACTUATOR_STATES
    command = "position" if robot.mode == "position" else "effort"
    panels = {
        "Plot!score": _plot("Test ratio, 1 is an alarm", [(f"{ros.SCORE}.data", "test ratio"), ("1", "alarm")]),
        "Plot!position": _plot("Position and reference", _pairs(robot.joints, joints, "position")),
        "Plot!velocity": _plot("Velocity and reference", _pairs(robot.joints, joints, "velocity")),
        "Plot!drives": _plot(
            f"Effort measured [{robot.effort_unit}] and commanded [{robot.command_unit}]",
            [
                (f"{topic}.{field}[{i}]", f"{robot.actuators[i]} {word}")
                for i in actuators
                for topic, field, word in ((measured, "effort", "measured"), (ros.COMMANDS, command, "commanded"))
            ],
        ),
        "DiagnosticSummary!events": {
            "minLevel": 0,
            "pinnedIds": [],
            "hardwareIdFilter": "",
            "topicToRender": ros.EVENT,
            "sortByLevel": True,
        },
        "RawMessages!event": {"topicPath": ros.EVENT, "diffEnabled": False, "showFullMessageForDiff": False},
    }
    return {
        "configById": panels,
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1},
        "layout": {
            "direction": "row",
            "first": {
                "direction": "column",
                "first": "Plot!score",
                "second": {"direction": "column", "first": "Plot!position", "second": "Plot!velocity"},
                "splitPercentage": 34,
            },
            "second": {
                "direction": "column",
                "first": {"direction": "row", "first": "DiagnosticSummary!events", "second": "RawMessages!event"},
                "second": "Plot!drives",
                "splitPercentage": 34,
            },
            "splitPercentage": 50,
        },
    }


def _pairs(names: Sequence[str], joints: range, field: str) -> list[tuple[str, str]]:
    topics = ((ros.JOINT_STATES, ""), (ros.REFERENCE, " reference"))
    return [(f"{topic}.{field}[{i}]", f"{names[i]}{word}") for i in joints for topic, word in topics]


def _plot(title: str, paths: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "foxglovePanelTitle": title,
        "paths": [
            {"value": value, "label": label, "enabled": True, "timestampMethod": "receiveTime"}
            for value, label in paths
        ],
        "xAxisVal": "timestamp",
        "isSynced": True,
        "showLegend": True,
        "legendDisplay": "floating",
        "showXAxisLabels": True,
        "showYAxisLabels": True,
        "showPlotValuesInLegend": False,
        "sidebarDimension": 240,
    }
