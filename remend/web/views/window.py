"""The telemetry around an alarm as figures, from the table that lies beside the recording."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.records import Event
from remend import numbers
from remend.chart import Chart, Line, Mark
from remend.figures import Figure, drawn
from telemetry.incident_files import TABLE

_SCORE = "remend/score"


def window_figures(folder: Path, event: Event, units: tuple[str, ...]) -> tuple[Figure, ...]:
    """Test ratio, tracking error and command of an incident; none where no table is readable.

    Args:
        folder: of the incident's files.
        units: of the joints, in their order; all in rad without them.
    """
    file = folder / TABLE
    try:
        return _drawn(file, file.stat().st_mtime_ns, event.onset_s, event.alarm_s, units)
    except (OSError, ValueError, IndexError, csv.Error):
        return ()


@lru_cache(maxsize=8)
def _drawn(file: Path, _written_ns: int, onset_s: float, alarm_s: float, units: tuple[str, ...]) -> tuple[Figure, ...]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        names = next(rows)
        table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    if len(table) < 2:
        return ()
    t = table[:, 0]
    column = {name: table[:, k] for k, name in enumerate(names)}
    joints = [name.removesuffix("/q_ref") for name in names if name.endswith("/q_ref")]
    errors = {joint: np.abs(column[f"{joint}/q_ref"] - column[f"{joint}/q"]) for joint in joints}
    marks = (Mark(x=onset_s, label="onset"), Mark(x=alarm_s, label="alarm"))
    found = []
    if _SCORE in column and np.isfinite(column[_SCORE]).any():
        alt = f"The test ratio reaches {numbers.figure(float(np.nanmax(column[_SCORE])))}; at 1 it alarms."
        line = Line(look="plain", x=t, y=column[_SCORE])
        chart = Chart(alt=alt, y_label="test ratio", unit="1", lines=(line,), marks=marks, level=1.0, log=True)
        legend = (("plain", "test ratio"), ("limit", "alarm at 1"))
        found.append(drawn(chart, "Test ratio of the detector", alt, legend))
    if errors:
        worst = max(joints, key=lambda joint: float(np.nanmax(errors[joint])))
        unit = units[joints.index(worst)] if len(units) == len(joints) else "rad"
        top = numbers.quantity(float(np.nanmax(errors[worst])), unit)
        alt = f"The tracking error of {worst}, the largest, reaches {top}."
        line = Line(look="plain", x=t, y=errors[worst])
        chart = Chart(alt=alt, y_label="|error|", unit=unit, lines=(line,), marks=marks, from_zero=True)
        found.append(drawn(chart, f"Tracking error of {worst}", alt))
    return tuple(found)
