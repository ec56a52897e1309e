"""Cells of a table as numbers and times, the way loggers, spreadsheets and data sets write them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "?"})
_UNIT_S = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# Whole numbers this large count from 1970: until the year 5138 seconds stay below the first, and so on.
_SINCE_1970 = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))


def number(cell: str, *, decimal_comma: bool = False) -> float | None:
    """The cell as a number, NaN when it says nothing, None when it says something else."""
    cell = cell.strip()
    if cell.lower() in MISSING:
        return math.nan
    if "_" in cell:  # Python reads 1_000 as a number, loggers do not write it
        return None
    try:
        return float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(cell.lower())


def numbers(cells: Sequence[str], *, decimal_comma: bool) -> tuple[Array, list[int]]:
    """(N,) numbers, NaN where a cell holds none, and the places of those that hold something else."""
    try:
        if "_" not in "".join(cells):
            plain = [cell.replace(",", ".") for cell in cells] if decimal_comma else cells
            return np.fromiter(map(float, plain), dtype=np.float64, count=len(cells)), []
    except ValueError:  # an empty cell or a word
        pass
    read = [number(cell, decimal_comma=decimal_comma) for cell in cells]
    odd = [i for i, value in enumerate(read) if value is None]
    return np.array([math.nan if value is None else value for value in read], dtype=np.float64), odd


class TimeColumn:
    """How the times of one column are written, decided on its first cells.

    Seconds, another unit by the column's name or by size (whole ns, us or ms since 1970), or ISO dates. Dates and ns
    since 1970 count from the first cell, because seconds as floats would lose their last digits.

    Raises:
        TimeError: with the place of the first cell that is no time of this kind.
    """

    def __init__(self, name: str, cells: Sequence[str], *, decimal_comma: bool) -> None:
        self._decimal_comma = decimal_comma
        first = next((cell.strip() for cell in cells if cell.strip().lower() not in MISSING), "0")
        self._origin = 0
        self._per_second = 0
        unit = next((u for u in _UNIT_S if re.search(rf"(^|[^a-z]){u}[\])]*$", name.lower())), None)
        self._scale = _UNIT_S.get(unit or "", 1.0)
        self._start: datetime | None = None
        if number(first, decimal_comma=decimal_comma) is None:
            self._start = _moment(first)
            if self._start is None:
                raise TimeError(next(i for i, cell in enumerate(cells) if cell.strip() == first))
        elif re.fullmatch(r"-?\d+", first) and all(_whole_or_missing(cell) for cell in cells):
            size = abs(int(first))
            if unit == "ns":
                self._per_second = 10**9
            elif unit is None:
                self._per_second = next((per for limit, per in _SINCE_1970 if size > limit), 0)
            self._origin = int(first) if self._per_second == 10**9 and size > 10**17 else 0
        for i, cell in enumerate(cells):
            if self._one(cell) is None:
                raise TimeError(i, mixed=self._start is None and _moment(cell.strip()) is not None)

    def read(self, cells: Sequence[str]) -> tuple[Array, list[int]]:
        """(N,) seconds, NaN where a cell holds no time, and the places of those that hold something else."""
        if self._start is None and not self._per_second:
            times, odd = numbers(cells, decimal_comma=self._decimal_comma)
            return times * self._scale, odd
        return _each(self._one, cells)

    def _one(self, cell: str) -> float | None:
        cell = cell.strip()
        if cell.lower() in MISSING:
            return math.nan
        if self._start is not None:
            moment = _moment(cell)
            return None if moment is None else (moment - self._start).total_seconds()
        if self._per_second and re.fullmatch(r"-?\d+", cell):
            return (int(cell) - self._origin) / self._per_second
        if self._per_second:
            return None
        value = number(cell, decimal_comma=self._decimal_comma)
        return None if value is None else value * self._scale


class TimeError(ValueError):
    """A cell that holds no time. `mixed`: it is a date among numbers."""

    def __init__(self, row: int, *, mixed: bool = False) -> None:
        super().__init__(row)
        self.row = row
        self.mixed = mixed


def _each(read: Callable[[str], float | None], cells: Sequence[str]) -> tuple[Array, list[int]]:
    values = [read(cell) for cell in cells]
    odd = [i for i, value in enumerate(values) if value is None]
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64), odd


def _whole_or_missing(cell: str) -> bool:
    cell = cell.strip()
    return cell.lower() in MISSING or re.fullmatch(r"-?\d+", cell) is not None


def _moment(cell: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
