"""What a person says of a patch, and how a pipeline comes to know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock
from core.ids import new_id
from core.records import Approval, Diagnosis, ValidationReport
from patcher.propose.base import Proposal

VALID_NS = 24 * 3600 * 10**9  # a signed patch is accepted for a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person, or a policy in a person's name, says of a patch."""

    approve: bool
    actor: str
    reason: str


Decide = Callable[[Proposal, Diagnosis, ValidationReport], Decision | None]
"""Asks; None means that a person will decide later."""


def approval_of(decision: Decision, report: ValidationReport, clock: Clock) -> Approval:
    """The record of a decision, bound to what the report judged."""
    now_ns = clock.wall_ns()
    return Approval(
        id=new_id("app", clock),
        patch_id=report.patch_id,
        decision="approve" if decision.approve else "reject",
        actor=decision.actor,
        reason=decision.reason,
        base_sha=report.base_sha,
        result_sha=report.result_sha,
        report_sha=report.sha256,
        at_ns=now_ns,
        expires_ns=now_ns + VALID_NS,
    )
