"""Who may sign in, and with what."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from fastapi import Request
from pydantic import BaseModel, Field

from core.errors import BadInput
from remend.service import accounts
from remend.service.accounts import Pass, Role, User
from remend.web.api.common import Name, routes
from remend.web.confirmation import ConfirmedAdmin, ConfirmedViewer, confirm, require_own_scopes
from remend.web.identity import Admin, Served, Viewer

router = routes()


class UserAsked(BaseModel):
    """Somebody who shall sign in."""

    name: str = Field(pattern=r"^[a-z][a-z0-9._-]{0,39}$", examples=["anna"])
    role: Role
    password: str = Field(min_length=accounts.MIN_PASSWORD, max_length=accounts.MAX_PASSWORD)


class TokenAsked(BaseModel):
    """A token for a program."""

    label: str = Field(max_length=80, examples=["nightly report"])
    role: Role
    hours: float = Field(ge=0.01, le=24 * 366, default=24 * 30)
    scopes: tuple[Literal["high_risk"], ...] = Field(
        default=(), description="high_risk: it may approve patches of high risk."
    )


class PasswordAgain(BaseModel):
    """The password of who is asking."""

    password: str = Field(max_length=accounts.MAX_PASSWORD)


class TokenMade(BaseModel):
    """A new token; it is shown this once."""

    token: str
    expires_ns: int


@router.get("/me")
def who_am_i(who: Viewer) -> dict[Literal["name", "role"], str]:
    """Who is asking."""
    return {"name": who.name, "role": who.role.value}


@router.post("/me/confirm", status_code=204)
def confirm_me(asked: PasswordAgain, request: Request, who: Viewer) -> None:
    """Give the password again, for what a session that was left open must not do."""
    if who.kind != "session":
        raise BadInput("a token has no password to give; make one with the scopes that it needs")
    if not asked.password:
        raise BadInput("the password is missing")
    confirm(request, who, asked.password)


@router.get("/users")
def list_users(service: Served, who: Admin) -> tuple[User, ...]:
    """Everybody who can sign in."""
    with service.store.reading() as connection:
        return accounts.users(connection)


@router.post("/users", status_code=201)
def add_user(asked: UserAsked, service: Served, who: ConfirmedAdmin) -> User:
    """Let somebody sign in."""
    with service.store.journal(who.name) as journal:
        return accounts.add_user(journal, asked.name, asked.role, asked.password)


@router.delete("/users/{name}", status_code=204)
def remove_user(name: Name, service: Served, who: ConfirmedAdmin) -> None:
    """Let somebody in no more."""
    with service.store.journal(who.name) as journal:
        accounts.remove_user(journal, name)


@router.get("/tokens")
def list_tokens(service: Served, who: Admin) -> tuple[Pass, ...]:
    """Tokens that are valid; not what they are, only whose and what for."""
    with service.store.reading() as connection:
        return accounts.passes(connection, "token")


@router.post("/tokens", status_code=201)
def make_token(asked: TokenAsked, service: Served, who: ConfirmedViewer) -> TokenMade:
    """Make a token for a program, with at most one's own role."""
    require_own_scopes(who, asked.scopes)
    with service.store.journal(who.name) as journal:
        owner = accounts.user(journal.connection, who.name)
        assert owner is not None
        owner = replace(owner, role=min(owner.role, who.role, key=lambda role: role.rank))
        token = accounts.issue(
            journal,
            owner,
            kind="token",
            role=asked.role,
            label=asked.label,
            hours=asked.hours,
            clock=service.clock,
            scopes=asked.scopes,
        )
        made = accounts.pass_of(journal.connection, token, service.clock.wall_ns())
    assert made is not None
    return TokenMade(token=token, expires_ns=made.expires_ns)


@router.delete("/tokens/{pass_id}", status_code=204)
def revoke_token(pass_id: Name, service: Served, who: ConfirmedAdmin) -> None:
    """Let nobody in by a token any more."""
    with service.store.journal(who.name) as journal:
        accounts.revoke(journal, pass_id)
