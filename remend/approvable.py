"""What a decision on a patch must fit: exactly what was judged, and evidence that allows it."""

from __future__ import annotations

from core.errors import Conflict, Refused
from core.records import Approval
from core.status import Verdict
from remend.ledger import Patch


def require_same(patch: Patch, approval: Approval) -> None:
    """Make sure that a decision names what there is.

    Raises:
        Conflict: it names other artefacts or another report.
    """
    if (approval.base_sha, approval.result_sha) != (patch.candidate.base_sha, patch.candidate.result_sha):
        raise Conflict(f"the decision names other artefacts than those of {patch.id}; look at it again")
    if approval.report_sha != (patch.report.sha256 if patch.report else ""):
        raise Conflict(f"the decision does not name the last report on {patch.id}; look at it again")


def require_approvable(patch: Patch, approval: Approval, now_ns: int) -> None:
    """Make sure that a patch may be approved.

    Raises:
        Refused: the evidence does not pass, the approval has expired, or the proposer approves itself.
    """
    if patch.report is None or patch.report.verdict is not Verdict.PASS:
        verdict = patch.report.verdict.value if patch.report else "missing"
        raise Refused(f"the evidence for {patch.id} is {verdict}; only a pass can be approved")
    if approval.expires_ns <= now_ns:
        raise Refused(f"the approval of {patch.id} has expired; decide again")
    if approval.actor == patch.candidate.proposer:
        raise Refused(f"{approval.actor} proposed {patch.id} and cannot approve it")
