"""What an examination of the installation finds: one line each, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARN = "warn"  # something works less well, or not at all, and the rest does
    FAIL = "fail"  # Remend cannot work like this


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str  # what was looked at, one or two words
    status: Status
    what: str  # what was found
    hint: str = ""  # what to do about it; empty if nothing


def fine(name: str, what: str, hint: str = "") -> Finding:
    """Nothing to mend."""
    return Finding(name=name, status=Status.OK, what=what, hint=hint)


def warning(name: str, what: str, hint: str) -> Finding:
    """Something that works less well, or not at all."""
    return Finding(name=name, status=Status.WARN, what=what, hint=hint)


def failure(name: str, what: str, hint: str) -> Finding:
    """Something without which Remend cannot work."""
    return Finding(name=name, status=Status.FAIL, what=what, hint=hint)


def in_one_line(error: Exception) -> str:
    """What an error says, for a finding."""
    return " ".join(str(error).split()) or type(error).__name__
