"""Names from records in a reader's words."""

from __future__ import annotations

from patcher.causes import words_of
from remend import views

_NO_FAULT = "none"


def trouble(channel: str, kind: str) -> str:
    """What alarmed: ("joint_2.torque_residual", "bias") -> "Joint 2, torque residual: bias"."""
    place, _, what = channel.partition(".")
    name = f"{place.replace('_', ' ')}, {what.replace('_', ' ')}" if what else place.replace("_", " ")
    return f"{views.title(name)}: {kind.replace('_', ' ')}"


def cause_words(cause: str | None) -> str:
    """The most probable cause as a sentence."""
    if cause is None:
        return "No cause was found yet."
    if cause == _NO_FAULT:
        return "No known fault explains it."
    return f"Likely {' and '.join(words_of(each).title for each in cause.split('+'))}."
