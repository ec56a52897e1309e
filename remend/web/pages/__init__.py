"""The pages of the dashboard."""

from __future__ import annotations

from fastapi import APIRouter

from remend.web.pages import audit, deployment, freeze, inbox, incident, patch, people, robot, status

router = APIRouter()
for room in (inbox, patch, deployment, incident, robot, audit, people, status, freeze):
    router.include_router(room.router)
