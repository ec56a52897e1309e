"""A patch on its way to a robot, live."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from core.ids import new_id
from remend.web.identity import Served, Viewer
from remend.web.pages.forms import Name
from remend.web.rendering import page
from remend.web.views.deployment import deployment_page

router = APIRouter()


@router.get("/deployments/{patch_id}")
def show_deployment(patch_id: Name, request: Request, service: Served, who: Viewer) -> Response:
    """The stages of a deployment, and its margins."""
    with service.store.reading() as connection:
        view = deployment_page(service, connection, patch_id)
    return page(request, "deployment.html.jinja", view=view, key=new_id("key", service.clock))
