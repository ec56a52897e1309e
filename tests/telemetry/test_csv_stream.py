"""Tables of any length: what the first rows decide, what a later surprise becomes, and memory that does not grow."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from telemetry.csv_source import CsvSource
from telemetry.sources import SAMPLE_ROWS, Source

N = SAMPLE_ROWS + 500


def _lines(**odd: str) -> list[str]:
    """A table of N rows `t,a,b`; `r123="text"` puts another line into data row 123 (from 1)."""
    lines = [f"{i / 100:.2f},{i},{np.sin(i):.6f}" for i in range(N)]
    for place, line in odd.items():
        lines[int(place[1:]) - 1] = line
    return lines


def _open(tmp_path: Path, lines: list[str], end: str = "\n", encoding: str = "utf-8") -> Source:
    path = tmp_path / "log.csv"
    path.write_text("t,a,b\n" + "\n".join(lines) + end, encoding=encoding)
    return CsvSource(path)


def test_surprises_after_the_first_rows_are_missing_values_with_a_note(tmp_path: Path) -> None:
    source = _open(tmp_path, _lines(r1200="11.99,ERR,0", r1300="12.99,ERR,", r1210="12.09,1", r1400="soon,1399,0.5"))
    chunk, notes = source.read(), source.notes
    assert len(chunk) == source.count() == N
    assert np.flatnonzero(np.isnan(chunk.values[:, 0])).tolist() == [1199, 1209, 1299]
    assert np.flatnonzero(np.isnan(chunk.values[:, 1])).tolist() == [1209, 1299]
    assert np.flatnonzero(np.isnan(chunk.stamp_s)).tolist() == [1209, 1399]
    assert len(notes) == 3
    assert any("Cells of a" in note and "2, the first in row 1200" in note for note in notes)
    assert any("another number of cells" in note and "row 1210" in note for note in notes)
    assert any("Times" in note and "row 1400" in note for note in notes)
    source.read()
    assert source.notes == notes  # a second reading counts anew


def test_sensor_that_begins_late_is_a_channel_and_a_word_among_numbers_is_missing(tmp_path: Path) -> None:
    lines = [f"{i / 100:.2f},{'' if i < SAMPLE_ROWS + 50 else i},{'off' if i == 7 else i}" for i in range(N)]
    source = _open(tmp_path, lines)
    chunk = source.read()
    assert source.names == ("a", "b")
    assert np.isfinite(chunk.values[:, 0]).sum() == N - SAMPLE_ROWS - 50
    assert np.flatnonzero(np.isnan(chunk.values[:, 1])).tolist() == [7]


def test_writer_that_was_stopped_in_the_middle_of_a_line_loses_that_line_only(tmp_path: Path) -> None:
    source = _open(tmp_path, ["0,1,2", "1,3,4", "2,5"], end="")
    chunk = source.read()
    assert chunk.values[:2].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert np.isnan(chunk.values[2]).all()
    assert "another number of cells" in source.notes[0]


def test_table_in_latin_1_is_read_and_blank_lines_and_quotes_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes('Zeit;Temperatur [°C];"a;b"\n\n0;1,5;2\n;;\n1;2,5;3\n'.encode("latin-1"))
    source = CsvSource(path)
    assert source.names == ("Temperatur [°C]", "a;b")
    assert source.count() == len(source.read()) == 2


def test_first_column_that_counts_rows_is_no_channel(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(",t,a\n0,0.0,5\n1,0.1,6\n2,0.2,7\n")
    source = CsvSource(path)
    assert source.names == ("a",)
    assert source.notes == ("Column column_1 is left out: it counts rows.",)
    path.write_text(",t,a\n0,0.0,5\n1,0.1,6\n3,0.2,7\n")
    assert CsvSource(path).names == ("column_1", "a")


def test_times_of_arrival_are_kept_apart_from_stamps(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("stamp_ns,recv_time,a\n1000000000,1.5,1\n2000000000,,2\n")
    source = CsvSource(path)
    chunk = source.read()
    assert source.names == ("a",)
    assert source.times(chunk).tolist() == [1.0, 2.0]
    assert np.array_equal(chunk.received_s, [1.5, np.nan], equal_nan=True)


@pytest.mark.parametrize(("first", "step", "step_s"), [(1_700_000_000_000, 4, 0.004), (1_700_000_000_000_000, 4, 4e-6)])
def test_milliseconds_and_microseconds_since_1970_are_known_by_their_size(
    tmp_path: Path, first: int, step: int, step_s: float
) -> None:
    path = tmp_path / "log.csv"
    path.write_text("timestamp,a\n" + "".join(f"{first + i * step},{i}\n" for i in range(3)))
    assert np.diff(CsvSource(path).read().stamp_s) == pytest.approx([step_s] * 2, abs=5e-7)


def test_rate_counts_rows_and_neither_bursts_nor_gaps(tmp_path: Path) -> None:
    seconds = [str(i // 10 + (3600 if i > 500 else 0)) for i in range(N)]  # ten rows a second, written in whole seconds
    source = _open(tmp_path, [f"{s},{i},1" for i, s in enumerate(seconds)])
    assert source.rate_hz == pytest.approx(10.0, rel=0.05)


def test_memory_of_reading_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / "long.csv"
        line = "0.01,1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5\n"
        path.write_text("t,a,b,c,d,e,f,g,h\n" + line * rows)
        tracemalloc.start()
        assert sum(len(chunk) for chunk in CsvSource(path).chunks(512)) == rows
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) < 1.2 * peak(5_000)
