"""The pages of the dashboard: plain HTML that works without scripts."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from core.status import PatchStatus
from remend import ledger, numbers, tables
from remend.service.freeze import frozen
from remend.web.identity import Served, Viewer, known
from remend.web.resources import incident_shown, patch_summary, robot_shown

router = APIRouter()
_ENVIRONMENT = Environment(
    loader=PackageLoader("remend.web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(request: Request, template: str, *, status: HTTPStatus = HTTPStatus.OK, **content: Any) -> HTMLResponse:
    """A page; every page knows who looks and whether patching is frozen."""
    service = request.app.state.service
    who = known(request)
    with service.store.reading() as connection:
        freeze = frozen(connection) if who is not None else None
    text = _ENVIRONMENT.get_template(template).render(who=who, freeze=freeze, n=numbers, request=request, **content)
    return HTMLResponse(text, status_code=status)


def error_page(request: Request, status: HTTPStatus, detail: str, headers: dict[str, str] | None) -> Response:
    """What went wrong, for a person."""
    answer = page(
        request,
        "error.html.jinja",
        status=status,
        phrase=status.phrase,
        code=int(status),
        detail=detail,
        request_id=getattr(request.state, "request_id", ""),
    )
    answer.headers.update(headers or {})
    return answer


@router.get("/")
def inbox(request: Request, service: Served, who: Viewer) -> Response:
    """What needs somebody."""
    with service.store.reading() as connection:
        incidents = [incident_shown(connection, name) for name in ledger.newest(connection, tables.incidents, 20)]
        waiting = [
            patch_summary(service, connection, name)
            for name in ledger.newest_patches(connection, 20, None, (PatchStatus.AWAITING_APPROVAL,))
        ]
    robots = [robot_shown(care) for care in service.cares.values()]
    return page(request, "inbox.html.jinja", incidents=incidents, waiting=waiting, robots=robots)
