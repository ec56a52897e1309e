"""Killed at any moment, the home folder is consistent; raced by two processes, one of them wins."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.errors import BadInput
from core.status import PatchStatus
from remend import audit
from remend.audit import verify_home
from remend.home import exclusive
from remend.store import Store
from remend.versions import Versions

PROCESS = Path(__file__).with_name("living_process.py")


def start(role: str, home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROCESS), role, str(home), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def require_consistent(home: Path) -> int:
    """Everything that must hold after a kill; returns how many patches were approved."""
    if (home / "remend.db").exists():
        try:
            verdict = verify_home(home)
        except BadInput as error:
            if "has no tables" not in str(error):  # that is what a kill before the first transaction leaves
                raise
        else:
            assert verdict.ok, verdict.why
            assert audit.Head.from_json((home / audit.FILE).read_bytes()).seq <= verdict.rows
    versions = Versions.open(home)
    with Store.open(home) as store:
        patches = store.patches()
        for incident in store.incidents():
            assert versions.read(incident.controller_sha)
        for patch in patches:
            assert versions.read(patch.candidate.base_sha)
            assert versions.read(patch.candidate.result_sha)
            verbs = [row["verb"] for row in store.show(patch.id)["audit"]]
            approved = patch.status is PatchStatus.APPROVED
            assert approved == (patch.approval is not None) == ("approve" in verbs) == ("approved" in verbs)
            assert not patch.outcomes or approved
        for version in versions.history("iiwa"):
            assert versions.read(version.artefact_sha)
    assert verify_home(home).ok
    return sum(patch.status is PatchStatus.APPROVED for patch in patches)


def live_until_killed(home: Path, tag: str, *, calls: int, after_s: float) -> None:
    with start("live", home, tag, str(calls)) as process:
        try:
            assert line(process) == "ready"
            process.wait(timeout=30 if calls else after_s)
        except subprocess.TimeoutExpired:
            assert not calls, "the process outlived its own death"
        finally:
            process.kill()
    assert process.returncode == -9


def test_home_survives_kills_from_outside(home: Path) -> None:
    rng = np.random.default_rng(1)
    approved = 0
    for kill in range(9):
        live_until_killed(home, f"out{kill}", calls=0, after_s=float(rng.uniform(0.02, 0.5)))
        now = require_consistent(home)
        assert now >= approved  # what was decided stays decided
        approved = now
    assert approved > 0, "no process lived long enough to decide anything"


@pytest.mark.parametrize("seed", [1, 2])
def test_home_survives_kills_at_counted_calls(home: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for kill in range(4):
        live_until_killed(home, f"in{kill}", calls=int(rng.integers(60_000, 330_000)), after_s=0)
        assert require_consistent(home) > 0, "killed before the first decision: count further"


@pytest.mark.parametrize("seed", [3, 4])
def test_fresh_home_survives_a_kill_while_it_is_set_up(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for kill in range(3):
        home = tmp_path / str(kill)
        home.mkdir()
        live_until_killed(home, "new", calls=int(rng.integers(10, 15_000)), after_s=0)
        require_consistent(home)


@pytest.mark.parametrize("decisions", [("approve", "approve"), ("approve", "reject"), ("reject", "reject")])
def test_of_two_processes_that_decide_one_wins(home: Path, samples: ModuleType, decisions: tuple[str, str]) -> None:
    with Store.open(home) as store:
        store.add_incident(samples.incident())
        samples.await_approval(store, samples.candidate(), samples.report(samples.candidate()))
    with ExitStack() as stack:
        racers = [
            stack.enter_context(start("decide", home, name, decision))
            for name, decision in zip(("ada", "bob"), decisions, strict=True)
        ]
        assert [line(racer) for racer in racers] == ["ready", "ready"]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = sorted(line(racer) for racer in racers)
    assert [racer.returncode for racer in racers] == [0, 0]
    assert said[0].startswith("conflict: pat_1 is ")
    assert said[1] == "won"
    with Store.open(home) as store:
        patch = store.patch("pat_1")
        assert patch.approval is not None
        assert (
            patch.status is {"approve": PatchStatus.APPROVED, "reject": PatchStatus.REJECTED}[patch.approval.decision]
        )
        assert len(patch.moves) == 5
    assert verify_home(home).ok


def test_two_processes_that_open_a_fresh_home_share_its_keys(home: Path) -> None:
    with ExitStack() as stack:
        with exclusive(home):  # both wait at the door until both are there
            both = [stack.enter_context(start("live", home, name, "0")) for name in ("a", "b")]
            assert [line(process) for process in both] == ["ready", "ready"]
        try:
            # the two robots' histories collide, so that one of them ends in a conflict; the folder stays sound
            assert "0" in [line(process) for process in both]
        finally:
            for process in both:
                process.kill()
    require_consistent(home)
