"""The doors: first set-up, signing in, signing out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from core.errors import BadInput, Refused
from remend.service import accounts
from remend.service.accounts import User
from remend.service.service import Service
from remend.web.attempts import Attempts
from remend.web.identity import COOKIE, Served, Viewer, known
from remend.web.rendering import inside, page

router = APIRouter()

Text = Annotated[str, Form(max_length=accounts.MAX_PASSWORD)]
_SEE = HTTPStatus.SEE_OTHER


def door(request: Request) -> str:
    """Where somebody goes who has to sign in, to come back afterwards."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/sign-in?next={quote(path, safe='')}" if request.method == "GET" and path != "/" else "/sign-in"


@router.get("/sign-in")
def show_sign_in(request: Request, service: Served, next: str = "/") -> Response:
    """Ask for name and password."""
    if known(request) is not None:
        return RedirectResponse(inside(next), status_code=_SEE)
    return page(
        request, "sign_in.html.jinja", next=inside(next), name="", why="", unset=service.setup_token is not None
    )


@router.post("/sign-in")
def sign_in(request: Request, service: Served, name: Text, password: Text, next: Text = "/") -> Response:
    """Let somebody in."""
    attempts: Attempts = request.app.state.attempts
    attempts.count(request.client.host if request.client else "", name)
    try:
        with service.store.reading() as connection:
            user = accounts.check_password(connection, name, password)
    except Refused as error:
        return page(
            request,
            "sign_in.html.jinja",
            status=HTTPStatus.FORBIDDEN,
            next=inside(next),
            name=name,
            why=str(error),
            unset=service.setup_token is not None,
        )
    return _let_in(request, service, user, inside(next))


@router.post("/sign-out")
def sign_out(service: Served, who: Viewer) -> Response:
    """Forget the session."""
    with service.store.journal(who.name, fleeting=True) as journal:
        accounts.revoke(journal, who.pass_id)
    answer = RedirectResponse("/sign-in", status_code=_SEE)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/setup")
def show_setup(request: Request, token: str = "") -> Response:
    """Ask for the first user."""
    return page(request, "setup.html.jinja", token=token, name="", why="")


@router.post("/setup")
def set_up(request: Request, service: Served, token: Text, name: Text, password: Text) -> Response:
    """Make the first user and let them in."""
    try:
        user = service.set_up(token, name, password)
    except BadInput as error:
        return page(request, "setup.html.jinja", status=HTTPStatus.BAD_REQUEST, token=token, name=name, why=str(error))
    return _let_in(request, service, user, "/")


def _let_in(request: Request, service: Service, user: User, path: str) -> Response:
    hours = service.settings.session_hours
    with service.store.journal(user.name, fleeting=True) as journal:
        secret = accounts.issue(
            journal, user, kind="session", role=user.role, label="browser", hours=hours, clock=service.clock
        )
    answer = RedirectResponse(path, status_code=_SEE)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=round(hours * 3600),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer
