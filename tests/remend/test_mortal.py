"""Killed at every step, once and for ever: no approval is lost, doubled or invented, and nothing unapproved runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from core.clock import SystemClock
from core.status import PatchStatus
from remend.database import FILE
from remend.service import opening

PROCESS = Path(__file__).with_name("mortal_process.py")
KILLED = -9
Live = Callable[[Path, str, int], int]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Lets a service live in a home folder; how it ended."""
    command = [sys.executable, str(PROCESS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def one(home: Path, kind: str, number: int) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{home} {kind} {number}\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            assert code in (0, KILLED), "it died of something else; standard error says what"
            return code

        yield one
        process.stdin.close()


def named(home: Path, what: str) -> set[str]:
    return {file.name.removeprefix(what) for file in home.glob(f"{what}*")}


def require_whole(home: Path) -> int:
    """Everything that must hold after a kill; how many patches were approved."""
    if not (home / FILE).exists():
        return 0
    with opening.open_or_read(home, SystemClock()) as store:  # reads and verifies everything
        assert store.read_only == "", "a kill damages nothing"
        patches = store.patches()
    approved = {patch.id for patch in patches if patch.approval is not None}
    assert named(home, "told-") <= approved, "an approval was lost"
    assert approved <= named(home, "asked-"), "an approval was invented"
    for patch in patches:
        times = [move.after for move in patch.moves].count(PatchStatus.APPROVED)
        assert times == (patch.id in approved), "an approval was doubled, or is half there"
    runs = (home / "robot").read_text() if (home / "robot").exists() else ""
    first = patches[0].candidate.base_sha if patches else runs
    assert runs in {first, *(patch.candidate.result_sha for patch in patches if patch.id in approved)}
    return len(approved)


def ended(home: Path) -> list[str]:
    """Statuses of a home whose last life came to its end."""
    with opening.open_or_read(home, SystemClock()) as store:
        patches = store.patches()
    running = [patch for patch in patches if patch.status is PatchStatus.ACTIVE]
    assert [patch.candidate.result_sha for patch in running] == [(home / "robot").read_text()]
    settled = {"active", "superseded", "rejected", "rolled_back"}
    statuses = [patch.status.value for patch in patches]
    assert set(statuses) <= settled, statuses
    return statuses


def points_of(live: Live, home: Path) -> int:
    home.mkdir()
    assert live(home, "step", 0) == 0
    assert ended(home) == ["active"]
    return int((home / "points").read_text())


@pytest.mark.parametrize("times", [1, 3], ids=["once", "for ever"])
def test_a_service_that_dies_at_any_step_is_taken_up(live: Live, tmp_path: Path, times: int) -> None:
    points = points_of(live, tmp_path / "whole")
    assert points >= 24, "before and after each of a dozen commits"
    for number in range(1, points + 1, 1 if times == 1 else 4):
        home = tmp_path / f"at-{number}"
        home.mkdir()
        codes = [live(home, "step", number) for _ in range(times)]
        assert codes[0] == KILLED
        require_whole(home)
        if codes[-1] == KILLED:  # else what was left to do had fewer steps
            assert live(home, "step", 0) == 0, number
        assert require_whole(home) >= 1
        ended(home)


def test_random_kills_lose_double_and_invent_nothing(live: Live, home: Path) -> None:
    rng = np.random.default_rng(1)
    approved = kills = 0
    for _ in range(15):
        kills += live(home, "call", int(rng.integers(20_000, 400_000))) == KILLED
        now = require_whole(home)
        assert now >= approved, "what was approved stays approved"
        approved = now
    assert kills > 5
    assert approved > 3
    assert live(home, "step", 0) == 0
    ended(home)
