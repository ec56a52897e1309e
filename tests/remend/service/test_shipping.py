"""A database that was put back behind what a robot has kept is noticed, by the service and by `remend audit verify`."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from controllers.signature import TrustStore
from controllers.witness import FILE, keep_head, kept_head
from core.clock import ManualClock
from core.errors import SignatureInvalid
from remend import audit
from remend.audit import verify_home
from remend.cli import app
from remend.keys import KeyRing
from remend.service.shipping import Shipping
from remend.store import Store


class Robot:
    """What a host does with heads, in a folder elsewhere."""

    robot_id = "iiwa"

    def __init__(self, folder: Path, trust: TrustStore) -> None:
        self.folder, self._trust = folder, trust
        folder.mkdir()

    def keep_head(self, head: bytes) -> None:
        keep_head(self.folder, head, self._trust)

    @property
    def status(self) -> Any:
        return SimpleNamespace(audit_head=kept_head(self.folder))


@pytest.fixture
def robot(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Robot:
    (home / "robots" / "iiwa").mkdir(parents=True)
    return Robot(tmp_path_factory.mktemp("robot") / "folder", KeyRing.open(home).trust())


def shipped(store: Store, home: Path, robot: Robot) -> str:
    """Two turns: the first sends, the second sees what was kept."""
    shipping = Shipping(cast(Any, robot), store, home)
    shipping.turn(robot.status)
    return shipping.turn(robot.status)


def put_back(home: Path, aside: Path) -> None:
    """Everything of the service as it was, signed head included."""
    for file in ("remend.db", audit.FILE):
        shutil.copy2(aside / file, home / file)
    for rest in home.glob("remend.db-*"):
        rest.unlink()


@pytest.fixture
def rolled_back(home: Path, clock: ManualClock, samples: ModuleType, robot: Robot, tmp_path_factory: Any) -> Path:
    """A home whose robot has kept the head of rows that somebody has taken away since."""
    aside: Path = tmp_path_factory.mktemp("aside")
    with Store.open(home, clock, head_every_rows=1) as store:
        store.add_incident(samples.incident("inc_1"))
    for file in ("remend.db", audit.FILE):
        shutil.copy2(home / file, aside / file)
    with Store.open(home, clock, head_every_rows=1) as store:
        store.add_incident(samples.incident("inc_2"))
        assert shipped(store, home, robot) == ""
    put_back(home, aside)
    return home


def test_the_robot_has_the_newest_signed_head_and_the_home_a_copy(
    home: Path, clock: ManualClock, samples: ModuleType, robot: Robot
) -> None:
    with Store.open(home, clock, head_every_rows=1) as store:
        for number in range(3):
            store.add_incident(samples.incident(f"inc_{number}"))
            assert shipped(store, home, robot) == ""
            assert kept_head(robot.folder).encode() == (home / audit.FILE).read_bytes()
    assert (home / "robots" / "iiwa" / FILE).read_text() == kept_head(robot.folder)
    assert verify_home(home).ok


def test_a_service_notices_that_its_database_was_put_back(rolled_back: Path, clock: ManualClock, robot: Robot) -> None:
    (rolled_back / "robots" / "iiwa" / FILE).unlink()  # whoever puts things back takes that along
    with Store.open(rolled_back, clock) as store:
        why = shipped(store, rolled_back, robot)
    assert why.startswith("iiwa has kept another audit log: the log was cut: it ends at row 1")
    assert "row 2" in why
    assert (rolled_back / "robots" / "iiwa" / FILE).exists(), "and from here on verify knows it too"


def test_a_service_notices_that_its_log_was_written_anew(
    rolled_back: Path, clock: ManualClock, samples: ModuleType, robot: Robot
) -> None:
    before = kept_head(robot.folder)
    with Store.open(rolled_back, clock, head_every_rows=1) as store:
        for number in (7, 8, 9):
            store.add_incident(samples.incident(f"inc_{number}"))
        why = shipped(store, rolled_back, robot)
    assert "row 2 is not the one that was signed" in why
    assert kept_head(robot.folder) == before, "nothing is sent to a robot that objects"


@pytest.mark.parametrize("way", ["copy", "--head"])
def test_verify_notices_it_without_a_robot(
    rolled_back: Path, robot: Robot, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("REMEND_HOME", str(rolled_back))
    words = ["audit", "verify"]
    if way == "--head":
        (rolled_back / "robots" / "iiwa" / FILE).unlink()
        assert CliRunner().invoke(app, words).exit_code == 0, "database and head file alone fit together"
        words += ["--head", str(robot.folder / FILE)]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 1
    assert "audit log broken at row 2: the log was rolled back: it ends at row 1" in answer.output


def test_a_head_of_somebody_else_is_a_fault_and_nonsense_too(home: Path, clock: ManualClock, robot: Robot) -> None:
    Store.open(home, clock).close()
    for data, why in ((b"{}", "cannot be read"), (forged(), "not signed by the service's key")):
        verdict = verify_home(home, heads={"iiwa": data})
        assert not verdict.ok
        assert why in verdict.why
    with pytest.raises(SignatureInvalid):
        robot.keep_head(forged())


def forged() -> bytes:
    return audit.Head.signed(1, "f" * 64, Ed25519PrivateKey.generate()).to_json()
