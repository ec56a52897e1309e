"""One incident, its files, and how people handle it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, Response

from core.errors import BadInput, Missing, RemendError
from remend import ledger
from remend.service.handling import Handling, handle
from remend.web.identity import Operator, Served, Viewer
from remend.web.pages.forms import Name, Text, Words, see
from remend.web.problems import status_of
from remend.web.rendering import page
from remend.web.views.incident import FILES, incident_page

router = APIRouter()


@router.get("/incidents/{incident_id}")
def show_incident(incident_id: Name, request: Request, service: Served, who: Viewer) -> Response:
    """One incident."""
    with service.store.reading() as connection:
        view = incident_page(service, connection, incident_id)
    return page(request, "incident.html.jinja", view=view, why="", note="")


@router.get("/incidents/{incident_id}/files/{number}/{name}")
def incident_file(
    incident_id: Name, number: Annotated[int, Path(ge=1, le=10**6)], name: Name, service: Served, who: Viewer
) -> Response:
    """A file of one occurrence of an incident."""
    with service.store.reading() as connection:
        ledger.incident(connection, incident_id)
        times = [each for each in ledger.occurrences(connection, incident_id) if each.number == number]
    recording = times[0].recording if times else incident_id
    file = service.home / "incidents" / recording / name
    if name not in FILES or not file.is_file():
        raise Missing(f"{incident_id} has no file {name}; there are {', '.join(FILES)}")
    return FileResponse(file, media_type=FILES[name][0], filename=f"{incident_id}-{number}-{name}")


@router.post("/incidents/{incident_id}/handling")
def handle_incident(
    incident_id: Name,
    request: Request,
    service: Served,
    who: Operator,
    handling: Text = "",
    note: Words = "",
) -> Response:
    """Say what is done about an incident."""
    try:
        if handling not in set(Handling):
            raise BadInput("choose what is done about the incident")
        with service.store.journal(who.name) as journal:
            handle(journal, incident_id, Handling(handling), note)
    except Missing:
        raise
    except RemendError as error:
        with service.store.reading() as connection:
            view = incident_page(service, connection, incident_id)
        return page(
            request,
            "incident.html.jinja",
            status=status_of(error),
            here=f"/incidents/{incident_id}",
            view=view,
            why=str(error),
            note=note,
        )
    return see(f"/incidents/{incident_id}#handling")
