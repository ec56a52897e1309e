"""What a robot has said since a point in time, and what the detector made of it, kept for incident file and plots."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from core.block import Array, Block


class Tape:
    """Telemetry blocks in order, and test ratios; the oldest go once `keep_s` are kept and nothing holds them."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._blocks: list[Block] = []
        self._scores: list[tuple[Array, Array]] = []
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
            while self._scores and self._scores[0][0][-1] < self._blocks[0].t_s[0]:
                self._scores.pop(0)

    def score(self, t_s: Array, ratio: Array) -> None:
        """Append test ratios (M,) at (M,) times [s, robot clock]; they go with the blocks that they belong to."""
        if len(t_s):
            self._scores.append((t_s, ratio))

    def extend(self, blocks: Iterable[Block]) -> None:
        """Append blocks."""
        for block in blocks:
            self.add(block)

    def hold(self) -> None:
        """Forget nothing from now on: an incident has begun."""
        self._held = True

    def release(self) -> None:
        """Forget what is old again: the incident is over."""
        self._held = False

    @property
    def end_s(self) -> float:
        """Robot clock of the newest row [s]; 0 before the first."""
        return float(self._blocks[-1].t_s[-1]) if self._blocks else 0.0

    def all(self) -> Block:
        """Everything kept, as one block."""
        return Block.join(self._blocks)

    def scores(self) -> tuple[Array, Array]:
        """(M,) times and (M,) test ratios kept."""
        if not self._scores:
            return np.zeros(0), np.zeros(0)
        times, ratios = zip(*self._scores, strict=True)
        return np.concatenate(times), np.concatenate(ratios)

    def ratio(self) -> Array:
        """(N,) test ratio at each row of `all`; NaN where there was none."""
        t_s = self.all().t_s
        times, ratios = self.scores()
        return np.interp(t_s, times, ratios, left=np.nan) if len(times) else np.full(len(t_s), np.nan)
