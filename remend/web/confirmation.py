"""Whether who asks has shown the password just now: for what must not be done with a browser that somebody left open.

A session is confirmed by signing in, and again by the password. A token cannot be asked: what it was made for decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Form, Request

from core.errors import Refused
from remend.service import accounts
from remend.service.accounts import HIGH_RISK, Role
from remend.service.service import Service
from remend.web.attempts import Attempts
from remend.web.identity import Identity, needs, service_of

Password = Annotated[str, Form(max_length=accounts.MAX_PASSWORD + 1)]


def is_confirmed(service: Service, who: Identity) -> bool:
    """Whether the password was given a short while ago; who has a token has none to give."""
    if who.kind != "session":
        return True
    age_ns = service.clock.wall_ns() - who.confirmed_ns
    return 0 <= age_ns <= service.settings.confirm_minutes * 60e9


def may_approve_high_risk(service: Service, who: Identity) -> bool:
    """Whether a decision of high risk may be made now; a token has to be made for it."""
    return is_confirmed(service, who) and (who.kind == "session" or HIGH_RISK in who.scopes)


def confirm(request: Request, who: Identity, password: str) -> Identity:
    """Take the password that came along; an empty one says nothing.

    Raises:
        Refused: it is wrong.
        TooMany: it was tried too often.
    """
    if not password or who.kind != "session":
        return who
    service = service_of(request)
    attempts: Attempts = request.app.state.attempts
    attempts.count(request.client.host if request.client else "", who.name)
    with service.store.reading() as connection:
        accounts.check_password(connection, who.name, password)
    with service.store.journal(who.name) as journal:
        return replace(who, confirmed_ns=accounts.confirm(journal, who.pass_id))


def require_confirmed(service: Service, who: Identity) -> None:
    """Raises:
    Refused: the password has to be given again.
    """
    if not is_confirmed(service, who):
        raise Refused(f"give your password again; it counts for {service.settings.confirm_minutes:g} minutes")


def require_own_scopes(who: Identity, scopes: Sequence[str]) -> None:
    """Raises:
    Refused: a token asks for a token that may more than itself.
    """
    if who.kind != "session" and (more := set(scopes) - set(who.scopes)):
        raise Refused(f"a token without the scope {', '.join(sorted(more))} makes none that has it; sign in to make it")


def needs_confirmed(role: Role) -> Callable[[Request], Identity]:
    """A dependency: somebody with at least this role, who has shown the password just now."""
    allowed = needs(role)

    def check(request: Request) -> Identity:
        who = allowed(request)
        require_confirmed(service_of(request), who)
        return who

    check.needed_role = role  # type: ignore[attr-defined]  # see `needs`
    return check


ConfirmedViewer = Annotated[Identity, Depends(needs_confirmed(Role.VIEWER))]
ConfirmedAdmin = Annotated[Identity, Depends(needs_confirmed(Role.ADMIN))]
