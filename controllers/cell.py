"""Shared memory with one writer and one reader, who never wait for each other: a sequence lock over two buffers.

    latest | number, length, crc, bytes ... | number, length, crc, bytes ...

The writer fills the buffer that is not the latest and then says that it is. A reader takes the latest and checks that
number and checksum belong together; if the writer came round meanwhile, it looks again. A writer that is killed in the
middle leaves the value before, whole. The checksum also stands in for the memory barriers that Python does not have.

Source: sequence locks (Lameter, Effective synchronization on Linux/NUMA systems, 2005), with a second buffer.
"""

from __future__ import annotations

import mmap
import struct
import zlib

_HEAD = struct.Struct("<QII")  # number, length, crc of number and bytes
_LATEST = 8
_TRIES = 8  # a writer comes round twice within one copy only if the reader was asleep


class Cell:
    """The latest value of one writer.

    Args:
        memory: shared and writable, `Cell.size(capacity)` bytes, zeroed at first.
        capacity: longest value [bytes].
    """

    def __init__(self, memory: memoryview, capacity: int) -> None:
        self._memory, self.capacity = memory, capacity
        self._number = memory[:_LATEST].cast("Q")  # stored in one move, which packing byte by byte would not be
        self._buffer = _HEAD.size + capacity

    @staticmethod
    def size(capacity: int) -> int:
        """Bytes of shared memory for values of up to `capacity` bytes, a multiple of eight."""
        return -(-(_LATEST + 2 * (_HEAD.size + capacity)) // 8) * 8

    @property
    def number(self) -> int:
        """How many values were written; the number of the latest one."""
        return self._number[0]

    def write(self, data: bytes) -> int:
        """Make `data` the latest value; returns its number.

        Raises:
            ValueError: it is longer than the cell holds.
        """
        if len(data) > self.capacity:
            raise ValueError(f"{len(data)} bytes do not fit into a cell of {self.capacity}")
        number = self._number[0] + 1
        at = _LATEST + (number & 1) * self._buffer
        _HEAD.pack_into(self._memory, at, number, len(data), zlib.crc32(data, number & 0xFFFFFFFF))
        at += _HEAD.size
        self._memory[at : at + len(data)] = data
        self._number[0] = number
        return number

    def read(self) -> tuple[int, bytes] | None:
        """Number and bytes of the latest value; None if there is none, or no whole one could be had."""
        for _ in range(_TRIES):
            number = self._number[0]
            if number == 0:
                return None
            at = _LATEST + (number & 1) * self._buffer
            found, length, crc = _HEAD.unpack_from(self._memory, at)
            if found == number and length <= self.capacity:
                at += _HEAD.size
                data = bytes(self._memory[at : at + length])
                if zlib.crc32(data, number & 0xFFFFFFFF) == crc:
                    return number, data
        return None

    def read_after(self, number: int) -> tuple[int, bytes] | None:
        """The latest value if it is newer than `number`; costs next to nothing if it is not."""
        return self.read() if self._number[0] > number else None


def cells(*capacities: int) -> list[Cell]:
    """Cells of these capacities in anonymous memory that processes forked from here on share.

    It has no name: nobody else can open it, and nothing is left of it when the last process is gone, however it went.
    """
    sizes = [Cell.size(capacity) for capacity in capacities]
    memory, at, made = memoryview(mmap.mmap(-1, sum(sizes))), 0, []
    for capacity, size in zip(capacities, sizes, strict=True):
        made.append(Cell(memory[at : at + size], capacity))
        at += size
    return made
