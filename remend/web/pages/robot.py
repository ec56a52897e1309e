"""One robot, and the way back to the controller before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from core.ids import new_id
from remend.service.orders import Verb
from remend.service.service import Service
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
    return _ordered(service, robot_id, Verb.ROLL_BACK, who.name, reason, key)


@router.post("/robots/{robot_id}/hold")
def hold(robot_id: Name, service: Served, who: Operator, reason: Words = "", key: Text = "") -> Response:
    """Ask a robot to come to a stop and stay there."""
    return _ordered(service, robot_id, Verb.HOLD, who.name, reason, key)


@router.post("/robots/{robot_id}/resume")
def resume(robot_id: Name, service: Served, who: Operator, reason: Words = "", key: Text = "") -> Response:
    """Let a robot that is held go on."""
    return _ordered(service, robot_id, Verb.RESUME, who.name, reason, key)


def _ordered(service: Service, robot_id: str, verb: Verb, actor: str, reason: str, key: str) -> Response:
    order = service.order(robot_id, verb, actor, reason.strip(), key or new_id("key", service.clock))
    return see(f"/robots/{robot_id}?order={order.id}#back")


@router.post("/robots/{robot_id}/cancel")
def cancel(robot_id: Name, service: Served, who: Operator, reason: Words = "", key: Text = "") -> Response:
    """End the search for a patch, or its proof."""
    order = service.order(robot_id, Verb.CANCEL, who.name, reason.strip(), key or new_id("key", service.clock))
    return see(f"/robots/{robot_id}?order={order.id}")
