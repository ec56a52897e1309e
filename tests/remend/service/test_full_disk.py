"""On a full disk nothing is half done, nothing is done twice, and one sentence says what to do.

No file may grow beyond a limit meanwhile (RLIMIT_FSIZE): to a program that is a disk without room at that very byte.
"""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from starlette.testclient import TestClient

from core.clock import ManualClock
from core.errors import Unavailable
from core.status import PatchStatus
from remend.audit import verify_home
from remend.disk import no_room
from remend.service import accounts
from remend.service.accounts import Role
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.store import Store
from remend.versions import Versions
from remend.web.app import create_app

PASSWORD = "correct horse battery"  # noqa: S105 of a test


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def largest(home: Path) -> int:
    return max(file.stat().st_size for file in home.glob("remend.db*"))


@pytest.mark.parametrize("room", [0, 100, 4096, 4120, 10_000, 20_600, 33_000, 50_000, 60_000, 10**6])
def test_a_decision_is_made_whole_or_not_at_all(home: Path, clock: ManualClock, samples: ModuleType, room: int) -> None:
    judged = samples.report(samples.candidate())
    with Store.open(home, clock) as store:
        store.add_incident(samples.incident())
        samples.await_approval(store, samples.candidate(), judged)
        with files_up_to(largest(home) + room):
            try:
                store.decide(samples.decision(judged))
                said = ""
            except Unavailable as error:
                said = str(error)
            refused = bool(said)
            patch = store.patch("pat_1")
        assert (patch.status is PatchStatus.AWAITING_APPROVAL) is refused
        assert (patch.approval is None) is refused
        if refused:
            store.decide(samples.decision(judged))
        assert [move.after for move in store.patch("pat_1").moves].count(PatchStatus.APPROVED) == 1
    assert verify_home(home).ok
    assert refused == ("free the disk" in said)
    assert refused is (room < 10_000) or 10_000 <= room < 10**6, "some rooms are too small, and some are not"


def test_a_store_that_cannot_be_made_says_so_and_is_made_later(home: Path, clock: ManualClock) -> None:
    with files_up_to(2000), pytest.raises((Unavailable, OSError)) as caught:
        Store.open(home, clock)
    full = caught.value if isinstance(caught.value, Unavailable) else no_room(caught.value)
    assert full is not None
    assert "free the disk" in str(full)
    Store.open(home, clock).close()
    assert verify_home(home).ok


def test_the_service_answers_503_and_reads_on(home: Path, clock: ManualClock, samples: ModuleType) -> None:
    service = Service(home, ServiceSettings(), clock=clock)
    with service.store.journal("test") as journal:
        anna = accounts.add_user(journal, "anna", Role.ADMIN, PASSWORD)
        token = accounts.issue(journal, anna, kind="token", role=Role.ADMIN, label="t", hours=9.0, clock=clock)
    versions = Versions.open(home, clock)
    base, result = versions.keep(samples.BASE), versions.keep(samples.artefact(1))
    candidate = samples.candidate(base_sha=base, result_sha=result)
    judged = samples.report(candidate)
    service.store.add_incident(samples.incident(base_sha=base))
    samples.await_approval(service.store, candidate, judged)
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_app(service), headers=headers, base_url="http://127.0.0.1") as client:
        wish = {
            "base_sha": judged.base_sha,
            "result_sha": judged.result_sha,
            "report_sha": judged.sha256,
            "reason": "agreed",
            "robot_name": "iiwa",
        }
        with files_up_to(largest(home)):
            for _ in range(2):
                answer = client.post("/api/v1/patches/pat_1/approve", json=wish)
                assert answer.status_code == 503, answer.json()
                assert "free the disk, then ask again: nothing was done" in answer.json()["detail"]
            assert client.get("/api/v1/patches/pat_1").json()["summary"]["status"] == "awaiting_approval"
            assert client.get("/patches/pat_1").status_code == 200
        assert client.post("/api/v1/patches/pat_1/approve", json=wish).status_code == 201
        assert client.get("/api/v1/patches/pat_1").json()["summary"]["status"] == "approved"
    service.store.close()
    assert verify_home(home).ok


def test_only_a_lack_of_room_is_one() -> None:
    full = no_room(OSError(errno.ENOSPC, "No space left on device", "/x"))
    assert (
        str(full) == "/x cannot be written (No space left on device); free the disk, then ask again: nothing was done"
    )
    assert no_room(OSError(errno.EACCES, "Permission denied", "/x")) is None
