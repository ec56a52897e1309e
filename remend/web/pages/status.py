"""The state of the service itself, and what it has learnt."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from remend.web.identity import Served, Viewer
from remend.web.rendering import page
from remend.web.views.learning import learning_page
from remend.web.views.status import status_page

router = APIRouter()


@router.get("/status")
def show_status(request: Request, service: Served, who: Viewer, doctor: bool = False) -> Response:
    """Caretakers, disk, versions; with `doctor` also what `remend doctor` finds."""
    return page(request, "status.html.jinja", view=status_page(service, examine=doctor))


@router.get("/learning")
def show_learning(request: Request, service: Served, who: Viewer) -> Response:
    """What was kept, and how promises held."""
    with service.store.reading() as connection:
        view = learning_page(service, connection)
    return page(request, "learning.html.jinja", view=view)
