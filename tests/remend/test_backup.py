"""A backup holds all that was decided, and a restore gives it back or nothing."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from core.clock import ManualClock
from core.errors import BadInput, Refused
from remend.audit import verify_home
from remend.backup import back_up, put_back
from remend.store import Store
from remend.versions import Versions


@pytest.fixture
def lived(tmp_path: Path, clock: ManualClock, samples: ModuleType) -> Path:
    """A home folder with a healing in it; its database is open while it is backed up."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with Store.open(home, clock) as store:
        samples.live_through(store, Versions.open(home, clock), 2, "1")
    folder = home / "incidents" / "inc_1"
    folder.mkdir(parents=True)
    (folder / "incident.mcap").write_bytes(b"telemetry")
    return home


def test_what_was_backed_up_comes_back_while_the_service_goes_on(
    lived: Path, tmp_path: Path, clock: ManualClock, samples: ModuleType
) -> None:
    with Store.open(lived, clock) as store:
        said = back_up(lived, tmp_path / "b.tar.gz")
        assert "private keys" in said
        store.add_incident(samples.incident("inc_later"))
    other = tmp_path / "other"
    assert "is intact" in put_back(tmp_path / "b.tar.gz", other)
    with Store.open(other, clock) as store, Store.open(lived, clock) as before:
        assert store.patches() == before.patches()
        assert [each.id for each in store.incidents()] == ["inc_1"]
        result = store.patches()[0].candidate.result_sha
    assert Versions.open(other, clock).read(result) == samples.artefact(2)
    assert (other / "incidents" / "inc_1" / "incident.mcap").read_bytes() == b"telemetry"
    assert {key.stat().st_mode & 0o777 for key in (other / "keys").glob("*.pem")} == {0o600}
    assert verify_home(other).ok


def test_an_archive_can_be_read_by_its_owner_alone(lived: Path, tmp_path: Path) -> None:
    back_up(lived, tmp_path / "b.tar.gz")
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o077 == 0


def test_a_folder_that_holds_something_is_left_alone(lived: Path, tmp_path: Path) -> None:
    back_up(lived, tmp_path / "b.tar.gz")
    with pytest.raises(BadInput, match="is not empty"):
        put_back(tmp_path / "b.tar.gz", lived)
    assert verify_home(lived).ok


def archive(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz") as made:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return file


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no archive"),
        (b"no gzip at all", "is no archive"),
        ({"something": b"else"}, "holds no remend.db"),
        ({"../evil": b"x"}, "is no archive that can be read"),
        ({"remend.db": b"not a database"}, "cannot be read"),
    ],
)
def test_what_is_no_backup_leaves_an_empty_folder(tmp_path: Path, content: object, why: str) -> None:
    file = tmp_path / "b.tar.gz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        archive(file, content)  # type: ignore[arg-type]
    home = tmp_path / "home"
    with pytest.raises(BadInput, match=why):
        put_back(file, home)
    assert list(home.iterdir()) == []
    assert not (tmp_path / "evil").exists()
    assert not list(tmp_path.glob(".home.*"))


def test_a_truncated_archive_is_refused(lived: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    back_up(lived, file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises((BadInput, Refused)):
        put_back(file, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_an_audit_log_that_was_edited_is_not_restored(lived: Path, tmp_path: Path) -> None:
    (lived / "audit.head").unlink()
    (lived / "audit.head").write_bytes(b"{}")
    back_up(lived, tmp_path / "b.tar.gz")
    with pytest.raises((BadInput, Refused), match="audit"):
        put_back(tmp_path / "b.tar.gz", tmp_path / "other")


@pytest.mark.parametrize("place", [".", "missing/b.tar.gz"])
def test_an_archive_that_cannot_be_written_is_said(lived: Path, tmp_path: Path, place: str) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        back_up(lived, tmp_path / place)


def test_there_has_to_be_something_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing is stored here yet"):
        back_up(tmp_path, tmp_path / "b.tar.gz")
