"""The inbox, and the lists behind it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from remend import ledger, tables
from remend.web.identity import Served, Viewer
from remend.web.rendering import page
from remend.web.resources import robot_shown
from remend.web.views.inbox import inbox_page, robot_line
from remend.web.views.incident import incident_rows

router = APIRouter()
_ROWS = 50


@router.get("/")
def inbox(
    request: Request,
    service: Served,
    who: Viewer,
    show: Annotated[str, Query(max_length=20)] = "",
    page_number: Annotated[int, Query(alias="page", ge=1, le=10**6)] = 1,
) -> Response:
    """What needs somebody, the most urgent first."""
    with service.store.reading() as connection:
        view = inbox_page(service, connection, show, page_number)
    return page(request, "inbox.html.jinja", view=view)


@router.get("/incidents")
def incidents(
    request: Request,
    service: Served,
    who: Viewer,
    before: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,80}$")] = None,
) -> Response:
    """All incidents, newest first."""
    with service.store.reading() as connection:
        names = ledger.newest(connection, tables.incidents, _ROWS + 1, before)
        rows = incident_rows(service, connection, names[:_ROWS])
    older = names[_ROWS - 1] if len(names) > _ROWS else ""
    return page(request, "incidents.html.jinja", rows=rows, older=older)


@router.get("/robots")
def robots(request: Request, service: Served, who: Viewer) -> Response:
    """All robots."""
    lines = tuple(robot_line(robot_shown(care)) for care in service.cares.values())
    return page(request, "robots.html.jinja", lines=lines)
