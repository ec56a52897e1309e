"""Moments and durations as people say them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from remend import numbers

_STEPS = ((86_400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment: for machines, for people, and how long ago it was."""

    iso: str
    utc: str
    ago: str  # "3 min ago"


def moment(at_ns: int, now_ns: int) -> Moment:
    """A moment in UTC, seen from `now_ns`."""
    iso = datetime.fromtimestamp(at_ns // 10**9, tz=UTC).isoformat()
    return Moment(iso=iso, utc=numbers.utc(at_ns), ago=ago(at_ns, now_ns))


def ago(at_ns: int, now_ns: int) -> str:
    """How long ago something was: "just now", "3 min ago"."""
    seconds = (now_ns - at_ns) * 1e-9
    return "just now" if seconds < 5 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """A duration in at most two units: 11402 -> "3 h 10 min"; 42.3 -> "42 s"."""
    whole = max(0, round(seconds))
    for k, (size, name) in enumerate(_STEPS):
        if whole >= size:
            count, rest = divmod(whole, size)
            smaller = _STEPS[k + 1] if k + 1 < len(_STEPS) else (1, "s")
            more = rest // smaller[0] if count < 10 else 0
            return f"{count} {name}" + (f" {more} {smaller[1]}" if more else "")
    return f"{whole} s"
