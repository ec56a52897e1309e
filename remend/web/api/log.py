"""The audit log, and the stream of what is added to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from remend import ledger
from remend.service.service import Service
from remend.web.api.common import Limit, routes
from remend.web.identity import Served, Viewer

router = routes()


class AuditRow(BaseModel):
    """One row of the audit log."""

    seq: int
    at_ns: int
    actor: str
    verb: str
    subject: str
    sha256: str


@router.get("/audit")
def list_audit(
    service: Served,
    who: Viewer,
    limit: Limit = 100,
    before_seq: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    actor: Annotated[str | None, Query(max_length=80)] = None,
    verb: Annotated[str | None, Query(max_length=80)] = None,
    subject: Annotated[str | None, Query(max_length=80)] = None,
) -> list[AuditRow]:
    """Rows of the audit log, newest first."""
    with service.store.reading() as connection:
        rows = ledger.audit_rows(connection, limit, before_seq, actor=actor, verb=verb, subject=subject)
        return [_shown(row) for row in rows]


_LOOK_S = 0.5  # how often the log is read while somebody listens
_HEARTBEAT_S = 15.0  # a listener that hears less often has lost the line


@router.get("/events", response_class=EventSourceResponse)
async def listen(
    request: Request,
    service: Served,
    who: Viewer,
    last_event_id: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=2**53)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """What is added to the audit log, as server-sent events: names and ids, never content.

    `id` is the row's number, `event` its verb, `data` its subject. Whoever comes back with the number of the last row
    misses nothing. An event `progress` has no number: the caretaker of the robot in `data` has come further. The stream
    ends when the service stops or the caller may look no more.
    """
    seq = last_event_id if last_event_id is not None else (await asyncio.to_thread(_last, service))
    quiet_s, steps = 0.0, _steps(service)
    yield ServerSentEvent(event="hello", raw_data=str(seq), id=str(seq), retry=2000)
    while not await request.is_disconnected() and not request.app.state.stopping.is_set():
        rows = await asyncio.to_thread(_after, service, seq)
        for row in rows:
            seq = row.seq
            yield ServerSentEvent(event=row.verb, raw_data=row.subject, id=str(seq))
        before, steps = steps, _steps(service)
        for robot_id in steps:
            if steps[robot_id] != before.get(robot_id):
                yield ServerSentEvent(event="progress", raw_data=robot_id)
        quiet_s = 0.0 if rows else quiet_s + _LOOK_S
        if quiet_s >= _HEARTBEAT_S:
            quiet_s = 0.0
            yield ServerSentEvent(event="heartbeat", raw_data=str(seq))
        await asyncio.sleep(_LOOK_S)


def _steps(service: Service) -> dict[str, int]:
    """How often each caretaker has said what it does."""
    return {robot_id: care.board.steps for robot_id, care in list(service.cares.items())}


def _last(service: Service) -> int:
    with service.store.reading() as connection:
        rows = ledger.audit_rows(connection, 1)
    return int(rows[0]["seq"]) if rows else 0


def _after(service: Service, seq: int) -> list[AuditRow]:
    with service.store.reading() as connection:
        rows = ledger.audit_after(connection, seq)
    return [_shown(row) for row in rows]


def _shown(row: dict[str, object]) -> AuditRow:
    return AuditRow.model_validate({name: row[name] for name in AuditRow.model_fields})
