"""Incidents, and how people handle them."""

from __future__ import annotations

from pydantic import BaseModel

from core.records import Diagnosis
from remend import ledger, tables
from remend.service.handling import Handled, Handling, handle, handled
from remend.web.api.common import Before, Limit, Name, Page, Reason, routes
from remend.web.identity import Operator, Served, Viewer
from remend.web.resources import IncidentShown, IncidentWhole, incident_shown, incidents_shown

router = routes()


class HandlingAsked(BaseModel):
    """What is said of an incident."""

    handling: Handling
    note: Reason = ""


class Incidents(Page):
    """Incidents, newest first."""

    items: list[IncidentShown]


@router.get("/incidents")
def list_incidents(service: Served, who: Viewer, limit: Limit = 50, before: Before = None) -> Incidents:
    """Incidents, newest first."""
    with service.store.reading() as connection:
        names = ledger.newest(connection, tables.incidents, limit + 1, before)
        items = list(incidents_shown(connection, names[:limit]))
    return Incidents(items=items, next=names[limit - 1] if len(names) > limit else None)


@router.get("/incidents/{incident_id}")
def get_incident(incident_id: Name, service: Served, who: Viewer) -> IncidentWhole:
    """One incident with its diagnoses."""
    with service.store.reading() as connection:
        return IncidentWhole(
            summary=incident_shown(connection, incident_id),
            incident=ledger.incident(connection, incident_id),
            diagnoses=ledger.records(connection, tables.diagnoses, Diagnosis, incident_id=incident_id),
        )


@router.post("/incidents/{incident_id}/handling")
def handle_incident(incident_id: Name, asked: HandlingAsked, service: Served, who: Operator) -> Handled | None:
    """Acknowledge, mute, close or reopen an incident."""
    with service.store.journal(who.name) as journal:
        handle(journal, incident_id, asked.handling, asked.note)
        return handled(journal.connection, incident_id)
