"""A damaged database is set aside as it is; what is left of it can be read, and nothing can be changed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from starlette.testclient import TestClient

from core.clock import ManualClock
from core.errors import Damaged, Unavailable
from core.status import PatchStatus
from remend.audit import verify_home
from remend.backup import back_up, put_back
from remend.service import accounts
from remend.service.accounts import Role
from remend.service.robots import RobotEntry
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.store import Store
from remend.web.app import create_app

PASSWORD = "correct horse battery"  # noqa: S105 of a test
ENTRY = RobotEntry(robot_id="iiwa", model="iiwa", link="sim", fault="none", seed=1, at_ns=1)
PAGE = 4096


@pytest.fixture
def lived(tmp_path: Path, clock: ManualClock, samples: ModuleType) -> Path:
    """A home with users, many incidents and a decision, closed."""
    home = tmp_path / "home"
    service = Service(home, ServiceSettings(), (ENTRY,), clock=clock)
    with service.store.journal("test") as journal:
        accounts.add_user(journal, "anna", Role.ADMIN, PASSWORD)
    judged = samples.report(samples.candidate())
    service.store.add_incident(samples.incident())
    samples.await_approval(service.store, samples.candidate(), judged)
    service.store.decide(samples.decision(judged))
    for number in range(60):
        service.store.add_incident(samples.incident(f"inc_x{number}"))
    service.store.close()
    return home


@contextmanager
def served(home: Path, clock: ManualClock) -> Iterator[tuple[Service, TestClient]]:
    service = Service(home, ServiceSettings(), clock=clock)
    try:
        browser = {"sec-fetch-site": "same-origin"}
        with TestClient(create_app(service), headers=browser, base_url="http://127.0.0.1") as client:
            yield service, client
    finally:
        end(service)


def end(service: Service) -> None:
    """Close a service whose robots nobody has looked after."""
    if service.read_only:
        service.close()
    else:
        service.store.close()


def flip(file: Path, first: int, last: int) -> None:
    """Bytes of the pages `first` to `last` are other ones."""
    data = bytearray(file.read_bytes())
    data[first * PAGE : last * PAGE] = bytes(0xA5 for _ in data[first * PAGE : last * PAGE])
    file.write_bytes(data)


def broken(home: Path) -> list[str]:
    return sorted(path.name for path in home.glob("remend.db*"))


def test_a_service_whose_database_is_damaged_shows_what_is_left_and_changes_nothing(
    lived: Path, clock: ManualClock
) -> None:
    size = (lived / "remend.db").stat().st_size // PAGE
    flip(lived / "remend.db", size - 3, size)
    damaged = (lived / "remend.db").read_bytes()
    for start in range(2):  # the second start finds it set aside
        with served(lived, clock) as (service, client):
            assert "damaged" in service.read_only
            (name,) = broken(lived)
            assert name.startswith("remend.db.broken-2027")
            assert (lived / name).read_bytes() == damaged, "it is kept as it was found"
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "read-only")
            assert client.get("/healthz").status_code == 200
            assert "Read-only" in client.get("/sign-in").text
            page = client.post("/sign-in", data={"name": "anna", "password": PASSWORD})
            assert page.status_code == 200, start
            assert "Read-only" in page.text
            assert "remend restore" in page.text
            for path in ("/", "/incidents", "/robots", "/robots/iiwa", "/learning", "/audit", "/status"):
                assert client.get(path).status_code == 200, path
            assert client.get("/api/v1/patching").json()["read_only"] == service.read_only
            answer = client.post("/api/v1/patching/freeze", json={"reason": "?"})
            assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
            assert "remend restore" in answer.json()["detail"]
            assert client.post("/patching/freeze", data={"back": "/"}).status_code == 503
            assert service.care("iiwa").starts == 0
    assert not list(lived.glob("salvaged*"))


def test_every_other_command_says_that_the_database_is_set_aside(lived: Path, clock: ManualClock) -> None:
    flip(lived / "remend.db", 3, 6)
    end(Service(lived, ServiceSettings(), clock=clock))
    with pytest.raises(Damaged, match=r"set aside as remend\.db\.broken-.*remend restore"):
        Store.open(lived, clock)
    assert not (lived / "remend.db").exists(), "an empty one must not take its place"


def test_a_restored_backup_is_worked_with_again(lived: Path, tmp_path: Path, clock: ManualClock) -> None:
    back_up(lived, tmp_path / "backup.tar.gz")
    flip(lived / "remend.db", 0, 1)
    end(Service(lived, ServiceSettings(), clock=clock))
    lived.rename(tmp_path / "away")
    put_back(tmp_path / "backup.tar.gz", lived)
    with served(lived, clock) as (service, client):
        assert service.read_only == ""
        assert client.get("/readyz").json() == {"status": "ready"}
        assert service.store.patch("pat_1").status is PatchStatus.APPROVED


@pytest.mark.parametrize("seed", range(6))
def test_whatever_page_is_damaged_no_decision_is_invented(lived: Path, clock: ManualClock, seed: int) -> None:
    file = lived / "remend.db"
    rng = np.random.default_rng(seed)
    data = bytearray(file.read_bytes())
    page = int(rng.integers(0, len(data) // PAGE)) if seed else 0
    data[page * PAGE : (page + 1) * PAGE] = rng.bytes(PAGE)
    file.write_bytes(data)
    try:
        service = Service(lived, ServiceSettings(), clock=clock)
    except Exception as error:
        raise AssertionError(f"page {page}") from error
    try:
        assert service.read_only, f"page {page}"
        patches = service.store.patches()
        assert [patch.id for patch in patches] in ([], ["pat_1"])
        assert all(patch.approval is None or patch.approval.actor == "ada" for patch in patches)
        with pytest.raises(Unavailable, match="nothing can be changed now"):
            service.store.add_note("x", actor="ada", verb="freeze")
    finally:
        service.close()


def test_one_changed_letter_of_a_record_is_found_at_the_start(lived: Path, clock: ManualClock) -> None:
    file = lived / "remend.db"
    data = file.read_bytes()
    where = data.index(b'{"actor":"ada","at_ns"')
    file.write_bytes(data[:where] + data[where:].replace(b"ada", b"eve", 1))
    service = Service(lived, ServiceSettings(), clock=clock)
    assert "a record in approvals was edited" in service.read_only
    assert service.store.patch("pat_1").approval is None, "what is not what was written is not shown"
    end(service)


@pytest.mark.parametrize("left", [0.0, 0.4, 0.9])
def test_a_cut_log_is_found_if_a_decision_was_in_it(
    lived: Path, tmp_path: Path, clock: ManualClock, samples: ModuleType, left: float
) -> None:
    with Store.open(lived, clock) as store:
        candidate = samples.candidate("pat_2")
        judged = samples.report(candidate, "rep_2")
        samples.await_approval(store, candidate, judged)
        with closing(sqlite3.connect(lived / "remend.db")) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.decide(samples.decision(judged, "app_2"))
        other = tmp_path / "other"
        other.mkdir()
        for name in ("remend.db", "remend.db-wal", "audit.head"):  # as a killed process leaves it
            (other / name).write_bytes((lived / name).read_bytes())
        shutil.copytree(lived / "keys", other / "keys")
        log = (other / "remend.db-wal").read_bytes()
        (other / "remend.db-wal").write_bytes(log[: int(left * len(log))])
    service = Service(other, ServiceSettings(), clock=clock)
    try:
        assert "the log was cut" in service.read_only
        patch = service.store.patch("pat_2")
        assert patch.status is PatchStatus.AWAITING_APPROVAL
        assert patch.approval is None, "half a decision is none"
    finally:
        service.close()


def test_a_log_that_is_whole_counts(lived: Path, tmp_path: Path, clock: ManualClock, samples: ModuleType) -> None:
    with Store.open(lived, clock) as store:
        store.add_incident(samples.incident("inc_late"))
        other = Path(shutil.copytree(lived, tmp_path / "other"))
    with Store.open(other, clock) as store:
        assert store.incident("inc_late")
    assert verify_home(other).ok
