"""The decision page, and the decision."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from core.errors import BadInput, Conflict, Missing, RemendError
from remend import ledger
from remend.service import decisions, exhibit
from remend.service.decisions import Shown, Wish
from remend.web import confirmation
from remend.web.confirmation import Password
from remend.web.identity import Operator, Served, Viewer
from remend.web.pages.forms import Name, Sha, Text, Words, see
from remend.web.problems import status_of
from remend.web.rendering import page
from remend.web.views.decision import Attempt
from remend.web.views.patch import patch_page, shown_now

router = APIRouter()
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"


@router.get("/patches/{patch_id}")
def show_patch(patch_id: Name, request: Request, service: Served, who: Viewer) -> Response:
    """One patch, to be decided on."""
    with service.store.reading() as connection:
        view = patch_page(service, connection, patch_id, who)
    return page(request, "patch.html.jinja", view=view)


@router.get("/patches/{patch_id}/report.html")
def report(patch_id: Name, service: Served, who: Viewer) -> Response:
    """The report as one file, to mail or to archive. It was written for itself, so it brings its own policy."""
    file = exhibit.folder_of(service.home, patch_id) / exhibit.REPORT
    with service.store.reading() as connection:
        ledger.candidate(connection, patch_id)
    if not file.is_file():
        raise Missing(f"{patch_id} has no report file; the page of the patch shows what is known")
    return FileResponse(file, media_type="text/html", headers={"Content-Security-Policy": _REPORT_POLICY})


@router.post("/patches/{patch_id}/decide")
def decide(
    patch_id: Name,
    request: Request,
    service: Served,
    who: Operator,
    decision: Text = "",
    reason: Words = "",
    robot_name: Text = "",
    base_sha: Sha = "",
    result_sha: Sha = "",
    report_sha: Sha = "",
    first_id: Text = "",
    confirm: Password = "",
) -> Response:
    """Decide, bound to what was shown. What was typed is never lost."""
    posted = Shown(base_sha=base_sha, result_sha=result_sha, report_sha=report_sha, first_id=first_id)
    wish = Wish(decision=decision, actor=who.name, reason=reason, robot_name=robot_name)
    try:
        if decision not in ("approve", "reject"):
            raise BadInput("choose approve or reject first")
        with service.store.reading() as connection:
            candidate = ledger.candidate(connection, patch_id)
            robot_id = ledger.incident(connection, candidate.incident_id).robot_id
        who = confirmation.confirm(request, who, confirm)
        wish = replace(wish, assured=confirmation.may_approve_high_risk(service, who))
        simulated, persons = service.is_simulated(robot_id), service.agency.of(robot_id).of_kind(candidate.kind).persons
        decisions.decide(service.store, service.clock, patch_id, wish, posted, simulated=simulated, persons=persons)
    except Missing:
        raise
    except RemendError as error:
        return _again(request, service, who, patch_id, wish, posted, error)
    return see(f"/patches/{patch_id}#decision")


def _again(
    request: Request, service: Served, who: Viewer, patch_id: str, wish: Wish, posted: Shown, error: RemendError
) -> Response:
    """The page once more, with what was typed and with what is the matter."""
    changed: tuple[tuple[str, str, str], ...] = ()
    with service.store.reading() as connection:
        if isinstance(error, Conflict):
            now = dict(shown_now(ledger.patch(connection, patch_id)))
            words = {"base_sha": "controller before", "result_sha": "controller after", "report_sha": "report"}
            then = {name: getattr(posted, name) for name in words}
            changed = tuple((words[name], then[name], now[name]) for name in words if then[name] != now[name])
        attempt = Attempt(
            # after a conflict something else is on the page: it has to be chosen anew
            decision="" if isinstance(error, Conflict) else wish.decision,
            reason=wish.reason,
            robot_name=wish.robot_name,
            why=str(error),
            changed=changed,
        )
        view = patch_page(service, connection, patch_id, who, attempt)
    status: HTTPStatus = status_of(error)
    return page(request, "patch.html.jinja", status=status, here=f"/patches/{patch_id}", view=view)
