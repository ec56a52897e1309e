"""Every route against every role, from the code itself: nobody gets in who should not, and no route is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from remend.ledger import Patch
from remend.service.accounts import Role
from remend.service.service import Service
from remend.web import health, sign_in
from remend.web import pages as page_room
from remend.web.app import create_app

A, O, V = Role.ADMIN, Role.OPERATOR, Role.VIEWER  # noqa: E741 columns of a table

# What each route of the API takes. A route that is not in this table fails the test.
TABLE: dict[tuple[str, str], Role] = {
    ("GET", "/robots"): V,
    ("GET", "/robots/{robot_id}"): V,
    ("GET", "/robots/{robot_id}/course"): V,
    ("GET", "/robots/{robot_id}/policy"): V,
    ("POST", "/robots/{robot_id}/rollback"): O,
    ("POST", "/robots/{robot_id}/cancel"): O,
    ("POST", "/robots/{robot_id}/hold"): O,
    ("POST", "/robots/{robot_id}/resume"): O,
    ("GET", "/orders/{order_id}"): V,
    ("GET", "/incidents"): V,
    ("GET", "/incidents/{incident_id}"): V,
    ("POST", "/incidents/{incident_id}/handling"): O,
    ("GET", "/patches"): V,
    ("GET", "/patches/{patch_id}"): V,
    ("POST", "/patches/{patch_id}/approve"): O,
    ("POST", "/patches/{patch_id}/reject"): O,
    ("GET", "/patching"): V,
    ("POST", "/patching/freeze"): V,
    ("POST", "/patching/thaw"): A,
    ("GET", "/me"): V,
    ("POST", "/me/confirm"): V,
    ("GET", "/users"): A,
    ("POST", "/users"): A,
    ("DELETE", "/users/{name}"): A,
    ("GET", "/tokens"): A,
    ("POST", "/tokens"): V,
    ("DELETE", "/tokens/{pass_id}"): A,
    ("GET", "/audit"): V,
    ("GET", "/events"): V,
}
OPEN_PAGES = {"/sign-in", "/setup", "/healthz", "/readyz"}  # for those who have not signed in
PREFIX = "/api/v1"


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path


def test_the_table_is_that_of_the_code(service: Service) -> None:
    found = {(method, path.removeprefix(PREFIX)) for method, path in routes(create_app(service))}
    assert found == set(TABLE)


@pytest.mark.parametrize("route", [route for route in TABLE if route[1] != "/events"], ids=" ".join)
def test_a_route_takes_its_role_and_no_less(signed: Any, patch: Patch, route: tuple[str, str]) -> None:
    method, path = route
    where = PREFIX + path
    for name, value in {"robot_id": "iiwa", "incident_id": "inc_1", "patch_id": "pat_1"}.items():
        where = where.replace(f"{{{name}}}", value)
    where = where.replace("{order_id}", "ord_0").replace("{name}", "nobody").replace("{pass_id}", "pas_0")
    assert signed(None).request(method, where, json={}).status_code == 401
    for role in Role:
        status = signed(role).request(method, where, json={}).status_code
        if role.covers(TABLE[route]):
            assert status not in (401, 403, 500), (role, status)
        else:
            assert status == 403, (role, status)


def pages() -> Iterator[str]:
    """Every page that can be opened without naming something; included routers are inside of their routes."""
    pending = [*page_room.router.routes, *sign_in.router.routes, *health.router.routes]
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute) and "GET" in route.methods and "{" not in route.path:
            yield route.path
        pending.extend(getattr(getattr(route, "original_router", None), "routes", ()))


def test_pages_ask_whoever_has_not_signed_in_to_do_so(signed: Any) -> None:
    closed = set(pages()) - OPEN_PAGES
    assert {"/", "/metrics"} <= closed
    for path in closed:
        answer = signed(None).get(path)
        assert answer.status_code in (303, 401), path
        assert "iiwa" not in answer.text
