"""Who is asking: a browser by its session cookie, a program by its bearer token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NoReturn

from fastapi import Depends, Request

from remend.service.accounts import Role, pass_of
from remend.service.service import Service

COOKIE = "remend_session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who was let in."""

    name: str
    role: Role
    pass_id: str
    kind: str  # "session" or "token"
    confirmed_ns: int  # UTC: when the password was given last
    scopes: tuple[str, ...] = ()  # what a token may besides

    def may(self, role: Role) -> bool:
        """Whether this role is enough."""
        return self.role.covers(role)


class SignedOut(Exception):  # noqa: N818 it says what is the matter
    """Nobody has signed in, or no more."""


class NotAllowed(Exception):  # noqa: N818
    """Somebody has signed in who may not do this."""

    def __init__(self, identity: Identity, needed: Role) -> None:
        super().__init__(f"{identity.name} is {identity.role.value}; this takes {needed.value}")


def service_of(request: Request) -> Service:
    """The service that answers."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def known(request: Request) -> Identity | None:
    """Who is asking; None for nobody."""
    service = service_of(request)
    secret = bearer(request) or request.cookies.get(COOKIE)
    if not secret:
        return None
    with service.store.reading() as connection:
        found = pass_of(connection, secret, service.clock.wall_ns())
    if found is None or (found.kind == "session") != (bearer(request) is None):
        return None  # a cookie is no token and a token no cookie
    return Identity(
        name=found.user,
        role=found.role,
        pass_id=found.id,
        kind=found.kind,
        confirmed_ns=found.confirmed_ns,
        scopes=found.scopes,
    )


def bearer(request: Request) -> str | None:
    """The token of a program."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def needs(role: Role) -> Callable[[Request], Identity]:
    """A dependency: somebody with at least this role."""

    def check(request: Request) -> Identity:
        identity = known(request)
        if identity is None:
            _sign_in()
        if not identity.may(role):
            raise NotAllowed(identity, role)
        return identity

    check.needed_role = role  # type: ignore[attr-defined]  # the table of routes and roles is made from it
    return check


def _sign_in() -> NoReturn:
    raise SignedOut("sign in first")


Served = Annotated[Service, Depends(service_of)]
Viewer = Annotated[Identity, Depends(needs(Role.VIEWER))]
Operator = Annotated[Identity, Depends(needs(Role.OPERATOR))]
Admin = Annotated[Identity, Depends(needs(Role.ADMIN))]
