"""With a full disk everything can be read and nothing is decided; with room again work goes on where it was."""

from __future__ import annotations

from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import Unavailable
from core.status import PatchStatus
from remend.audit import verify_home
from remend.database import writing
from remend.service.accounts import Role
from remend.service.service import Service

API = "/api/v1"


def most_pages(service: Service, pages: int | None) -> None:
    """Let the database have so many pages and no more; None is as many as it has."""
    with writing(service.store._engine) as connection:
        if pages is None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_refuses_decisions_shows_everything_and_loses_nothing(
    signed: Any, service: Service, patch: Any, shown: dict[str, Any], clock: ManualClock
) -> None:
    most_pages(service, None)

    def fill() -> None:
        for _ in range(1000):
            service.store.add_note("pat_1", actor="test", verb="filling", payload={"with": "x" * 400})

    with pytest.raises(Unavailable, match="full"):
        fill()
    rows = verify_home(service.home).rows
    operator = signed(Role.OPERATOR)
    refused = operator.post(f"{API}/patches/pat_1/approve", json=shown)
    assert refused.status_code == 503
    assert "full" in refused.json()["detail"]
    assert service.store.patch("pat_1").status is PatchStatus.AWAITING_APPROVAL
    assert service.store.patch("pat_1").approval is None
    assert operator.get(f"{API}/patches/pat_1").status_code == 200
    assert operator.get("/healthz").status_code == 200
    verdict = verify_home(service.home)
    assert (verdict.ok, verdict.rows) == (True, rows)

    most_pages(service, 1_000_000)
    assert operator.post(f"{API}/patches/pat_1/approve", json=shown).status_code == 201
    assert verify_home(service.home).ok
