"""One robot, and the way back to the controller before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from core.ids import new_id
from remend.service.orders import Verb
from remend.web.identity import Operator, Served, Viewer
from remend.web.pages.forms import Name, Text, Words, see
from remend.web.rendering import page
from remend.web.views.robot import robot_page

router = APIRouter()


@router.get("/robots/{robot_id}")
def show_robot(
    robot_id: Name,
    request: Request,
    service: Served,
    who: Viewer,
    order: Annotated[str, Query(pattern=r"^[A-Za-z0-9._-]{0,80}$")] = "",
) -> Response:
    """One robot, live."""
    with service.store.reading() as connection:
        view = robot_page(service, connection, robot_id, order)
    return page(request, "robot.html.jinja", view=view, key=new_id("key", service.clock))


@router.post("/robots/{robot_id}/rollback")
def roll_back(robot_id: Name, service: Served, who: Operator, reason: Words = "", key: Text = "") -> Response:
    """Ask a robot to return to the controller before. The key makes the form, sent twice, one order."""
    order = service.order(robot_id, Verb.ROLL_BACK, who.name, reason.strip(), key or new_id("key", service.clock))
    return see(f"/robots/{robot_id}?order={order.id}#back")


@router.post("/robots/{robot_id}/cancel")
def cancel(robot_id: Name, service: Served, who: Operator, reason: Words = "", key: Text = "") -> Response:
    """End the search for a patch, or its proof."""
    order = service.order(robot_id, Verb.CANCEL, who.name, reason.strip(), key or new_id("key", service.clock))
    return see(f"/robots/{robot_id}?order={order.id}")
