"""A TOML table that knows where it stands, so that each complaint names file and key."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import BadInput


class Table:
    """One table of a TOML file, read key by key; what nobody has read at the end is a typo."""

    def __init__(self, file: Path, data: dict[str, Any], prefix: str = "") -> None:
        self._file, self._data, self._prefix, self._read = file, data, prefix, set[str]()

    def fail(self, key: str, what: str) -> BadInput:
        """A complaint about a key, to be raised."""
        return BadInput(f"{self._file}: {self._prefix}{key} {what}")

    def has(self, key: str) -> bool:
        """Whether an optional key is there; from here on it is known."""
        self._read.add(key)
        return key in self._data

    def _get(self, key: str) -> Any:
        if not self.has(key):
            raise self.fail(key, "is missing; add it")
        return self._data[key]

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or not value:
            raise self.fail(key, "must be a text in quotes")
        return value

    def name(self, key: str) -> str:
        """A name of something in this folder or in Remend; never a path."""
        value = self.text(key)
        if not re.fullmatch(r"\w+", value):
            raise self.fail(key, f"must be a name of letters, digits and underscores, not '{value}'")
        return value

    def choice(self, key: str, options: Sequence[str]) -> str:
        """One of `options`."""
        value = self.text(key)
        if value not in options:
            raise self.fail(key, f"must be one of {', '.join(options)}, not '{value}'")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """At least one text."""
        value = self._get(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise self.fail(key, "must be a list of texts in quotes")
        return tuple(value)

    def names(self, key: str) -> tuple[str, ...]:
        """At least one text, none of them twice."""
        values = self.texts(key)
        for value in values:
            if values.count(value) > 1:
                raise self.fail(key, f"must be a list without repetition; '{value}' stands there twice")
        return values

    def number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float:
        return self._number(key, self._get(key), low, high)

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.fail(key, f"must be a number between {low:g} and {high:g}, not {value!r}")
        return float(value)

    def whole(self, key: str, low: int, high: int) -> int:
        value = self.number(key, low, high)
        if value != int(value):
            raise self.fail(key, f"must be a whole number, not {value:g}")
        return int(value)

    def flag(self, key: str) -> bool:
        value = self._get(key)
        if not isinstance(value, bool):
            raise self.fail(key, f"must be true or false, not {value!r}")
        return value

    def numbers(self, key: str, length: int | None, low: float = -1e12, high: float = 1e12) -> tuple[float, ...]:
        value = self._get(key)
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise self.fail(key, f"must be a list of {length if length is not None else 'numbers'} entries")
        return tuple(self._number(key, item, low, high) for item in value)

    def is_list(self, key: str) -> bool:
        return isinstance(self._get(key), list)

    def each(self, key: str, length: int, low: float = -1e12, high: float = 1e12) -> tuple[float, ...]:
        """A list of `length` entries; a single number stands for all of them."""
        if self.is_list(key):
            return self.numbers(key, length, low, high)
        return (self.number(key, low, high),) * length

    def free(self) -> dict[str, float | tuple[float, ...]]:
        """All entries, numbers or lists of numbers, of a table whose keys are not ours to know."""
        return {key: self.numbers(key, None) if self.is_list(key) else self.number(key) for key in self._data}

    def table(self, key: str) -> Table:
        value = self._get(key)
        if not isinstance(value, dict):
            raise self.fail(key, "must be a table")
        return Table(self._file, value, f"{self._prefix}{key}.")

    def keys(self) -> tuple[str, ...]:
        """All keys of a table whose keys are names of something; from here on they are known."""
        self._read.update(self._data)
        return tuple(self._data)

    def close(self) -> None:
        """Refuse every key that was not read."""
        unknown = sorted(set(self._data) - self._read)
        if unknown:
            raise self.fail(unknown[0], f"is not known here; use one of {', '.join(sorted(self._read))}")
