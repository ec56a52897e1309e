"""Separated values: any table with a header line, the way loggers, spreadsheets and data sets write it."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry.sources import Source

Array = NDArray[np.float64]

_TIME = re.compile(
    r"^(t|time|timestamp|stamp|datetime|date|date_time|__time)([_\s\[(]*(s|sec|secs|seconds|ms|us|ns))?[\])]*$", re.I
)
_STAMP_NAMES = {"stamp_ns", "header.stamp", "epoch"}
LABELS = frozenset({"label", "labels", "anomaly", "is_anomaly", "changepoint"})  # answers, not telemetry
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "?"})
_UNIT_S = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def read_csv(path: Path) -> Source:
    """Read a table with one header line.

    The delimiter is the one of `,` `;` and tab that splits the header most often; with `;` or tab a decimal comma is
    understood. The first column named like a time is the time: seconds, ns (by name, or by size: beyond 1e17), or ISO
    dates (then from the first row on); without one, the row number counts as seconds. Columns of labels and columns
    that hold words are left out with a note. An empty cell is missing (NaN), never zero.

    Raises:
        BadInput: not text, no header, no rows, a row of another length, or no numeric column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not a text file; give a CSV, an .mcap file or a rosbag2 folder.") from None
    header_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)
    table = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(cell.strip() for cell in row)]
    if len(table) < 2:
        raise BadInput(f"{path}: no rows below a header line; give one line of names and then lines of numbers.")
    names = _unique([cell.strip() for cell in table[0]])
    if all(_number(name, delimiter) is not None for name in table[0]):
        raise BadInput(f"{path}: line 1 holds numbers, not column names; put one line with names on top.")
    rows = table[1:]
    for i, row in enumerate(rows):
        if len(row) != len(names):
            raise BadInput(
                f"{path}: row {i + 1} has {len(row)} cells and the header {len(names)}; give one cell per name."
            )
    time_column = next((i for i, name in enumerate(names) if _TIME.match(name) or name.lower() in _STAMP_NAMES), None)
    notes: list[str] = []
    t_s = np.arange(len(rows), dtype=np.float64)
    if time_column is None:
        notes.append("No time column: the row number counts as seconds.")
    else:
        t_s = _times(path, names[time_column], [row[time_column].strip() for row in rows], delimiter)
    channels: list[str] = []
    columns: list[Array] = []
    for c, name in enumerate(names):
        if c == time_column:
            continue
        if name.lower() in LABELS:
            notes.append(f"Column {name} is left out: it holds labels.")
            continue
        numbers = [_number(row[c], delimiter) for row in rows]
        if any(number is None for number in numbers) or all(math.isnan(number or 0.0) for number in numbers):
            notes.append(f"Column {name} is left out: it does not hold numbers.")
            continue
        channels.append(name)
        columns.append(np.array(numbers, dtype=np.float64))
    if not channels:
        raise BadInput(f"{path}: no column of numbers beside time and labels; give at least one measured channel.")
    return Source(path=path, channels=tuple(channels), t_s=t_s, values=np.column_stack(columns), notes=tuple(notes))


def _unique(names: Sequence[str]) -> list[str]:
    """Column names that differ: a nameless one is called by its place, a second "x" is "x#2"."""
    out: list[str] = []
    for i, name in enumerate(names):
        base = name or f"column_{i + 1}"
        candidate, again = base, 1
        while candidate in out:
            again += 1
            candidate = f"{base}#{again}"
        out.append(candidate)
    return out


def _number(cell: str, delimiter: str) -> float | None:
    """The cell as a number, NaN when it says nothing, None when it says something else."""
    cell = cell.strip()
    if cell.lower() in _MISSING:
        return math.nan
    if "_" in cell:  # Python reads 1_000 as a number, loggers do not write it
        return None
    try:
        return float(cell.replace(",", ".") if delimiter != "," else cell)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(cell.lower())


def _times(path: Path, name: str, cells: Sequence[str], delimiter: str) -> Array:
    numbers = [_number(cell, delimiter) for cell in cells]
    if all(number is not None for number in numbers):
        unit = next((u for u in _UNIT_S if re.search(rf"(^|[^a-z]){u}[\])]*$", name.lower())), None)
        # Whole nanoseconds since 1970 have 19 digits and would lose 200 ns as a float: subtract before dividing.
        if all(re.fullmatch(r"-?\d+", cell) for cell in cells) and (unit == "ns" or abs(int(cells[0])) > 10**17):
            first = int(cells[0])
            return np.array([(int(cell) - first) * 1e-9 for cell in cells]) + first * 1e-9 * (abs(first) < 10**17)
        times = np.array(numbers, dtype=np.float64)
        return times * _UNIT_S.get(unit or "", 1.0)
    stamps: list[float] = []
    first_stamp: datetime | None = None
    for i, cell in enumerate(cells):
        try:
            if numbers[0] is not None and numbers[i] is not None:
                continue  # a column of numbers: look for the cell that is none
            stamp = datetime.fromisoformat(cell)
        except ValueError:
            raise BadInput(
                f"{path}: row {i + 1} has the time {cell!r} in column {name}; give seconds, ns or an ISO date and time."
            ) from None
        if numbers[0] is not None:
            raise BadInput(
                f"{path}: column {name} mixes numbers and dates, first in row {i + 1}; give one kind of time."
            )
        stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        first_stamp = first_stamp or stamp
        stamps.append((stamp - first_stamp).total_seconds())
    return np.array(stamps, dtype=np.float64)
