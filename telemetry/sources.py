"""Telemetry from files: one way to read a CSV, an MCAP recording and a rosbag2 folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A recording read whole: N rows of C channels, in the order of the file. Units are those of the file."""

    path: Path
    channels: tuple[str, ...]  # C names
    t_s: Array  # (N,) as the file has it, in seconds; may repeat or run back
    values: Array  # (N, C), NaN where the file says nothing
    notes: tuple[str, ...] = field(default=())  # what was left out or assumed, one sentence each

    def rows(self) -> Iterator[tuple[float, Array]]:
        """`(t_s, values)` row by row; values are (C,) with NaN for missing."""
        yield from zip(self.t_s.tolist(), self.values, strict=True)

    @property
    def rate_hz(self) -> float:
        """Sampling rate by the median step forward in time; 1 Hz when time stands still."""
        steps = np.diff(self.t_s)
        steps = steps[np.isfinite(steps) & (steps > 0.0)]
        return float(1.0 / np.median(steps)) if steps.size else 1.0


def open_source(path: Path) -> Source:
    """Read the recording at `path`: a rosbag2 folder, an MCAP file, or text with separated values.

    Raises:
        BadInput: missing, damaged, of an unknown kind, or without a single numeric channel.
    """
    # The readers are imported where they are needed: rosbags alone costs as much start-up time as the rest.
    if not path.exists():
        raise BadInput(f"{path}: there is no such file; give a CSV, an .mcap file or a rosbag2 folder.")
    if path.is_dir() or path.suffix == ".db3":
        from telemetry.rosbag_source import read_rosbag  # noqa: PLC0415

        return read_rosbag(path)
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"\x89MCAP0\r\n" or path.suffix == ".mcap":
        from telemetry.mcap_source import read_mcap  # noqa: PLC0415

        return read_mcap(path)
    from telemetry.csv_source import read_csv  # noqa: PLC0415

    return read_csv(path)


def sparse_rows(
    path: Path, stamps_s: Sequence[float], rows: Sequence[dict[str, float]], notes: Sequence[str]
) -> Source:
    """A source from rows that each name their own values: channels in order of appearance, the rest missing.

    Raises:
        BadInput: no row has a value.
    """
    column: dict[str, int] = {}
    for row in rows:
        for name in row:
            column.setdefault(name, len(column))
    if not column:
        raise BadInput(
            f"{path}: no joint states, IMU data or number arrays; record sensor_msgs/JointState, sensor_msgs/Imu or "
            "std_msgs/Float64MultiArray."
        )
    values = np.full((len(rows), len(column)), np.nan)
    for i, row in enumerate(rows):
        for name, value in row.items():
            values[i, column[name]] = value
    return Source(
        path=path,
        channels=tuple(column),
        t_s=np.array(stamps_s, dtype=np.float64),
        values=values,
        notes=tuple(dict.fromkeys(notes)),
    )
