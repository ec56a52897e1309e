"""The freeze."""

from __future__ import annotations

from pydantic import BaseModel

from remend.service.freeze import Freeze, freeze, frozen, thaw
from remend.web.api.common import Asked, routes
from remend.web.confirmation import ConfirmedAdmin
from remend.web.identity import Served, Viewer

router = routes()


class Patching(BaseModel):
    """Whether patching is frozen, and by whom; and whether anything can be changed at all."""

    frozen: Freeze | None
    read_only: str = ""  # why nothing can be changed; empty if it can


@router.get("/patching")
def get_patching(service: Served, who: Viewer) -> Patching:
    """Whether patching is frozen."""
    with service.store.reading() as connection:
        return Patching(frozen=frozen(connection), read_only=service.read_only)


@router.post("/patching/freeze")
def freeze_patching(asked: Asked, service: Served, who: Viewer) -> Patching:
    """Stop proposing, approving and promoting; anybody who is signed in may. Not an emergency stop."""
    with service.store.journal(who.name) as journal:
        freeze(journal, asked.reason)
        return Patching(frozen=frozen(journal.connection))


@router.post("/patching/thaw")
def thaw_patching(asked: Asked, service: Served, who: ConfirmedAdmin) -> Patching:
    """Let patching go on."""
    with service.store.journal(who.name) as journal:
        thaw(journal, asked.reason)
        return Patching(frozen=frozen(journal.connection))
