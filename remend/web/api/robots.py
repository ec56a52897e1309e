"""Robots: how they are, what they said last, and the way back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from core.ids import new_id
from remend.agency.account import Account, account
from remend.agency.uses import uses
from remend.service.orders import Verb, order_of
from remend.service.service import Service
from remend.web.api.common import Asked, Key, Name, routes
from remend.web.identity import Operator, Served, Viewer
from remend.web.resources import OrderShown, RobotShown, order_shown, robot_shown

router = routes()


class Course(BaseModel):
    """The last telemetry of a robot, thinned out, in columns."""

    t_s: list[float]  # robot clock
    error: list[list[float]]  # one list per coordinate
    command: list[list[float]]  # one list per actuator
    ratio_t_s: list[float]
    ratio: list[float]
    joints: tuple[str, ...]
    units: tuple[str, ...]
    actuators: tuple[str, ...]
    command_unit: str


@router.get("/robots")
def list_robots(service: Served, who: Viewer) -> list[RobotShown]:
    """All robots."""
    return [robot_shown(care) for care in service.cares.values()]


@router.get("/robots/{robot_id}")
def get_robot(robot_id: Name, service: Served, who: Viewer) -> RobotShown:
    """One robot."""
    return robot_shown(service.care(robot_id))


@router.get("/robots/{robot_id}/course")
def get_course(
    robot_id: Name, service: Served, who: Viewer, since_s: Annotated[float, Query(allow_inf_nan=False)] = 0.0
) -> Course:
    """The telemetry of the last minute, after `since_s` on the robot's clock."""
    board = service.care(robot_id).board
    samples, ratios = board.course(since_s)
    layout = board.now().layout
    error = [row for sample in samples for row in sample.error]
    command = [row for sample in samples for row in sample.command]
    return Course(
        t_s=[t for sample in samples for t in sample.t_s],
        error=[list(column) for column in zip(*error, strict=True)],
        command=[list(column) for column in zip(*command, strict=True)],
        ratio_t_s=[ratio.t_s for ratio in ratios],
        ratio=[ratio.ratio for ratio in ratios],
        joints=layout.joints if layout else (),
        units=layout.units if layout else (),
        actuators=layout.actuators if layout else (),
        command_unit=layout.command_unit if layout else "",
    )


@router.get("/robots/{robot_id}/policy")
def get_policy(robot_id: Name, service: Served, who: Viewer) -> Account:
    """What the service may do by itself for a robot, and what it has used of that over the last 24 h."""
    service.care(robot_id)
    with service.store.reading() as connection:
        return account(service.agency, robot_id, uses(connection, robot_id, service.clock.wall_ns()))


@router.post("/robots/{robot_id}/rollback", status_code=202)
def roll_back(robot_id: Name, asked: Asked, service: Served, who: Operator, key: Key = None) -> OrderShown:
    """Ask a robot to return to the controller before. Not an emergency stop."""
    return _ordered(service, robot_id, Verb.ROLL_BACK, who.name, asked.reason, key)


@router.post("/robots/{robot_id}/hold", status_code=202)
def hold(robot_id: Name, asked: Asked, service: Served, who: Operator, key: Key = None) -> OrderShown:
    """Ask a robot to come to a stop and stay there until it is told to go on. Not an emergency stop."""
    return _ordered(service, robot_id, Verb.HOLD, who.name, asked.reason, key)


@router.post("/robots/{robot_id}/resume", status_code=202)
def resume(robot_id: Name, asked: Asked, service: Served, who: Operator, key: Key = None) -> OrderShown:
    """Let a robot that is held go on with its work."""
    return _ordered(service, robot_id, Verb.RESUME, who.name, asked.reason, key)


def _ordered(service: Service, robot_id: str, verb: Verb, actor: str, reason: str, key: str | None) -> OrderShown:
    order = service.order(robot_id, verb, actor, reason, key or new_id("key", service.clock))
    with service.store.reading() as connection:
        return order_shown(connection, order)


@router.post("/robots/{robot_id}/cancel", status_code=202)
def cancel(robot_id: Name, asked: Asked, service: Served, who: Operator, key: Key = None) -> OrderShown:
    """End the search for a patch, or its proof. What was not decided yet is rejected; the robot is not touched."""
    order = service.order(robot_id, Verb.CANCEL, who.name, asked.reason, key or new_id("key", service.clock))
    with service.store.reading() as connection:
        return order_shown(connection, order)


@router.get("/orders/{order_id}")
def get_order(order_id: Name, service: Served, who: Viewer) -> OrderShown:
    """What became of an order."""
    with service.store.reading() as connection:
        return order_shown(connection, order_of(connection, order_id))
