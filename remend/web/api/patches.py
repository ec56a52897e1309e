"""Patches, and the decision on each."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, Field

from core.errors import Conflict
from core.records import Approval
from core.status import PatchStatus
from remend import ledger
from remend.second_person import FIRST, first_approval
from remend.service import decisions
from remend.service.decisions import Shown, Wish
from remend.versions import Versions
from remend.web.api.common import Before, IfMatch, Limit, Name, Page, Reason, routes
from remend.web.confirmation import may_approve_high_risk
from remend.web.identity import Operator, Served, Viewer
from remend.web.resources import PatchShown, PatchWhole, patch_summary, patches_shown

router = routes()


class DecisionAsked(BaseModel):
    """A decision on exactly what was shown."""

    reason: Reason = ""
    base_sha: str = Field(max_length=64, examples=["642aab262f89203685fcd8d43d45434b584ea9592e05917da294ed5c4664048e"])
    result_sha: str = Field(max_length=64)
    report_sha: str = Field(max_length=64)
    robot_name: str = Field(default="", max_length=80, description="Typed, where the risk is high.")
    first_id: str | None = Field(
        default=None,
        max_length=80,
        description="Where two have to approve: id of the first approval as it was shown, empty for none.",
    )


class Patches(Page):
    """Patches, newest first."""

    items: list[PatchShown]


@router.get("/patches")
def list_patches(
    service: Served,
    who: Viewer,
    limit: Limit = 50,
    before: Before = None,
    status: Annotated[list[PatchStatus] | None, Query(description="Only patches in these statuses.")] = None,
) -> Patches:
    """Patches, newest first."""
    with service.store.reading() as connection:
        names = ledger.newest_patches(connection, limit + 1, before, status or ())
        items = list(patches_shown(service, connection, names[:limit]))
    return Patches(items=items, next=names[limit - 1] if len(names) > limit else None)


@router.get("/patches/{patch_id}")
def get_patch(patch_id: Name, service: Served, who: Viewer, response: Response) -> PatchWhole:
    """One patch with everything that a decision needs. The ETag changes with its status, report and approvals."""
    whole = patch_whole(service, patch_id)
    response.headers["ETag"] = _etag(whole)
    return whole


@router.post("/patches/{patch_id}/approve", status_code=201)
def approve(
    patch_id: Name,
    asked: DecisionAsked,
    service: Served,
    who: Operator,
    response: Response,
    if_match: IfMatch = None,
) -> Approval:
    """Approve a patch, bound to what was shown. 202: another person has to approve the same."""
    made = _decide(service, patch_id, "approve", asked, who, if_match)
    if made.decision == FIRST:
        response.status_code = 202
    return made


@router.post("/patches/{patch_id}/reject", status_code=201)
def reject(
    patch_id: Name,
    asked: DecisionAsked,
    service: Served,
    who: Operator,
    if_match: IfMatch = None,
) -> Approval:
    """Reject a patch, with a reason."""
    return _decide(service, patch_id, "reject", asked, who, if_match)


def patch_whole(service: Served, patch_id: str) -> PatchWhole:
    """A patch with everything that a decision needs.

    Raises:
        Missing: no such patch.
    """
    with service.store.reading() as connection:
        patch = ledger.patch(connection, patch_id)
        first = first_approval(connection, patch, service.clock.wall_ns())
        summary = patch_summary(service, connection, patch_id)
    candidate = patch.candidate
    return PatchWhole(
        summary=summary,
        candidate=candidate,
        moves=patch.moves,
        report=patch.report,
        report_sha=patch.report.sha256 if patch.report else None,
        approval=patch.approval,
        persons=service.agency.of(summary.robot_id).of_kind(candidate.kind).persons,
        first_approval=first,
        outcomes=patch.outcomes,
        diff=Versions.open(service.home, service.clock).diff(candidate.base_sha, candidate.result_sha),
    )


def _decide(
    service: Served, patch_id: str, decision: str, asked: DecisionAsked, who: Operator, if_match: str | None
) -> Approval:
    whole = patch_whole(service, patch_id)
    if if_match not in (None, "*", _etag(whole)) and whole.approval is None:
        raise Conflict(f"{patch_id} changed since it was read; read it again")
    return decisions.decide(
        service.store,
        service.clock,
        patch_id,
        Wish(
            decision=decision,
            actor=who.name,
            reason=asked.reason,
            robot_name=asked.robot_name,
            assured=may_approve_high_risk(service, who),
        ),
        Shown(
            base_sha=asked.base_sha,
            result_sha=asked.result_sha,
            report_sha=asked.report_sha,
            first_id=asked.first_id,
        ),
        simulated=service.is_simulated(whole.summary.robot_id),
        persons=whole.persons,
    )


def _etag(whole: PatchWhole) -> str:
    first = f"-{whole.first_approval.id}" if whole.first_approval else ""
    return f'"{len(whole.moves)}-{(whole.report_sha or "none")[:16]}{first}"'
