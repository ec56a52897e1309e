"""What a person says of a patch, and how a pipeline comes to know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.records import Diagnosis, ValidationReport
from patcher.propose.base import Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person, or a policy in a person's name, says of a patch."""

    approve: bool
    actor: str
    reason: str


Decide = Callable[[Proposal, Diagnosis, ValidationReport], Decision | None]
"""Asks; None means that a person will decide later."""
