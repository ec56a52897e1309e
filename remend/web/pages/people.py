"""Who may sign in, and with what; everybody sees their own account."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from core.errors import BadInput, RemendError
from remend.service import accounts
from remend.service.accounts import HIGH_RISK, Role, User
from remend.web.confirmation import Password, require_confirmed, require_own_scopes
from remend.web.confirmation import confirm as take_password
from remend.web.identity import Admin, Identity, Served, Viewer, service_of
from remend.web.pages.forms import Name, Text, see
from remend.web.problems import status_of
from remend.web.rendering import page
from remend.web.views.times import moment

router = APIRouter(prefix="/people")
_LONGEST_H = 24 * 366


@router.get("")
def show_people(request: Request, service: Served, who: Viewer) -> Response:
    """Users and tokens; without an admin's role, one's own account."""
    return _shown(request, service, who)


@router.post("/users")
def add_user(
    request: Request,
    service: Served,
    who: Admin,
    name: Text = "",
    role: Text = "",
    password: Password = "",
    confirm: Password = "",
) -> Response:
    """Let somebody sign in."""
    try:
        _take(request, who, confirm)
        with service.store.journal(who.name) as journal:
            accounts.add_user(journal, name.strip(), accounts.role_of(role), password)
    except RemendError as error:
        return _shown(request, service, who, error=error, typed=name)
    return see("/people")


@router.post("/users/{name}/role")
def set_role(
    request: Request, name: Name, service: Served, who: Admin, role: Text = "", confirm: Password = ""
) -> Response:
    """Give somebody another role; they sign in anew."""
    try:
        _take(request, who, confirm)
        with service.store.journal(who.name) as journal:
            accounts.set_role(journal, name, accounts.role_of(role))
    except RemendError as error:
        return _shown(request, service, who, error=error)
    return see("/people")


@router.post("/users/{name}/remove")
def remove_user(
    request: Request, name: Name, service: Served, who: Admin, again: Text = "", confirm: Password = ""
) -> Response:
    """Let somebody in no more; the name has to be typed."""
    try:
        _take(request, who, confirm)
        if again.strip() != name:
            raise BadInput(f"type {name} to remove this user")
        with service.store.journal(who.name) as journal:
            accounts.remove_user(journal, name)
    except RemendError as error:
        return _shown(request, service, who, error=error)
    return see("/people")


@router.post("/tokens")
def make_token(
    request: Request,
    service: Served,
    who: Viewer,
    label: Text = "",
    role: Text = "",
    days: Annotated[float, Form(gt=0, le=_LONGEST_H / 24, allow_inf_nan=False)] = 30.0,
    high_risk: Annotated[bool, Form()] = False,
    confirm: Password = "",
) -> Response:
    """Make a token for a program; it is shown this once."""
    scopes = (HIGH_RISK,) if high_risk else ()
    try:
        _take(request, who, confirm)
        require_own_scopes(who, scopes)
        if not label.strip():
            raise BadInput("a token needs a label that says which program has it")
        with service.store.journal(who.name) as journal:
            owner = accounts.user(journal.connection, who.name)
            assert owner is not None
            mine: User = replace(owner, role=min(owner.role, who.role, key=lambda each: each.rank))
            token = accounts.issue(
                journal,
                mine,
                kind="token",
                role=accounts.role_of(role),
                label=label.strip(),
                hours=24.0 * days,
                clock=service.clock,
                scopes=scopes,
            )
    except RemendError as error:
        return _shown(request, service, who, error=error)
    return _shown(request, service, who, token=token)


@router.post("/tokens/{pass_id}/revoke")
def revoke_token(request: Request, pass_id: Name, service: Served, who: Admin, confirm: Password = "") -> Response:
    """Let nobody in by a token any more."""
    try:
        _take(request, who, confirm)
        with service.store.journal(who.name) as journal:
            accounts.revoke(journal, pass_id)
    except RemendError as error:
        return _shown(request, service, who, error=error)
    return see("/people")


def _take(request: Request, who: Identity, password: str) -> None:
    """What stands here is done by who has just given the password.

    Raises:
        Refused: it is wrong, or missing.
    """
    require_confirmed(service_of(request), take_password(request, who, password))


def _shown(
    request: Request,
    service: Served,
    who: Identity,
    *,
    error: RemendError | None = None,
    typed: str = "",
    token: str = "",
) -> Response:
    now_ns = service.clock.wall_ns()
    with service.store.reading() as connection:
        users = accounts.users(connection) if who.may(Role.ADMIN) else ()
        tokens = accounts.passes(connection, "token") if who.may(Role.ADMIN) else ()
    return page(
        request,
        "people.html.jinja",
        status=HTTPStatus.OK if error is None else status_of(error),
        here="/people",
        users=[(user, moment(user.created_ns, now_ns)) for user in users],
        tokens=[(each, moment(each.expires_ns, now_ns)) for each in tokens if each.expires_ns > now_ns],
        roles=[role.value for role in Role if who.role.covers(role)],
        all_roles=[role.value for role in Role],
        why="" if error is None else str(error),
        typed=typed,
        token=token,
    )
