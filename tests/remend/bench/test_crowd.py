"""A crowded home is a whole one: its chain verifies, and every page of its inbox leads on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from core.clock import ManualClock
from remend import ledger, tables
from remend.audit import verify_home
from remend.bench import dashboard
from remend.bench.crowd import multiply
from remend.bench.run import NAMES
from remend.service.freeze import freeze
from remend.service.handling import Handling, handle
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.store import Store
from remend.web.views.inbox import ROWS, inbox_page
from telemetry.incidents import Severity


def lived(home: Path, clock: ManualClock, samples: ModuleType) -> None:
    """One incident that waits for a decision, one without a patch, one that is closed."""
    with Store.open(home, clock) as store:
        store.add_occurrence(samples.incident("inc_1"), Severity.DEGRADED)
        store.add_diagnosis(samples.diagnosis("inc_1"))
        candidate = samples.candidate("pat_1", "inc_1")
        samples.await_approval(store, candidate, samples.report(candidate))
        for name in ("inc_2", "inc_3"):
            incident = samples.incident(name)
            event = replace(incident.event, channel=f"{name}.travel")  # another trouble, or it is the same incident
            store.add_occurrence(replace(incident, event=event), Severity.UNSAFE)
        with store.journal("otto") as journal:
            handle(journal, "inc_3", Handling.CLOSED, "a loose cable")


def test_a_copy_is_a_home_like_any_other(home: Path, clock: ManualClock, samples: ModuleType) -> None:
    lived(home, clock, samples)
    rows = multiply(home, 30)
    assert verify_home(home).ok
    with Store.open(home, clock) as store:
        assert store.patch("pat_1_c9").candidate.incident_id == "inc_1_c9"
        assert store.patch("pat_1_c9").report is not None
        with store.reading() as connection:
            assert len(ledger.newest(connection, tables.incidents, 100)) == 30
        with store.journal("vera") as journal:  # it goes on where the copies end
            freeze(journal, "visitors")
    with Store.open(home, clock) as store:
        assert verify_home(home).rows > rows
    assert verify_home(home).ok


def test_the_pages_of_an_inbox_hold_everything_once_in_order(
    home: Path, clock: ManualClock, samples: ModuleType
) -> None:
    lived(home, clock, samples)
    multiply(home, 3 * ROWS)
    service = Service(home, ServiceSettings(), clock=clock)
    try:
        with service.store.reading() as connection:
            pages = [inbox_page(service, connection, "", number) for number in (1, 2, 3)]
            decisions = inbox_page(service, connection, "decisions", 99)
    finally:
        service.store.close()
    assert {count.kind: count.number for count in pages[0].counts} == {
        "decisions": ROWS,
        "incidents": ROWS,  # and none of those that are closed
        "trials": 0,
        "robots": 0,
    }
    assert [(page.number, page.pages) for page in pages] == [(1, 2), (2, 2), (2, 2)]
    items = [item for page in pages[:2] for item in page.items]
    assert len({item.href for item in items}) == 2 * ROWS
    assert {item.pills[0].word for item in items[:ROWS]} == {"unsafe"}
    assert {item.kind for item in items[ROWS:]} == {"decisions"}
    assert (decisions.number, decisions.pages, len(decisions.items)) == (1, 1, ROWS)


def test_a_page_that_cannot_be_measured_says_why(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    assert "dashboard" in NAMES
    monkeypatch.setattr(dashboard.shutil, "which", lambda name: None)
    (row,) = dashboard.run(quick=True)
    assert not row.met
    assert "chromium" in (row.note or "")
