"""Whether the service lives and can work, and its figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from core.errors import RemendError
from remend.service.freeze import frozen
from remend.web.identity import Served, Viewer
from remend.web.resources import robot_shown

router = APIRouter()


@router.get("/healthz", include_in_schema=False)
def is_alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", include_in_schema=False)
def is_ready(service: Served, response: Response) -> dict[str, str]:
    """The database answers, and can be written."""
    if service.read_only:
        response.status_code = 503
        return {"status": "read-only", "why": service.read_only}
    try:
        with service.store.reading() as connection:
            frozen(connection)
    except RemendError as error:
        response.status_code = 503
        return {"status": "not ready", "why": str(error)}
    return {"status": "ready"}


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request, service: Served, who: Viewer) -> Response:
    """Figures of this moment, per robot."""
    registry = CollectorRegistry()
    figures = {
        "remend_test_ratio": "Largest statistic over its threshold; 1 is an alarm.",
        "remend_telemetry_silent_seconds": "Seconds since the last telemetry.",
        "remend_telemetry_behind_seconds": "Telemetry that has arrived and was not looked at yet.",
        "remend_telemetry_lost_rows": "Rows of telemetry that nobody looked at, since the caretaker began.",
        "remend_candidate_share": "Share of the command that a candidate has.",
        "remend_missed_deadlines": "Missed deadlines since the last patch came.",
        "remend_false_alarms": "Alarms that ended by themselves unconfirmed, since the robot was learnt.",
        "remend_healthy_hours": "Hours without a confirmed alarm, since the robot was learnt.",
    }
    gauges = {name: Gauge(name, text, ["robot"], registry=registry) for name, text in figures.items()}
    starts = Gauge("remend_caretaker_starts", "Times that a caretaker was started.", ["robot"], registry=registry)
    for care in service.cares.values():
        shown = robot_shown(care)
        said = shown.false_alarms
        counted = (said.count, said.healthy_h) if said else (None, None)
        intake = (shown.silent_s, shown.behind_s, shown.lost_rows)
        values = (shown.test_ratio, *intake, shown.share, shown.missed_deadlines, *counted)
        for gauge, value in zip(gauges.values(), values, strict=True):
            if value is not None:
                gauge.labels(shown.robot_id).set(value)
        starts.labels(shown.robot_id).set(care.starts)
    with service.store.reading() as connection:
        is_frozen = frozen(connection) is not None
    Gauge("remend_patching_frozen", "1 while patching is frozen.", registry=registry).set(is_frozen)
    Gauge("remend_read_only", "1 while the database is damaged and nothing can be changed.", registry=registry).set(
        bool(service.read_only)
    )
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
