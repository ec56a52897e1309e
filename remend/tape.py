"""What a robot has said since a point in time, kept for the incident file and the plots."""

from __future__ import annotations

from collections.abc import Iterable

from core.block import Block


class Tape:
    """Telemetry blocks in order; the oldest go once more than `keep_s` is kept and nothing holds them."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._blocks: list[Block] = []
        self._held = False

    def add(self, block: Block) -> None:
        """Append a block."""
        if not len(block):
            return
        self._blocks.append(block)
        if not self._held:
            newest = self.end_s
            while len(self._blocks) > 1 and newest - float(self._blocks[0].t_s[-1]) > self._keep_s:
                self._blocks.pop(0)

    def extend(self, blocks: Iterable[Block]) -> None:
        """Append blocks."""
        for block in blocks:
            self.add(block)

    def hold(self) -> None:
        """Forget nothing from now on: an incident has begun."""
        self._held = True

    @property
    def end_s(self) -> float:
        """Robot clock of the newest row [s]; 0 before the first."""
        return float(self._blocks[-1].t_s[-1]) if self._blocks else 0.0

    def all(self) -> Block:
        """Everything kept, as one block."""
        return Block.join(self._blocks)
