"""A healing that is killed at any moment leaves a home that is whole, no patch that nobody approved, and no process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from controllers.artefact import load_artefact, shipped_laws
from controllers.pointer import CommitFolder
from core.status import PatchStatus
from remend.store import Store
from remend.versions import Versions

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("heal")]

PATIENCE_S = 120.0
POLL_S = 0.002
COMMAND = [sys.executable, "-m", "remend"]
SEED = 3


class Run:
    """One `remend heal` in a process group of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [*COMMAND, "heal", "--fault", "payload:mass=5", "--seed", str(SEED)],
            env={**os.environ, "REMEND_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_line(self, start: str) -> None:
        """Until a line of progress begins with `start`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.strip())
            if line.strip().startswith(start):
                return
        raise AssertionError(f"the run ended without saying {start!r}: {self.said}")

    def wait_for_pointer(self, condition: Callable[[dict[str, object]], bool]) -> None:
        """Until the robot's commit pointer exists and meets `condition`."""

        def met() -> bool:
            assert self.process.poll() is None, "the run ended first"
            for file in self.home.glob("robots/*/committed.json"):
                with suppress(ValueError):
                    return condition(json.loads(file.read_text()))
            return False

        wait_until(met)

    def kill(self) -> None:
        """Only the process that was started: its children must notice for themselves."""
        self.process.kill()
        self.process.wait()

    def members(self) -> list[int]:
        """Living processes of the group."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it ended meanwhile
                state, _, group = entry.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state not in "ZX":
                    found.append(int(entry.parent.name))
        return found

    def clean_up(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


def wait_until(met: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not met():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(POLL_S)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path)
    yield started
    started.clean_up()


def moment(number: int) -> str:
    """Four moments, spread over the run; which of two it is comes from the seed."""
    choices = (
        ("learning", "watching"),
        ("fitting the twin", "looking for a patch"),
        ("proving the patch", "staged"),
        ("committed",),
    )[number]
    return choices[int(np.random.default_rng([SEED, number]).integers(len(choices)))]


def verify(home: Path) -> str:
    ran = subprocess.run(
        [*COMMAND, "audit", "verify"],
        env={**os.environ, "REMEND_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    assert ran.stdout.startswith("audit log intact")
    return ran.stdout


def require_whole(home: Path) -> list[PatchStatus]:
    """Everything that must hold after a kill; returns where the patches are."""
    versions = Versions.open(home)
    baseline = load_artefact(shipped_laws()["computed_torque"])
    with Store.open(home) as store:
        patches = store.patches()
        named = {incident.controller_sha for incident in store.incidents()}
        for patch in patches:
            named |= {patch.candidate.base_sha, patch.candidate.result_sha}
            if patch.status in (PatchStatus.APPROVED, PatchStatus.STAGED, PatchStatus.SHADOW, PatchStatus.CANARY):
                assert patch.approval is not None
            if patch.status is PatchStatus.ACTIVE:
                assert patch.approval is not None
                assert patch.approval.decision == "approve"
                assert patch.approval.result_sha == patch.candidate.result_sha
                robot_id = store.incident(patch.candidate.incident_id).robot_id
                assert versions.history(robot_id)[0].artefact_sha == patch.candidate.result_sha
        approved = {patch.approval.result_sha for patch in patches if patch.approval is not None}
    for sha in named:
        assert versions.read(sha)
    for folder in (home / "robots").glob("*"):
        assert CommitFolder(folder).boot(baseline).sha256 in approved | {baseline.sha256}
    return [patch.status for patch in patches]


@pytest.mark.parametrize("number", range(4), ids=moment)
def test_a_healing_killed_at_any_moment_leaves_everything_whole(run: Run, number: int) -> None:
    match moment(number):
        case "staged":
            run.wait_for_line("swapping the patch in")
            run.wait_for_pointer(lambda pointer: True)
        case "committed":
            run.wait_for_line("swapping the patch in")
            run.wait_for_pointer(lambda pointer: pointer["committed"] is not None)
            run.wait_for_line("watching the patched robot")
        case stage:
            run.wait_for_line(stage)
    assert len(run.members()) >= 3, "no robot and no host were running yet"
    run.kill()
    wait_until(lambda: not run.members(), patience_s=30.0)
    before = verify(run.home)
    statuses = require_whole(run.home)
    assert bool(statuses) == (number >= 2)
    assert PatchStatus.ACTIVE not in statuses or moment(number) == "committed"
    after = verify(run.home)
    assert after.split(",")[0] == before.split(",")[0]  # looking at it has added no row
