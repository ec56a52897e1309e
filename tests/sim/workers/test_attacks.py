"""Free Python in a confined worker: nothing happens outside, and the next job runs as if nothing had been.

The product never runs free Python. These tests suppose that a candidate has found a way out of the law language.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sim.workers.limits import NOBODY, SLOTS, worker_user
from sim.workers.outcome import Lost, Reason
from tests.sim.workers.attacks import payloads
from tests.sim.workers.conftest import SECRET, Cage


@pytest.fixture(autouse=True)
def active_layers(cage: Cage) -> None:
    """Names each layer that these attacks did not have to face."""
    layers = cage.keeper.layers()
    if not {"landlock", "seccomp"} & set(layers.active):
        pytest.skip("layers landlock and seccomp: " + "; ".join(layer.why for layer in layers.missing))


@pytest.fixture
def zygote(cage: Cage) -> Iterator[None]:
    """The zygote before is the zygote after, and serves."""
    ask = "said = os.getppid()"
    before = cage.one(ask)
    yield
    assert isinstance(before, bytes)
    assert cage.one(ask) == before


@pytest.mark.parametrize("name", payloads.READS)
def test_nothing_is_read(name: str, cage: Cage, zygote: None, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    place = tmp_path / "file"
    place.write_text(SECRET)
    place.chmod(0o644)
    answer = cage.one(payloads.READS[name], place=str(place))
    assert isinstance(answer, Lost) or SECRET.encode() not in answer


@pytest.mark.parametrize("name", payloads.TOUCHES)
def test_nothing_is_changed(name: str, cage: Cage, zygote: None, tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o777)
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("as it was")
    old.chmod(0o666)
    modes = old.stat().st_mode
    for place in (new, old):
        cage.one(payloads.TOUCHES[name], place=str(place))
    assert sorted(tmp_path.iterdir()) == [old]
    assert old.read_text() == "as it was"
    assert old.stat().st_mode == modes


@pytest.mark.parametrize("name", payloads.SENDS)
def test_nothing_arrives(name: str, cage: Cage, zygote: None) -> None:
    family = socket.AF_UNIX if name == "abstract socket" else socket.AF_INET
    address: Any = f"\0remend-{uuid.uuid4()}" if family == socket.AF_UNIX else ("127.0.0.1", 0)
    kind = socket.SOCK_DGRAM if name == "UDP" else socket.SOCK_STREAM
    with closing(socket.socket(family, kind)) as ear:
        ear.bind(address)
        ear.setblocking(False)
        if kind == socket.SOCK_STREAM:
            ear.listen()
        answer = cage.one(payloads.SENDS[name], address=ear.getsockname())
        assert isinstance(answer, Lost)
        with pytest.raises(BlockingIOError):
            ear.recv(10) if kind == socket.SOCK_DGRAM else ear.accept()


# What ends by itself is ended by the kernel; for the others the service has to be impatient.
IMPATIENT = {"infinite loop", "ignores all signals and catches everything", "huge integer"}


@pytest.mark.parametrize("name", payloads.EXHAUSTS)
def test_nothing_runs_on(name: str, cage: Cage, zygote: None) -> None:
    patient, cage.timeout_s = cage.timeout_s, 1.0 if name in IMPATIENT else cage.timeout_s
    try:
        answer = cage.one(payloads.EXHAUSTS[name])
    finally:
        cage.timeout_s = patient
    assert isinstance(answer, Lost)
    if name in IMPATIENT:
        assert answer.reason is Reason.TIME
    if name == "endless answer":
        assert answer.reason is Reason.OUTPUT
    assert left_behind() == []


def left_behind() -> list[str]:
    """Processes of this test's workers that are still there, where they have users of their own."""
    users = {worker_user(os.getpid(), slot, Path("/proc/self/uid_map").read_text()) for slot in range(SLOTS)}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid in users - {NOBODY}:
                found.append(folder.name)
        except FileNotFoundError:
            continue
    return found


@pytest.mark.parametrize("name", payloads.STRIKES)
def test_nobody_is_hit(name: str, cage: Cage, zygote: None) -> None:
    answer = cage.one(payloads.STRIKES[name], service=os.getpid())
    assert isinstance(answer, Lost) or answer == b""


def test_an_attack_costs_its_neighbours_nothing(cage: Cage) -> None:
    hostile = [*payloads.STRIKES.values(), payloads.EXHAUSTS["memory bomb"], payloads.EXHAUSTS["fork bomb"]]
    sources = [source for k, attack in enumerate(hostile) for source in (attack, f"said = {k}")]
    answers = cage.run(*sources, count=2, service=os.getpid())
    assert answers[1::2] == [str(k).encode() for k in range(len(hostile))]


# What an attack does where nothing confines it; those that would hurt the machine or the tests are not among them.
HARMLESS = ["read a file", "read a file through C", "read the environment of the service", *payloads.TOUCHES]


@pytest.mark.parametrize("name", HARMLESS)
def test_attacks_do_harm_without_confinement(name: str, tmp_path: Path) -> None:
    place = tmp_path / "file"
    is_new = name in ("write a file", "make a folder", "run a program", "run a program through C")
    if not is_new:
        place.write_text(SECRET)
    script = (
        "import os, ctypes, subprocess\n"
        f"place = {str(place)!r}\n" + {**payloads.READS, **payloads.TOUCHES}[name] + "\nprint(globals().get('said'))\n"
    )
    environ = {**os.environ, "REMEND_TEST_SECRET": SECRET}
    before = state(tmp_path)
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert SECRET in done.stdout if name in payloads.READS else state(tmp_path) != before


def state(folder: Path) -> list[tuple[str, int, int]]:
    return [(entry.name, entry.stat().st_mode, entry.stat().st_size) for entry in sorted(folder.iterdir())]
