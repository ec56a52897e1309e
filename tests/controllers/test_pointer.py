"""What a robot boots, whatever is left on its disk: the committed controller, the one before, or the built-in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controllers import pointer as pointers
from controllers.artefact import Artefact
from controllers.pointer import CommitFolder, Pointer
from core.durable import write_atomically
from tests.controllers import candidates

BASELINE, FIRST, SECOND = (candidates.hold(name) for name in ("baseline", "first", "second"))
NOTHING = Pointer(committed=None, previous=None, version=0)
FILE = "committed.json"


def committed_to(folder: Path, committed: Artefact, previous: Artefact | None, version: int = 7) -> CommitFolder:
    disk = CommitFolder(folder)
    for artefact in filter(None, (previous, committed)):
        disk.keep(artefact)
    before = previous.sha256 if previous else None
    disk.write(Pointer(committed=committed.sha256, previous=before, version=version))
    return disk


def test_a_new_robot_runs_its_built_in_controller(tmp_path: Path) -> None:
    disk = CommitFolder(tmp_path / "disk" / "robot")
    assert disk.read() == NOTHING
    assert disk.boot(BASELINE) is BASELINE


def test_the_committed_controller_boots_bit_for_bit(tmp_path: Path) -> None:
    committed_to(tmp_path, SECOND, FIRST)
    again = CommitFolder(tmp_path)
    assert again.read() == Pointer(committed=SECOND.sha256, previous=FIRST.sha256, version=7)
    assert again.boot(BASELINE).files == SECOND.files


def test_what_was_kept_but_not_committed_never_boots(tmp_path: Path) -> None:
    disk = committed_to(tmp_path, FIRST, None)
    disk.keep(SECOND)
    assert disk.boot(BASELINE).sha256 == FIRST.sha256
    disk.write(NOTHING)
    assert disk.boot(BASELINE) is BASELINE


def _change(folder: Path, file: str) -> None:
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


def _clear(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _replace_by_files(folder: Path) -> None:
    _clear(folder)
    folder.rmdir()
    folder.write_bytes(b"not a folder")


def _other(folder: Path) -> None:
    for name, data in BASELINE.files.items():
        (folder / name).write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a flipped bit in the law": lambda folder: _change(folder, "law.py"),
    "a flipped bit in the parameters": lambda folder: _change(folder, "params.toml"),
    "a law cut short": lambda folder: (folder / "law.py").write_bytes(FIRST.files["law.py"][:40]) and None,
    "an empty manifest": lambda folder: (folder / "manifest.toml").write_bytes(b"") and None,
    "a missing file": lambda folder: (folder / "params.toml").unlink(),
    "a file too many": lambda folder: (folder / "weights.safetensors").write_bytes(b"w") and None,
    "no files": _clear,
    "no folder": _replace_by_files,
    "another controller": _other,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_controller_that_is_not_what_its_hash_says_does_not_boot(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    disk = committed_to(tmp_path, SECOND, FIRST)
    damage(tmp_path / SECOND.sha256)
    assert disk.load(SECOND.sha256) is None
    assert disk.boot(BASELINE).sha256 == FIRST.sha256
    damage(tmp_path / FIRST.sha256)
    assert disk.boot(BASELINE) is BASELINE


@pytest.mark.parametrize("again", [FIRST, SECOND], ids=["previous", "committed"])
def test_keeping_a_damaged_controller_again_mends_it(tmp_path: Path, again: Artefact) -> None:
    disk = committed_to(tmp_path, SECOND, FIRST)
    _change(tmp_path / again.sha256, "law.py")
    disk.keep(again)
    loaded = disk.load(again.sha256)
    assert loaded is not None
    assert loaded.files == again.files


def test_a_draft_left_by_a_kill_does_not_unseat_the_committed_controller(tmp_path: Path) -> None:
    disk = committed_to(tmp_path, SECOND, FIRST)
    for name in (".law.py.tmp", "law.py.new", "notes.txt"):
        (tmp_path / SECOND.sha256 / name).write_bytes(b"half a li")
    assert disk.boot(BASELINE).sha256 == SECOND.sha256


SHA = FIRST.sha256
DAMAGED_POINTERS = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b"7",
    b"null",
    b"{}",
    b"[" * 100_000,
    b'{"committed": null, "previous": null}',
    b'{"committed": null, "version": 3}',
    *(
        json.dumps(value).encode()
        for value in (
            {"committed": 5, "previous": None, "version": 3},
            {"committed": SHA, "previous": [], "version": 3},
            {"committed": SHA, "previous": None, "version": None},
            {"committed": SHA, "previous": None, "version": "x"},
            {"committed": SHA, "previous": None, "version": float("inf")},
            {"committed": SHA, "previous": None, "version": float("nan")},
            {"committed": SHA, "previous": None, "version": 2.5},
            {"committed": SHA, "previous": None, "version": True},
            {"committed": "..", "previous": None, "version": 3},
            {"committed": "a\0b", "previous": None, "version": 3},
            {"committed": "\ud800", "previous": None, "version": 3},
            {"committed": "a" * 5000, "previous": None, "version": 3},
            {"committed": SHA.upper(), "previous": None, "version": 3},
            {"committed": SHA + "\n", "previous": None, "version": 3},
        )
    ),
]


@pytest.mark.parametrize("data", DAMAGED_POINTERS, ids=lambda data: repr(data[:60]))
def test_a_damaged_pointer_means_the_built_in_controller(tmp_path: Path, data: bytes) -> None:
    disk = committed_to(tmp_path, FIRST, None)
    (tmp_path / FILE).write_bytes(data)
    assert disk.read() == NOTHING
    assert disk.boot(BASELINE) is BASELINE


def test_a_pointer_that_is_a_folder_means_the_built_in_controller(tmp_path: Path) -> None:
    disk = CommitFolder(tmp_path)
    (tmp_path / FILE).mkdir()
    assert disk.boot(BASELINE) is BASELINE


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 400), st.integers(0, 255))
def test_a_pointer_cut_short_or_garbled_boots_only_what_was_once_committed(tmp_path: Path, cut: int, mask: int) -> None:
    disk = committed_to(tmp_path, SECOND, FIRST)
    whole = (tmp_path / FILE).read_bytes()
    known = {BASELINE.sha256, FIRST.sha256, SECOND.sha256}
    (tmp_path / FILE).write_bytes(whole[:cut])
    assert disk.boot(BASELINE).sha256 in ({SECOND.sha256} if cut >= len(whole) else {BASELINE.sha256})
    at = cut % len(whole)
    (tmp_path / FILE).write_bytes(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :])
    assert disk.boot(BASELINE).sha256 in known


class Killed(BaseException):
    """The power went."""


def killing(at_write: int, moment: str) -> Callable[..., None]:
    """`write_atomically`, until the power goes in its call number `at_write`: before, in the middle of, or after it."""
    calls = iter(range(1, 10**6))

    def write(path: Path, data: bytes, **options: int) -> None:
        if next(calls) == at_write:
            draft = path.with_name(f".{path.name}.tmp")
            if moment == "half a draft":
                draft.write_bytes(data[: len(data) // 2])
            elif moment == "a whole draft":
                draft.write_bytes(data)
            elif moment == "done":
                write_atomically(path, data, **options)
            raise Killed
        write_atomically(path, data, **options)

    return write


class Witness:
    """What a boot may find at each moment of two patches, one after the other."""

    def __init__(self, disk: CommitFolder) -> None:
        self.disk, self.allowed, self.version = disk, {BASELINE.sha256}, 0

    def swap(self, before: Artefact, after: Artefact, version: int) -> None:
        self.disk.keep(before)
        self.disk.keep(after)
        pointer = self.disk.read()
        self.disk.write(Pointer(committed=pointer.committed, previous=pointer.previous, version=version))
        self.version = version
        self.allowed = {before.sha256, after.sha256}  # from here on the candidate has passed
        self.disk.write(Pointer(committed=after.sha256, previous=before.sha256, version=version))
        self.allowed = {after.sha256}

    def live(self) -> None:
        self.swap(BASELINE, FIRST, 1)
        self.swap(FIRST, SECOND, 2)


@pytest.mark.parametrize("moment", ["before", "half a draft", "a whole draft", "done"])
def test_a_kill_at_any_write_boots_what_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    writes = 3 + 3 + 1 + 1
    for at_write in range(1, 2 * writes + 1):
        folder = tmp_path / str(at_write)
        monkeypatch.setattr(pointers, "write_atomically", killing(at_write, moment))
        witness = Witness(CommitFolder(folder))
        with pytest.raises(Killed):
            witness.live()
        monkeypatch.setattr(pointers, "write_atomically", write_atomically)
        again = Witness(CommitFolder(folder))
        booted = again.disk.boot(BASELINE)
        assert booted.sha256 in witness.allowed, f"killed at write {at_write}"
        assert again.disk.read().version >= witness.version, "an old patch could be replayed"
        again.swap(booted, SECOND, 9)  # and the robot takes the next patch
        assert again.disk.boot(BASELINE).sha256 == SECOND.sha256
