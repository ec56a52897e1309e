"""The freeze: one press on every page. Thawing takes an admin."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from remend.service.freeze import freeze, thaw
from remend.web.confirmation import Password, require_confirmed
from remend.web.confirmation import confirm as take_password
from remend.web.identity import Admin, Served, Viewer
from remend.web.pages.forms import Text, Words, see
from remend.web.rendering import inside

router = APIRouter(prefix="/patching")


@router.post("/freeze")
def freeze_patching(service: Served, who: Viewer, reason: Words = "", back: Text = "/") -> Response:
    """Stop proposing, approving and promoting. Not an emergency stop."""
    with service.store.journal(who.name) as journal:
        freeze(journal, reason.strip())
    return see(inside(back))


@router.post("/thaw")
def thaw_patching(
    request: Request, service: Served, who: Admin, reason: Words = "", back: Text = "/", confirm: Password = ""
) -> Response:
    """Let patching go on."""
    require_confirmed(service, take_password(request, who, confirm))
    with service.store.journal(who.name) as journal:
        thaw(journal, reason.strip())
    return see(inside(back))
