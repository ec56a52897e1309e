"""Separated values: any table with a header line, the way loggers, spreadsheets and data sets write it."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from core.errors import BadInput
from telemetry.channels import channels_by_name
from telemetry.csv_cells import MISSING, TimeColumn, TimeError, number, numbers
from telemetry.sources import CHUNK_ROWS, SAMPLE_ROWS, Array, Chunk, Clock, Source, rate_of

_TIME = re.compile(
    r"^(t|time|timestamp|stamp|datetime|date|date_time|__time|zeit|zeitstempel)([_\s\[(]*(s|sec|secs|seconds|ms|us|ns))?[\])]*$",
    re.I,
)
_STAMP_NAMES = {"stamp_ns", "header.stamp", "epoch"}
_RECEIVED = re.compile(r"^(recv|received?|receive_time|log_time|arrival)([_\s\[(]*(time|s|ms|us|ns))*[\])]*$", re.I)
# Answers, not telemetry; the last is our own, in the table of an incident.
LABELS = frozenset({"label", "labels", "anomaly", "is_anomaly", "changepoint", "remend/score"})
_COUNTERS = frozenset({"column_1", "index", "idx", "row", "Unnamed: 0"})  # of a first column, as table tools write it
_SNIFFED = 1 << 16  # bytes that decide on the encoding


class CsvSource(Source):
    """A table with one header line.

    The delimiter is the one of `,` `;` and tab that splits the header most often; with `;` or tab a decimal comma is
    understood. The first column named like a time is the time; without one, the row number counts as seconds. A column
    named like a time of arrival (`recv_time`, `log_time`) is that. Columns of labels are left out with a note, and so
    are columns that mostly hold words. An empty cell is missing (NaN), never zero; a word among numbers, and a row of
    another length than the header, too, with a note.

    Raises:
        BadInput: not text, no header, no rows, no numeric column, or among the first rows one of another length or a
            time that is none.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.where = str(path)
        self._path = path
        self._encoding = _encoding(path)
        self._odd: dict[str, list[int]] = {}  # what -> count and first row
        head = self._header()
        self._comma = self._delimiter != ","
        if all(number(name, decimal_comma=self._comma) is not None for name in head):
            raise BadInput(f"{path}: line 1 holds numbers, not column names; put one line with names on top.")
        head[0] = head[0].lstrip("#")
        names = _unique([cell.strip() for cell in head])
        self._width = len(names)
        sample = list(islice(self._rows(), SAMPLE_ROWS))
        for i, row in enumerate(sample):
            if len(row) != self._width and not self._cut_off(i, sample):
                raise BadInput(
                    f"{path}: row {i + 1} has {len(row)} cells and the header {len(names)}; give one cell per name."
                )
        self._sampled = len(sample)
        cells = list(zip(*(row for row in sample if len(row) == self._width), strict=True))
        if not cells:
            raise BadInput(f"{path}: no rows below a header line; give one line of names and then lines of numbers.")
        self.clock = Clock.STAMP
        self._stamp_at, self._stamp = self._time(names, cells)
        self._received_at, self._received = self._arrival(names, cells)
        self._columns = self._numeric(names, cells)
        if not self._columns:
            raise BadInput(f"{path}: no column of numbers beside time and labels; give at least one measured channel.")
        self.channels = channels_by_name(names[c] for c in self._columns)
        self.rate_hz = rate_of(next(self.chunks(SAMPLE_ROWS)).stamp_s)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        self._odd.clear()
        table, done = self._rows(), 0
        while batch := list(islice(table, rows)):
            ragged = [i for i, row in enumerate(batch) if len(row) != self._width]
            for i in ragged:
                batch[i] = [""] * self._width
            self._report(f"Rows with another number of cells than {self._width} count as missing", ragged, done)
            cells = list(zip(*batch, strict=True))
            values = np.empty((len(batch), len(self._columns)))
            for k, c in enumerate(self._columns):
                values[:, k], odd = numbers(cells[c], decimal_comma=self._comma)
                self._report(f"Cells of {self.channels[k].name} that hold no number count as missing", odd, done)
            nobody = np.full(len(batch), np.nan)
            yield Chunk(
                stamp_s=self._read_times(self._stamp, self._stamp_at, cells, done)
                if self._stamp
                else np.arange(done, done + len(batch), dtype=np.float64),
                received_s=self._read_times(self._received, self._received_at, cells, done)
                if self._received
                else nobody,
                values=values,
            )
            done += len(batch)

    def count(self) -> int:
        """Rows are counted as lines that hold more than delimiters; with quotes in the file, by reading it."""
        rows = -1
        with self._path.open("rb") as file:
            for line in file:
                if b'"' in line:
                    return sum(1 for _ in self._rows())
                rows += bool(line.translate(None, b",;\t \r\n"))
        return rows

    def _surprises(self) -> Iterable[str]:
        return [f"{what}: {count}, the first in row {first}." for what, (count, first) in self._odd.items()]

    def _report(self, what: str, places: Sequence[int], done: int) -> None:
        if places:
            self._odd.setdefault(what, [0, done + places[0] + 1])[0] += len(places)

    def _header(self) -> list[str]:
        with self._open() as file:
            self._delimiter = max(",;\t", key=file.readline(1 << 20).count)
        head = next(self._table(), None)
        if head is None:
            raise BadInput(
                f"{self._path}: no rows below a header line; give one line of names and then lines of numbers."
            )
        return head

    def _open(self) -> codecs.StreamReaderWriter:
        return self._path.open(encoding=self._encoding, errors="replace", newline="")  # type: ignore[return-value]

    def _table(self) -> Iterator[list[str]]:
        with self._open() as file:
            try:
                for row in csv.reader(file, delimiter=self._delimiter):
                    if row and (row[0].strip() or any(cell.strip() for cell in row)):
                        yield row
            except csv.Error as error:
                raise BadInput(f"{self._path}: the table cannot be read ({error}); write it anew.") from None

    def _rows(self) -> Iterator[list[str]]:
        """The rows below the header."""
        return islice(self._table(), 1, None)

    def _cut_off(self, i: int, sample: Sequence[list[str]]) -> bool:
        """Whether row `i` is the last of a file whose writer was stopped in the middle of a line."""
        return i > 0 and i == len(sample) - 1 < SAMPLE_ROWS - 1 and not _ends_with_newline(self._path)

    def _time(self, names: Sequence[str], cells: Sequence[Sequence[str]]) -> tuple[int, TimeColumn | None]:
        at = next((i for i, name in enumerate(names) if _TIME.match(name) or name.lower() in _STAMP_NAMES), -1)
        if at < 0:
            self._notes.append("No time column: the row number counts as seconds.")
            return at, None
        return at, self._time_column(names[at], cells[at])

    def _arrival(self, names: Sequence[str], cells: Sequence[Sequence[str]]) -> tuple[int, TimeColumn | None]:
        at = next((i for i, name in enumerate(names) if _RECEIVED.match(name)), -1)
        if at < 0 or self._stamp is None:
            return -1, None
        return at, self._time_column(names[at], cells[at])

    def _time_column(self, name: str, cells: Sequence[str]) -> TimeColumn:
        try:
            return TimeColumn(name, cells, decimal_comma=self._comma)
        except TimeError as error:
            if error.mixed:
                raise BadInput(
                    f"{self._path}: column {name} mixes numbers and dates, first in row {error.row + 1}; "
                    "give one kind of time."
                ) from None
            cell = cells[error.row].strip()
            raise BadInput(
                f"{self._path}: row {error.row + 1} has the time {cell!r} in column {name}; "
                "give seconds, ns or an ISO date and time."
            ) from None

    def _read_times(self, column: TimeColumn, at: int, cells: Sequence[Sequence[str]], done: int) -> Array:
        times, odd = column.read(cells[at])
        self._report("Times that are none count as missing", odd, done)
        return times

    def _numeric(self, names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
        """Columns to read: those that mostly hold numbers, and those of which the first rows say nothing."""
        kept = []
        for c, name in enumerate(names):
            if c in (self._stamp_at, self._received_at):
                continue
            if name.lower() in LABELS:
                self._notes.append(f"Column {name} is left out: it holds labels.")
                continue
            if c == 0 and name in _COUNTERS and _counts(cells[c]):
                self._notes.append(f"Column {name} is left out: it counts rows.")
                continue
            said = [cell for cell in cells[c] if cell.strip().lower() not in MISSING]
            words = sum(number(cell, decimal_comma=self._comma) is None for cell in said)
            nothing = not said and self._sampled < SAMPLE_ROWS  # there are no further rows in which it could begin
            if nothing or 2 * words > len(said):
                self._notes.append(f"Column {name} is left out: it does not hold numbers.")
                continue
            kept.append(c)
        return kept


def _unique(names: Sequence[str]) -> list[str]:
    """Column names that differ: a nameless one is called by its place, a second "x" is "x#2"."""
    out: dict[str, None] = {}
    for i, name in enumerate(names):
        base = name or f"column_{i + 1}"
        candidate, again = base, 1
        while candidate in out:
            again += 1
            candidate = f"{base}#{again}"
        out[candidate] = None
    return list(out)


def _counts(cells: Sequence[str]) -> bool:
    """Whether a column goes up by one from row to row: it never stops, and would look like a drift."""
    values, odd = numbers(cells, decimal_comma=False)
    return len(cells) > 1 and not odd and bool((np.diff(values) == 1.0).all())


def _encoding(path: Path) -> str:
    """UTF-8, or Latin-1 where the start of the file is text but not UTF-8.

    Raises:
        BadInput: the start of the file is no text.
    """
    with path.open("rb") as file:
        start = file.read(_SNIFFED)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start, final=len(start) < _SNIFFED)
    except UnicodeDecodeError:
        pass
    else:
        if b"\0" not in start:
            return "utf-8-sig"
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in start):
        raise BadInput(f"{path}: not a text file; give a CSV, an .mcap file, a .ulg file or a rosbag2 folder.")
    return "latin-1"


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) in b"\r\n"
