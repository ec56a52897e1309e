"""The shared cell: what is read was written as a whole, whatever the writer is doing, or whenever it dies."""

from __future__ import annotations

import os
import signal
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.cell import Cell, cells

CAPACITY = 40
VALUES = st.binary(max_size=CAPACITY)


class Recorder:
    """Memory that records every store of a writer, so that a test can stop between any two bytes."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(size)

    def stores(self, data: bytes) -> list[bytearray]:
        """All states of the memory during one write of `data`, byte by byte in the order of the writer's steps."""
        before = bytearray(self.memory)
        Cell(memoryview(self.memory), CAPACITY).write(data)
        after = self.memory
        states, state = [bytearray(before)], bytearray(before)
        for at in range(8, len(after)):
            if before[at] != after[at]:
                state[at] = after[at]
                states.append(bytearray(state))
        state[0:8] = after[0:8]  # the number of the latest value, last and in one move
        assert state == after
        return [*states, state]


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_a_writer_killed_after_any_byte_leaves_a_whole_value(values: list[bytes]) -> None:
    recorder = Recorder(Cell.size(CAPACITY))
    last: tuple[int, bytes] | None = None
    for number, value in enumerate(values, start=1):
        for state in recorder.stores(value):
            assert Cell(memoryview(state), CAPACITY).read() in (last, (number, value))
        last = (number, value)
        assert Cell(memoryview(recorder.memory), CAPACITY).read() == last


@given(VALUES, VALUES, VALUES, st.integers(0, 200))
def test_a_reader_overtaken_in_mid_copy_does_not_believe_the_mixture(a: bytes, b: bytes, c: bytes, cut: int) -> None:
    """The writer comes round twice while the reader copies: half of the buffer is of value 1, half of value 3."""
    memory = bytearray(Cell.size(CAPACITY))
    cell = Cell(memoryview(memory), CAPACITY)
    cell.write(a)
    first = bytearray(memory)
    cell.write(b)
    cell.write(c)
    mixed = bytearray(memory)
    mixed[8 : 8 + cut] = first[8 : 8 + cut]
    for latest in (1, 3):
        mixed[0:8] = latest.to_bytes(8, "little")
        assert Cell(memoryview(mixed), CAPACITY).read() in (None, (1, a), (3, c))


@given(VALUES, st.data())
def test_a_changed_byte_is_never_taken_for_the_value(value: bytes, data: st.DataObject) -> None:
    memory = bytearray(Cell.size(CAPACITY))
    cell = Cell(memoryview(memory), CAPACITY)
    cell.write(b"before")
    cell.write(value)
    at = data.draw(st.integers(0, len(memory) - 1))
    memory[at] ^= data.draw(st.integers(1, 255))
    assert cell.read() in (None, (1, b"before"), (2, value))


def test_a_cell_counts_and_says_what_is_new() -> None:
    [cell, other] = cells(8, 3)
    assert cell.read() is None
    assert cell.read_after(0) is None
    assert [cell.write(b"12345678"), cell.write(b"")] == [1, 2]
    assert cell.read() == cell.read_after(1) == (2, b"")
    assert cell.read_after(2) is None
    assert (cell.number, other.number) == (2, 0)
    with pytest.raises(ValueError, match="do not fit"):
        other.write(b"1234")


def test_two_processes_share_a_cell_and_no_value_is_torn() -> None:
    [there, back] = cells(4096, 4)
    pid = os.fork()
    if pid == 0:  # writes values whose bytes are all alike, until it is killed in the middle of something
        number = 0
        while True:
            number += 1
            there.write(bytes([number % 256]) * (1 + number % 4096))
            if number == 1:
                back.write(b"here")
    try:
        while back.read() is None:
            pass
        seen = 0
        for _ in range(20_000):
            if (found := there.read()) is not None:
                number, data = found
                assert number >= seen
                seen = number
                assert data == bytes([number % 256]) * (1 + number % 4096)
        assert seen > 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    found = there.read()
    assert found is not None
    assert zlib.crc32(found[1]) == zlib.crc32(bytes([found[0] % 256]) * (1 + found[0] % 4096))
