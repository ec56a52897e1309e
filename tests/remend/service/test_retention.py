"""Telemetry goes first and is said to be gone; what a patch rests on, and every record, stays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from core.clock import ManualClock
from core.status import PatchStatus
from remend.audit import verify_home
from remend.service.retention import VERB, drop_telemetry, recordings, why_dropped
from remend.store import Store
from remend.store_settings import StoreSettings

DAY_NS = 86_400 * 10**9
SIZE = 10**6


def record(store: Store, name: str, age_days: float, now_ns: int) -> Path:
    folder = store.home / "incidents" / name
    folder.mkdir(parents=True)
    for file in ("incident.mcap", "around.rows"):
        (folder / file).write_bytes(bytes(SIZE // 2))
        at = now_ns - round(age_days * DAY_NS)
        os.utime(folder / file, ns=(at, at))
    return folder


@pytest.fixture
def filled(store: Store, clock: ManualClock, samples: ModuleType) -> Store:
    """Five incidents of five ages, one of them with a patch that waits."""
    for number in range(5):
        store.add_incident(samples.incident(f"inc_{number}"))
        record(store, f"inc_{number}", 10.0 * (5 - number), clock.wall_ns())
    return store


def left(store: Store) -> list[str]:
    return [each.folder.name for each in recordings(store.home)]


def test_what_is_too_old_goes(filled: Store, clock: ManualClock) -> None:
    assert drop_telemetry(filled, StoreSettings(telemetry_days=25.0), clock.wall_ns()) == 3
    assert left(filled) == ["inc_3", "inc_4"]
    with filled.reading() as connection:
        assert why_dropped(connection, "inc_0") == "it is older than 25 days"
        assert why_dropped(connection, "inc_4") == ""


def test_the_oldest_go_until_the_rest_has_room(filled: Store, clock: ManualClock) -> None:
    assert drop_telemetry(filled, StoreSettings(telemetry_mb=3), clock.wall_ns()) == 2
    assert left(filled) == ["inc_2", "inc_3", "inc_4"]
    assert drop_telemetry(filled, StoreSettings(telemetry_mb=3), clock.wall_ns()) == 0


def test_telemetry_makes_room_on_a_full_disk(
    filled: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk(path: Path) -> SimpleNamespace:
        return SimpleNamespace(free=(1 + 5 - len(left(filled))) * SIZE)

    monkeypatch.setattr(shutil, "disk_usage", disk)
    assert drop_telemetry(filled, StoreSettings(reserve_mb=4), clock.wall_ns()) == 3
    assert left(filled) == ["inc_3", "inc_4"]


@pytest.mark.parametrize("status", [PatchStatus.AWAITING_APPROVAL, PatchStatus.APPROVED, PatchStatus.REJECTED])
def test_what_a_patch_rests_on_stays(
    filled: Store, clock: ManualClock, samples: ModuleType, status: PatchStatus
) -> None:
    candidate = samples.candidate("pat_1", "inc_1")
    judged = samples.report(candidate)
    samples.await_approval(filled, candidate, judged)
    if status is PatchStatus.APPROVED:
        filled.decide(samples.decision(judged))
    if status is PatchStatus.REJECTED:
        filled.decide(samples.decision(judged, decision="reject"))
    drop_telemetry(filled, StoreSettings(telemetry_mb=0), clock.wall_ns())
    assert left(filled) == ([] if status is PatchStatus.REJECTED else ["inc_1"])


def test_an_incident_at_work_stays(filled: Store, clock: ManualClock) -> None:
    record(filled, "inc_now", 0.01, clock.wall_ns())
    drop_telemetry(filled, StoreSettings(telemetry_mb=0), clock.wall_ns())
    assert left(filled) == ["inc_now"]


def test_no_record_goes_and_the_log_says_what_did(filled: Store, clock: ManualClock) -> None:
    before = verify_home(filled.home).rows
    drop_telemetry(filled, StoreSettings(telemetry_mb=0), clock.wall_ns())
    verdict = verify_home(filled.home)
    assert verdict.ok
    assert verdict.rows == before + 5
    assert len(filled.incidents()) == 5
    assert filled.show("inc_0")["audit"][-1]["verb"] == VERB
