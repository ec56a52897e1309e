"""A version is read back as exactly the bytes that were committed, or not at all."""

from __future__ import annotations

import zlib
from pathlib import Path

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.signature import artefact_sha
from core.clock import ManualClock
from core.errors import BadInput, Conflict, Refused
from remend.versions import Versions, branch

BASE = {"law.py": b"tau[0] = kp[0]\n", "params.toml": b"kp = [1.0]\n"}
PATCHED = {**BASE, "params.toml": b"kp = [2.0]\n"}
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@pytest.fixture
def versions(home: Path, clock: ManualClock) -> Versions:
    return Versions.open(home, clock)


def test_history_tells_the_versions_newest_first(versions: Versions, clock: ManualClock) -> None:
    first = versions.commit("iiwa", BASE, None, "baseline", "service")
    clock.advance_s(5)
    second = versions.commit("iiwa", PATCHED, artefact_sha(BASE), "stiffer", "ada <a@b>")
    history = versions.history("iiwa")
    assert [(v.commit, v.artefact_sha, v.message) for v in history] == [
        (second, artefact_sha(PATCHED), "stiffer"),
        (first, artefact_sha(BASE), "baseline"),
    ]
    assert history[0].at_s - history[1].at_s == 5
    assert versions.history("other") == ()
    assert versions.read(artefact_sha(BASE)) == BASE


def test_repeated_commit_changes_nothing(versions: Versions) -> None:
    versions.commit("iiwa", BASE, None, "baseline", "service")
    made = versions.commit("iiwa", PATCHED, artefact_sha(BASE), "stiffer", "ada")
    assert versions.commit("iiwa", PATCHED, artefact_sha(BASE), "stiffer", "ada") == made
    assert len(versions.history("iiwa")) == 2


def test_commit_on_a_stale_parent_is_a_conflict(versions: Versions) -> None:
    with pytest.raises(Conflict, match="is none"):
        versions.commit("iiwa", PATCHED, artefact_sha(BASE), "stiffer", "ada")
    versions.commit("iiwa", BASE, None, "baseline", "service")
    for parent in (None, artefact_sha(PATCHED)):
        with pytest.raises(Conflict, match="the newest version"):
            versions.commit("iiwa", {"law.py": b""}, parent, "other", "ada")
    assert len(versions.history("iiwa")) == 1


def test_going_back_is_a_new_version_with_the_old_artefact(versions: Versions) -> None:
    versions.commit("iiwa", BASE, None, "baseline", "service")
    versions.commit("iiwa", PATCHED, artefact_sha(BASE), "stiffer", "ada")
    versions.commit("iiwa", BASE, artefact_sha(PATCHED), "rolled back", "robot")
    assert [v.artefact_sha for v in versions.history("iiwa")] == [artefact_sha(f) for f in (BASE, PATCHED, BASE)]


def test_diff_is_unified_and_names_the_lines(versions: Versions) -> None:
    base, result = versions.keep(BASE), versions.keep(PATCHED)
    diff = versions.diff(base, result)
    assert "--- a/params.toml\n+++ b/params.toml\n" in diff
    assert "\n-kp = [1.0]\n+kp = [2.0]\n" in diff
    assert "law.py" not in diff
    assert versions.diff(base, base) == ""
    binary = versions.keep({**BASE, "weights.safetensors": bytes(range(256))})
    assert "Binary files" in versions.diff(base, binary)
    assert "�" in versions.diff(base, versions.keep({**BASE, "params.toml": b"# caf\xe9\n"}))


def test_unknown_artefact_is_bad_input(versions: Versions) -> None:
    for sha in ("0" * 64, "../../heads", ""):
        with pytest.raises(BadInput, match="no controller version"):
            versions.read(sha)


@pytest.mark.parametrize("name", ["../law.py", "a/b", ".git", "", "law.py\n", "a b"])
def test_file_name_that_could_leave_its_folder_is_bad_input(versions: Versions, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be a file"):
        versions.keep({name: b""})


def test_artefact_without_files_is_bad_input(versions: Versions) -> None:
    with pytest.raises(BadInput, match="at least one file"):
        versions.keep({})


def loose(home: Path, data: bytes) -> Path:
    name = str(pygit2.hash(data))
    return home / "versions.git" / "objects" / name[:2] / name[2:]


@pytest.mark.parametrize("damage", ["cut", "garbage", "other bytes", "gone"])
def test_damaged_object_is_refused(home: Path, versions: Versions, damage: str) -> None:
    sha = versions.keep(PATCHED)
    path = loose(home, PATCHED["params.toml"])
    data = path.read_bytes()
    path.chmod(0o600)
    if damage == "gone":
        path.unlink()
    else:
        other = zlib.compress(b"blob 11\0kp = [9.0]\n")
        path.write_bytes({"cut": data[:8], "garbage": b"\0" * len(data), "other bytes": other}[damage])
    fresh = Versions.open(home)
    for ask in (lambda: fresh.read(sha), lambda: fresh.diff(sha, sha)):
        with pytest.raises(Refused, match="is damaged; restore"):
            ask()
    if damage != "gone":
        with pytest.raises(Refused):
            fresh.commit("iiwa", PATCHED, None, "on damaged ground", "ada")


def test_ref_to_another_artefact_is_refused(home: Path, versions: Versions) -> None:
    one, two = versions.keep(BASE), versions.keep(PATCHED)
    refs = home / "versions.git" / "refs" / "artefacts"
    (refs / one[:2] / one[2:]).write_bytes((refs / two[:2] / two[2:]).read_bytes())
    with pytest.raises(Refused, match="damaged"):
        Versions.open(home).read(one)


def test_lock_left_by_a_killed_process_does_not_block(home: Path, versions: Versions) -> None:
    versions.commit("iiwa", BASE, None, "baseline", "service")
    for name in (branch("iiwa"), f"refs/artefacts/{artefact_sha(PATCHED)[:2]}/{artefact_sha(PATCHED)[2:]}"):
        lock = home / "versions.git" / f"{name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_bytes(b"")
    versions.commit("iiwa", PATCHED, artefact_sha(BASE), "stiffer", "ada")
    assert versions.history("iiwa")[0].artefact_sha == artefact_sha(PATCHED)


def test_half_made_repository_of_a_killed_process_is_made_again(home: Path) -> None:
    (home / ".versions.git.tmp" / "objects").mkdir(parents=True)
    Versions.open(home).keep(BASE)
    assert [path.name for path in home.iterdir()] == ["versions.git"]


def test_folder_that_is_no_repository_is_bad_input(home: Path) -> None:
    (home / "versions.git").mkdir()
    with pytest.raises(BadInput, match="not a readable git repository"):
        Versions.open(home)


@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=6, unique=True))
def test_every_robot_has_a_branch_of_its_own_that_git_takes(robots: list[str]) -> None:
    branches = [branch(robot) for robot in robots]
    assert len(set(branches)) == len(robots)
    assert all(pygit2.reference_is_valid_name(name) for name in branches)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(names, st.binary(max_size=200), min_size=1, max_size=5))
def test_any_artefact_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    versions = Versions.open(tmp_path_factory.mktemp("home"))
    assert versions.read(versions.keep(files)) == files
