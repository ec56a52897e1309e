"""The API under `/api/v1`: what there is, what may be asked, and a stream of what happens."""

from __future__ import annotations

from fastapi import APIRouter

from remend.web.api import incidents, log, patches, patching, people, robots

PREFIX = "/api/v1"

router = APIRouter(prefix=PREFIX)
for room in (robots, incidents, patches, patching, people, log):
    router.include_router(room.router)
