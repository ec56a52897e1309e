"""Sortable ids, canonical JSON and content hashes.

A record is named by an id for people and by a sha256 for machines; whatever a person approves is compared by hash.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
import secrets
from pathlib import PurePath
from typing import Any

from core.clock import Clock, SystemClock

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str, clock: Clock | None = None) -> str:
    """An id such as `pat_01k9x3w7v5q2r8aaaa`: sorts by creation time (us), the last 20 bits are random."""
    value = ((clock or SystemClock()).wall_ns() // 1000) << 20 | secrets.randbits(20)
    digits = []
    for _ in range(15):
        digits.append(_CROCKFORD[value & 31])
        value >>= 5
    return f"{prefix}_{''.join(reversed(digits))}"


def plain(value: Any) -> Any:  # noqa: PLR0911 one return for each kind of value
    """A record as JSON types: dataclasses become objects, tuples lists, enums their value, arrays lists.

    Raises:
        ValueError: a float is NaN or infinite; canonical JSON has no word for it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} cannot be written as canonical JSON")
    return value


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, shortest round-trip floats, UTF-8 unescaped."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of(value: Any) -> str:
    """Hex sha256 of a record's canonical JSON, or of bytes as they are."""
    data = value if isinstance(value, bytes) else canonical_json(value).encode()
    return hashlib.sha256(data).hexdigest()
