"""Rows of all parts of the telemetry, one below the other, and how an effect shifts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.rigid_body import Array
from sim.effect import Effect, touched
from sim.twin.drive import DriveResponse
from sim.twin.parts import DoubtfulRows, DrivenRows, LooseRows, Mask, Rows


class Stack:
    """Rows of several parts, one below the other; a signal of a part is a group of rows that share their noise.

    R rows in G groups.

    Args:
        parts: whose rows these are.
        drives: what the drives give under a fault of theirs, for parts that depend on it.
    """

    def __init__(self, parts: Sequence[Rows], drives: DriveResponse | None = None) -> None:
        self.parts, self._drives = tuple(parts), drives
        driven = drives is not None and any(isinstance(part, DrivenRows) for part in parts)
        self._of_drives = drives.sees if drives is not None and driven else frozenset[str]()
        self.sees = self._of_drives.union(*(part.sees for part in parts))
        self.residual = _flat([part.residual for part in parts])
        self.noise = np.concatenate([part.noise for part in parts])  # (G,)
        self.inflation = np.concatenate([part.inflation for part in parts])  # (G,)
        self.broad = np.concatenate([part.broad for part in parts])  # (G,)
        first = np.cumsum([0, *(part.residual.shape[1] for part in parts)])
        groups = [
            np.tile(np.arange(part.residual.shape[1]) + at, len(part.residual))
            for part, at in zip(parts, first[:-1], strict=True)
        ]
        self.group = np.concatenate(groups)  # (R,) group of each row
        self.count = np.bincount(self.group, minlength=len(self.noise))  # (G,) rows of each group
        width = sum(part.nuisance.shape[2] for part in parts)
        self.nuisance = np.zeros((len(self.residual), width))
        row = column = 0
        for part in parts:
            size, p = part.residual.size, part.nuisance.shape[2]
            self.nuisance[row : row + size, column : column + p] = part.nuisance.reshape(size, p)
            row, column = row + size, column + p

    def shift(self, effect: Effect) -> Array:
        """(R,) rows under `effect`."""
        fields = touched(effect)
        shifts = [p.shift(effect) if fields & p.sees else np.zeros(p.residual.shape) for p in self.parts]
        if self._drives is not None and fields & self._of_drives:
            change = self._drives.change(effect)
            for k, part in enumerate(self.parts):
                if isinstance(part, DrivenRows):
                    shifts[k] = shifts[k] + part.by_effort(change)
        return _flat(shifts)

    def doubt(self, effect: Effect) -> Array:
        """(R,) standard deviation of the shift by `effect` that sensor noise makes."""
        return _flat(
            [p.doubt(effect) if isinstance(p, DoubtfulRows) else np.zeros(p.residual.shape) for p in self.parts]
        )

    def loose(self, effect: Effect) -> Array:
        """(R, l) columns of l unknowns of unit variance that `effect` brings with it."""
        columns, before, size = [], 0, len(self.residual)
        for part in self.parts:
            if isinstance(part, LooseRows):
                own = part.loose(effect).reshape(part.residual.size, -1)
                columns.append(np.pad(own, ((before, size - before - len(own)), (0, 0))))
            before += part.residual.size
        return np.concatenate([np.zeros((size, 0)), *columns], axis=1)

    def freed(self, effect: Effect) -> Mask:
        """(G,) groups that `effect` leaves undetermined."""
        return np.concatenate([part.freed(effect) for part in self.parts])

    def is_linear(self, fields: frozenset[str]) -> bool:
        """Whether every part is shifted in proportion to `fields`."""
        return not fields & self._of_drives and all(fields & part.sees <= part.linear for part in self.parts)

    def by_group(self, measure: Callable[[Array], Array], rows: Array) -> Array:
        """(G,) `measure` of the signals of each part: from (N, r) to (r,)."""
        split = np.split(rows, np.cumsum([part.residual.size for part in self.parts])[:-1])
        return np.concatenate(
            [measure(each.reshape(part.residual.shape)) for part, each in zip(self.parts, split, strict=True)]
        )

    def level(self, residual: Array) -> Array:
        """(G,) root mean square of each group of `residual` (R,)."""
        return np.sqrt(np.bincount(self.group, np.square(residual), len(self.noise)) / np.maximum(self.count, 1))


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([array.reshape(-1) for array in arrays])
