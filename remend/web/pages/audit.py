"""The audit log: to read, to check, to take away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from remend import ledger
from remend.service.service import Service
from remend.web.identity import Served, Viewer
from remend.web.rendering import page
from remend.web.views.audit import audit_page, csv_rows

router = APIRouter()

Wanted = Annotated[str, Query(max_length=80)]
_AT_A_TIME = 500


@router.get("/audit")
def show_audit(
    request: Request,
    service: Served,
    who: Viewer,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    actor: Wanted = "",
    verb: Wanted = "",
    subject: Wanted = "",
    check: bool = False,
) -> Response:
    """The log, newest first."""
    wanted = {"actor": actor, "verb": verb, "subject": subject}
    with service.store.reading() as connection:
        view = audit_page(service, connection, before, wanted, check=check)
    return page(request, "audit.html.jinja", view=view)


@router.get("/audit.csv")
def audit_csv(service: Served, who: Viewer) -> Response:
    """The whole log as a table, oldest first."""
    headers = {"Content-Disposition": 'attachment; filename="remend-audit.csv"'}
    return StreamingResponse(csv_rows(_all(service)), media_type="text/csv; charset=utf-8", headers=headers)


def _all(service: Service) -> Iterator[dict[str, Any]]:
    seq = 0
    while True:
        with service.store.reading() as connection:
            rows = ledger.audit_after(connection, seq, _AT_A_TIME)
        yield from rows
        if len(rows) < _AT_A_TIME:
            return
        seq = rows[-1]["seq"]
