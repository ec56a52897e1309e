"""Telemetry sources: files and links behind one small interface that streams, so that memory does not grow with length.

A source knows its channels before the first row. What can only be known at the end of a file (the type of a column, the
names in a topic) is decided on its first rows; a later surprise is a missing value and a note, never a wrong number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from telemetry.channels import Channel

Array = NDArray[np.float64]

CHUNK_ROWS = 4096
SAMPLE_ROWS = 1000  # rows or messages on which a source decides what its channels are
_RATE_BLOCKS = 50
_NS_SINCE_1970 = 10**17  # a larger stamp in ns counts from 1970 and would lose digits as seconds


class Clock(StrEnum):
    """By which time the rows of a source are to be read."""

    STAMP = "stamp"  # the header stamp: one clock made all rows
    RECEIVED = "received"  # time of arrival: rows come from publishers with clocks of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """N rows of C channels, in the order in which they came. Missing is NaN, never zero."""

    stamp_s: Array  # (N,) header stamp [s]; NaN where there is none
    received_s: Array  # (N,) when the row arrived or was logged [s]; NaN where nobody wrote it down
    values: Array  # (N, C)
    seq: NDArray[np.int64] | None = None  # (N,) sequence numbers
    publisher: NDArray[np.int16] | None = None  # (N,) from 0; stamps and numbers of different ones do not compare

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def __getitem__(self, rows: slice) -> Chunk:
        """Some of the rows; a view."""
        return Chunk(
            stamp_s=self.stamp_s[rows],
            received_s=self.received_s[rows],
            values=self.values[rows],
            seq=None if self.seq is None else self.seq[rows],
            publisher=None if self.publisher is None else self.publisher[rows],
        )

    @staticmethod
    def join(chunks: Iterable[Chunk]) -> Chunk:
        """Chunks of one source, at least one, one after the other."""
        parts = list(chunks)
        seq = [part.seq for part in parts if part.seq is not None]
        publisher = [part.publisher for part in parts if part.publisher is not None]
        return Chunk(
            stamp_s=np.concatenate([part.stamp_s for part in parts]),
            received_s=np.concatenate([part.received_s for part in parts]),
            values=np.concatenate([part.values for part in parts]),
            seq=np.concatenate(seq) if len(seq) == len(parts) else None,
            publisher=np.concatenate(publisher) if len(publisher) == len(parts) else None,
        )


class Source(ABC):
    """A stream of telemetry. A file can be read again from its start; a live link goes on where it is."""

    where: str  # path of the file or name of the robot, for messages
    channels: tuple[Channel, ...]
    rate_hz: float  # rows per second, estimated from the first rows
    clock: Clock

    def __init__(self) -> None:
        self._notes: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, assumed or found odd so far, one sentence each."""
        return (*self._notes, *self._surprises())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the channels."""
        return tuple(channel.name for channel in self.channels)

    @abstractmethod
    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The stream in chunks of at most `rows`; the rows themselves do not depend on it.

        Raises:
            BadInput: the file cannot be read on.
        """

    @abstractmethod
    def count(self) -> int | None:
        """Number of rows, where it can be found without reading every value; None for a live stream."""

    def times(self, chunk: Chunk) -> Array:
        """(N,) time of each row on the clock of this source [s]; NaN where it is missing."""
        return chunk.stamp_s if self.clock is Clock.STAMP else chunk.received_s

    def read(self) -> Chunk:
        """Everything at once: for recordings that are known to be short."""
        parts = list(self.chunks())
        return Chunk.join(parts) if parts else empty_chunk(len(self.channels))

    def _surprises(self) -> Iterable[str]:
        """Sentences on what came up after the first rows."""
        return ()


def empty_chunk(channels: int) -> Chunk:
    """A chunk without rows."""
    return Chunk(stamp_s=np.zeros(0), received_s=np.zeros(0), values=np.zeros((0, channels)))


def rate_of(t_s: Array) -> float:
    """Rows per second, 1 if time stands still: the median over blocks of rows, which no gap and no burst moves."""
    times = t_s[np.isfinite(t_s)]
    rows = max(1, times.size // _RATE_BLOCKS)
    spans = times[rows::rows] - times[:-rows:rows]
    spans = spans[spans > 0.0]
    return float(rows / np.median(spans)) if spans.size else 1.0


def origin_ns(first_ns: int) -> int:
    """What to subtract from stamps in ns so that seconds keep their digits."""
    return first_ns if abs(first_ns) > _NS_SINCE_1970 else 0


def open_source(path: Path) -> Source:
    """The recording at `path`: a rosbag2 folder, an MCAP file, a PX4 ULog, or text with separated values.

    Raises:
        BadInput: missing, damaged, of an unknown kind, or without a single numeric channel.
    """
    # The readers are imported where they are needed: rosbags alone costs as much start-up time as the rest.
    if not path.exists():
        raise BadInput(f"{path}: there is no such file; give a CSV, an .mcap file, a .ulg file or a rosbag2 folder.")
    if path.is_dir() or path.suffix == ".db3":
        from telemetry.rosbag_source import RosbagSource  # noqa: PLC0415

        return RosbagSource(path)
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"\x89MCAP0\r\n" or path.suffix == ".mcap":
        from telemetry.mcap_source import open_mcap  # noqa: PLC0415

        return open_mcap(path)
    if start.startswith(b"ULog\x01\x12\x35") or path.suffix == ".ulg":
        from telemetry.ulog_source import UlogSource  # noqa: PLC0415

        return UlogSource(path)
    from telemetry.csv_source import CsvSource  # noqa: PLC0415

    return CsvSource(path)
