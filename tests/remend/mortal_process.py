"""A service in miniature for tests to kill: it forks a life for every line that it reads, and says how each ended.

A line is `HOME KIND NUMBER`: `step 7` dies at the seventh point before or after a commit, of the database or the robot;
`call 70000` at that call of any function; `step 0` lives to its end. Only this wrapper knows how to die: the product
has no such points.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import samples
from living_process import kill_at_call
from sqlalchemy import Connection, Engine

from core.durable import write_atomically
from core.ids import sha256_of
from core.status import PatchStatus
from remend import store as store_module
from remend.database import writing
from remend.service.reconcile import reconcile
from remend.store import Store
from remend.versions import Versions

S = PatchStatus
ROUNDS = 3  # patches in one life


class Robot:
    """Goes on when the service dies, and knows what it is committed to."""

    def __init__(self, home: Path, base_sha: str) -> None:
        self._file = home / "robot"
        if not self._file.exists():
            write_atomically(self._file, base_sha.encode())

    @property
    def committed(self) -> str:
        return self._file.read_text()

    def commit(self, sha: str) -> None:
        write_atomically(self._file, sha.encode())


class Person:
    """Decides, and remembers what was asked for and what was answered."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def approve(self, store: Store, patch_id: str) -> None:
        (self._home / f"asked-{patch_id}").touch()
        judged = store.patch(patch_id).report
        store.decide(samples.decision(judged, f"app_{patch_id}"))
        (self._home / f"told-{patch_id}").touch()


def live(home: Path, rounds: int, point: Callable[[], None]) -> None:
    """From alarm to commit, `rounds` times; what an earlier life has left is taken up first."""
    versions = Versions.open(home)
    base_sha = versions.keep(samples.BASE)
    robot, person = Robot(home, base_sha), Person(home)
    with Store.open(home, head_every_rows=5) as store:
        for _ in range(rounds):
            reconcile(store, samples.ROBOT, robot.committed)
            if not store.in_status(samples.ROBOT, S.AWAITING_APPROVAL, S.APPROVED):
                propose(store, versions, robot.committed)
            for patch in store.in_status(samples.ROBOT, S.AWAITING_APPROVAL):
                person.approve(store, patch.id)
            for patch in store.in_status(samples.ROBOT, S.APPROVED):
                for before, after in ((S.APPROVED, S.STAGED), (S.STAGED, S.SHADOW), (S.SHADOW, S.CANARY)):
                    store.move(patch.id, before, after, "service", "")
                point()
                robot.commit(patch.candidate.result_sha)
                point()
                store.move(patch.id, S.CANARY, S.ACTIVE, "robot", "committed")
                store.add_outcome(samples.outcome(patch.id))
            reconcile(store, samples.ROBOT, robot.committed)


def propose(store: Store, versions: Versions, base_sha: str) -> None:
    number = len(store.patches())
    result_sha = versions.keep(samples.artefact(number))
    store.add_incident(samples.incident(f"inc_{number}", base_sha))
    store.add_diagnosis(samples.diagnosis(f"inc_{number}"))
    proposed = samples.candidate(f"pat_{number}", f"inc_{number}", base_sha, result_sha)
    samples.await_approval(store, proposed, samples.report(proposed, f"rep_{number}"))


def die(home: Path, kind: str, number: int) -> None:
    """One life in this process, which does not outlive its end."""
    passed = 0

    def point() -> None:
        nonlocal passed
        passed += 1
        if kind == "step" and passed == number:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def counted(engine: Engine) -> Iterator[Connection]:
        with writing(engine) as connection:
            yield connection
            point()
        point()

    store_module.writing = counted
    if kind == "call":
        kill_at_call(number)
    live(home, ROUNDS if kind == "call" else 1, point)
    sys.setprofile(None)
    (home / "points").write_text(str(passed))


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        live(Path(home), 1, lambda: None)  # what is compiled once need not be in every life
    print("ready", flush=True)
    for line in sys.stdin:
        home, kind, number = line.split()
        child = os.fork()
        if child == 0:
            try:
                die(Path(home), kind, int(number))
            except BaseException as error:
                sys.stderr.write(f"{sha256_of(str(error))[:8]} {type(error).__name__}: {error}\n")
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
