"""A worker that is killed or crashes loses its own job alone; so does a zygote, but for the jobs that run."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from controllers.artefact import artefact_from_files
from core.clock import SystemClock
from core.errors import Refused, RobotFault
from core.robot import Robot
from sim.workers import bubblewrap, dispatch, kernel, landlock, limits, pool, seccomp, zygote
from sim.workers.base import Answer, Workers
from sim.workers.confinement import Confinement, prepare
from sim.workers.dispatch import Dispatch, Request
from sim.workers.in_process import InProcess
from sim.workers.job import Job
from sim.workers.keeper import Keeper, Note
from sim.workers.layers import Door, Layers, no_layers
from sim.workers.outcome import Lost, Reason
from sim.workers.pool import Pool
from sim.workers.progress import Progress
from sim.workers.self_test import ATTACKS, PROBE, Attempt
from sim.workers.settings import WorkerSettings
from tests.sim.workers.conftest import FREE, Cage
from tests.sim.workers.test_pool import ARM, LAW, TRIALS, _Liar, new_law, softer

HERE = "tests.sim.workers.test_lost_jobs"
LOOP = "while True:\n    pass"


def keep(work: str, *, with_bubblewrap: bool = False) -> Keeper:
    return Keeper(((work, b""),), memory=256 << 20, cpu_s=60, with_bubblewrap=with_bubblewrap)


# killed

KILLER = """
import os, signal, sys, time
from pathlib import Path
while True:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == int(sys.argv[1]):
                os.kill(int(folder.name), signal.SIGKILL)
                sys.exit(0)
        except (FileNotFoundError, ProcessLookupError):
            pass
    time.sleep(0.01)
"""


def test_a_worker_killed_from_outside_costs_only_its_own_job(cage: Cage) -> None:
    user = limits.worker_user(os.getpid(), 0, Path("/proc/self/uid_map").read_text())
    if "user" not in cage.keeper.layers().active or user == limits.NOBODY:
        pytest.skip("layer user: the worker cannot be told from others")
    killer = subprocess.Popen([sys.executable, "-c", KILLER, str(user)])
    first, *others = cage.run(LOOP, "said = 2", "said = 3")
    assert killer.wait() == 0
    assert isinstance(first, Lost)
    assert first.reason is Reason.KILLED
    assert others == [b"2", b"3"]


def test_a_killed_zygote_costs_the_jobs_that_run_and_no_other() -> None:
    keeper = keep(FREE)
    cage = Cage(keeper)
    try:
        before = cage.one("said = os.getppid()")
        assert isinstance(before, bytes)
        killer = threading.Timer(0.5, os.kill, (int(before), signal.SIGKILL))
        killer.start()
        running, waiting = cage.run(LOOP, "said = os.getppid()")
        killer.join()
        assert running == Lost(reason=Reason.MACHINE, what="its zygote was killed")
        assert isinstance(waiting, bytes)
        assert waiting != before
    finally:
        keeper.close()


def test_a_zygote_that_was_killed_between_two_calls_costs_nothing() -> None:
    keeper = keep(FREE)
    cage = Cage(keeper)
    try:
        before = cage.one("said = os.getppid()")
        assert isinstance(before, bytes)
        os.kill(int(before), signal.SIGKILL)
        assert keeper._process is not None
        keeper._process.wait()
        assert cage.run("said = 1", "said = 2") == [b"1", b"2"]
    finally:
        keeper.close()


class _Chatty:
    """FAKE keeper whose one worker says too much before anybody knows that it has started."""

    def __init__(self) -> None:
        self.line, self._zygote = socket.socketpair()
        self.lines = (self.line,)
        self.worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        self._handle = os.pidfd_open(self.worker.pid)
        self._late = threading.Timer(0.2, self._zygote.send, (b"e",))

    def layers(self) -> None: ...

    def fork(self, *_: object, **__: object) -> int:
        reading, writing = os.pipe()
        os.write(writing, b"R" * 100)
        os.close(writing)
        self._zygote.send(b"s")
        return reading

    def note(self, line: socket.socket) -> Note:
        if self.line.recv(1) == b"s":
            self._late.start()
            return Note(job=0, handle=self._handle)
        return Note(job=0, exit_code=self.worker.wait())

    def close(self) -> None:
        self._late.join()
        self.line.close()
        self._zygote.close()


@pytest.mark.parametrize("line_first", [True, False])
def test_who_says_too_much_is_killed_as_soon_as_it_can_be(line_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    chatty: Any = _Chatty()

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            return sorted(super().select(timeout), key=lambda event: (event[0].data is None) != line_first)

    monkeypatch.setattr(selectors, "DefaultSelector", Selector)
    requests = [Request(work=0, data=b"", most_answer=10)]
    (answer,), _ = Dispatch(chatty, requests, count=1, timeout_s=60.0, clock=SystemClock()).run()
    chatty.close()
    assert isinstance(answer, Lost)
    assert answer.reason is Reason.OUTPUT
    assert chatty.worker.returncode == -signal.SIGKILL


class _Deadly(_Liar):
    def prepare(self, request: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return request


class _Hanging(_Liar):
    def prepare(self, request: bytes) -> bytes:
        time.sleep(3600.0)
        return request


class _Threaded(_Liar):
    def warm_up(self, data: bytes) -> None:
        threading.Thread(target=time.sleep, args=(60.0,), daemon=True).start()


class _Clumsy(_Liar):
    def prepare(self, request: bytes) -> bytes:
        raise ZeroDivisionError("made up")


DEADLY, HANGING, THREADED, CLUMSY = _Deadly(), _Hanging(), _Threaded(), _Clumsy()


def lost(work: str, count: int) -> list[Reason]:
    keeper = keep(f"{HERE}:{work}")
    requests = [Request(work=0, data=b"", most_answer=10)] * count
    try:
        answers, _ = Dispatch(keeper, requests, count=1, timeout_s=60.0, clock=SystemClock()).run()
    finally:
        keeper.close()
    return [answer.reason for answer in answers if isinstance(answer, Lost)]


def test_zygotes_that_die_again_and_again_are_given_up() -> None:
    assert lost("DEADLY", 6) == [Reason.MACHINE] * 6


def test_a_zygote_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_PATIENCE_NS", 10**8)
    monkeypatch.setattr("sim.workers.keeper._GOODBYE_S", 0.1)
    assert lost("HANGING", 1) == [Reason.MACHINE]


def test_a_job_that_cannot_be_prepared_costs_only_itself() -> None:
    assert lost("CLUMSY", 2) == [Reason.MACHINE] * 2


def test_a_zygote_with_threads_does_not_fork() -> None:
    keeper = keep(f"{HERE}:THREADED")
    with pytest.raises(RobotFault, match="one thread"):
        keeper.layers()


def test_a_zygote_that_does_not_start_says_why() -> None:
    for with_bubblewrap in (True, False):
        keeper = keep("tests.sim.workers.no_such_module:WORK", with_bubblewrap=with_bubblewrap)
        with pytest.raises(RobotFault, match="no_such_module"):
            keeper.layers()


def test_a_service_that_is_installed_in_place_has_workers_behind_bubblewrap(cage: Cage) -> None:
    if not cage.keeper.layers().is_active("bubblewrap"):
        pytest.skip("layer bubblewrap: it does not work here")
    script = (
        "from sim.workers.keeper import Keeper\n"
        "keeper = Keeper((('sim.workers.self_test:PROBE', b''),), memory=256 << 20, cpu_s=60)\n"
        "print(keeper.layers().is_active('bubblewrap'))\n"
        "keeper.close()\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environ, cwd="/", check=False
    )
    if "ModuleNotFoundError" in said.stderr:
        pytest.skip("Remend is not installed")
    assert said.stdout == "True\n", said.stderr


def test_a_call_that_is_broken_off_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = keep(FREE)
    cage = Cage(keeper)
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores interrupts
    try:
        cage.one("said = 1")
        alarm = threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
        alarm.start()
        with pytest.raises(KeyboardInterrupt):
            cage.run(LOOP, LOOP, count=2)
        alarm.join()
        assert cage.run("said = 1", "said = 2") == [b"1", b"2"]
    finally:
        signal.signal(signal.SIGINT, heard)
        keeper.close()


def test_workers_and_zygote_end_with_a_service_that_is_killed() -> None:
    script = (
        "from tests.sim.workers.test_lost_jobs import FREE, LOOP, Cage, keep\n"
        "keeper = keep(FREE, with_bubblewrap=True)\n"
        "keeper.layers()\n"
        "print(keeper._process.pid, flush=True)\n"
        "Cage(keeper).one(LOOP)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    service = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environ)
    assert service.stdout is not None
    zygote_ = int(service.stdout.readline())
    service.kill()
    service.wait()
    service.stdout.close()
    while Path(f"/proc/{zygote_}").exists() and " Z " not in Path(f"/proc/{zygote_}/stat").read_text():
        time.sleep(0.01)  # the outer process of bubblewrap lasts as long as anything inside


# confinement


def test_a_bubblewrap_that_does_not_work_here_is_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho no permission to create a new namespace >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "find", lambda: str(fake))
    keeper = keep(FREE, with_bubblewrap=True)
    try:
        (layer,) = (layer for layer in keeper.layers().missing if layer.name == "bubblewrap")
        assert layer.why == "it does not work here (no permission to create a new namespace)"
        assert Cage(keeper).one("said = 1") == b"1"
    finally:
        keeper.close()


def test_a_machine_without_bubblewrap_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "find", lambda: None)
    keeper = keep(FREE, with_bubblewrap=True)
    try:
        (layer,) = (layer for layer in keeper.layers().missing if layer.name == "bubblewrap")
        assert layer.why == "not installed"
        assert "apt-get install bubblewrap" in layer.hint
    finally:
        keeper.close()


def test_bubblewrap_shows_what_is_needed_and_nothing_else(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    line = bubblewrap.wrapped("bwrap", ["python", "x"], [str(inner), str(tmp_path), "/"], as_root=False)
    shown = [line[k + 1] for k, word in enumerate(line) if word == "--ro-bind-try"]
    assert str(tmp_path) in shown
    assert not {"/", str(inner), "/etc", "/home", "/root"} & set(shown)
    assert "--unshare-user" in line
    assert line[-2:] == ["python", "x"]
    assert "CAP_SETUID" in bubblewrap.wrapped("bwrap", [], [], as_root=True)


def test_a_machine_without_layers_is_found_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*, keeps_user: bool) -> None:
        assert keeps_user
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(seccomp, "missing", lambda _: "not tried on this machine")
    monkeypatch.setattr(limits, "may_change_user", lambda _: False)
    monkeypatch.setattr("sim.workers.confinement.leave_network", refused)
    found = prepare(memory=1, cpu_s=1, in_bubblewrap=False, why_no_bubblewrap="not installed")
    assert found.layers.active == ("limits",)
    assert set(found.layers.open_doors) == {Door.FILES, Door.PROGRAMS, Door.NEIGHBOURS}
    assert all(layer.why and layer.hint for layer in found.layers.missing)
    assert (found.ruleset, found.filter, found.own_user) == (None, None, False)


@pytest.mark.parametrize(("abi", "lacks"), [(1, "truncation"), (3, "TCP"), (5, "signals"), (6, "")])
def test_an_old_landlock_says_what_it_lacks(abi: int, lacks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: abi)
    monkeypatch.setattr(landlock, "deny_all", lambda _: 0)
    monkeypatch.setattr(seccomp, "missing", lambda _: "not here")
    found = prepare(memory=1, cpu_s=1, in_bubblewrap=True, why_no_bubblewrap="")
    (layer,) = (layer for layer in found.layers.found if layer.name == "landlock")
    assert lacks in layer.why
    assert bool(layer.hint) == bool(lacks)


@pytest.mark.parametrize("broken", ["ruleset", "parent"])
def test_a_worker_that_cannot_be_confined_does_not_run(broken: str) -> None:
    confinement = Confinement(
        layers=no_layers("a test"),
        own_user=False,
        ruleset=999 if broken == "ruleset" else None,
        filter=None,
        memory=1 << 30,
        cpu_s=10,
    )
    reading, writing = os.pipe()
    parent = 2**22 if broken == "parent" else os.getpid()
    child = os.fork()
    if child == 0:
        zygote._live(_Liar(), b"", confinement, writing, 0, parent)
    os.close(writing)
    assert os.waitpid(child, 0)[1] == 0
    said = os.read(reading, 1000)
    os.close(reading)
    assert said[:1] == zygote.UNCONFINED


@pytest.mark.parametrize("name", ATTACKS)
def test_confinement_holds_without_root(name: str) -> None:
    reading, writing = os.pipe()
    service = os.getpid()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            limits.become(limits.NOBODY)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # as in a process that was started by this user
        found = prepare(memory=1 << 30, cpu_s=60, in_bubblewrap=False, why_no_bubblewrap="a test")
        if found.own_user or found.layers.open_doors:
            os._exit(1)
        zygote._live(PROBE, ATTACKS[name][1], found, writing, 0, service)
    os.close(writing)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = os.read(reading, 1000)
    os.close(reading)
    if code == 1:
        pytest.skip("layers landlock and seccomp: one of them is missing")
    assert code == -signal.SIGSYS or (code == 0 and said[:1] == zygote.RESULT and said[1:] != b"reached")


# a machine that lacks layers, and evidence with holes


class _Canned(Workers):
    """Workers whose answers are made up."""

    count = 2

    def __init__(self, robot: Robot, layers: Layers, answers: Sequence[Sequence[Answer]] = ()) -> None:
        self.robot, self.rollouts, self.progress = robot, 0, Progress()
        self._layers, self._answers = layers, list(answers)
        self.asked: list[list[Job]] = []

    def warm_up(self) -> None: ...

    def close(self) -> None: ...

    def layers(self) -> Layers:
        return self._layers

    def replay(self, jobs: object) -> Any: ...

    def rerun(self, jobs: object) -> Any: ...

    def _run(self, jobs: Sequence[Job]) -> list[Answer]:
        self.asked.append(list(jobs))
        return list(self._answers.pop(0)) if self._answers else []


def bare(*answers: Sequence[Answer]) -> _Canned:
    return _Canned(ARM, no_layers("a test"), answers)


def test_a_new_law_does_not_run_where_a_door_is_open() -> None:
    for workers in (bare(), InProcess(ARM)):
        with pytest.raises(Refused) as refused:
            workers.run([Job(robot=ARM, artefact=new_law(), scenarios=(TRIALS[0],))])
        assert all(door in str(refused.value) for door in Door)
        assert workers.rollouts == 0


def test_other_parameters_of_a_known_law_run_where_doors_are_open() -> None:
    workers = bare()
    workers.run([Job(robot=ARM, artefact=softer(), scenarios=(TRIALS[0],))])
    assert len(workers.asked) == 1


def test_weights_are_part_of_a_law() -> None:
    heavier = artefact_from_files("mine", {**LAW.files, "weights.safetensors": b"x"})
    with pytest.raises(Refused):
        bare().run([Job(robot=ARM, artefact=heavier, scenarios=(TRIALS[0],))])


def test_a_trusting_process_runs_every_law() -> None:
    (answer,) = InProcess(ARM, trusting=True).run([Job(robot=ARM, artefact=new_law(), scenarios=(TRIALS[0],))])
    assert not isinstance(answer, Lost)


def test_where_an_attack_gets_through_no_new_law_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    through = Attempt(attack="read a file", door=Door.FILES, stopped=False, how="reached")
    monkeypatch.setattr(pool.self_test, "self_test", lambda *_: (through,))
    with Pool(ARM, WorkerSettings(count=1)) as workers:
        assert workers.layers().breached == (Door.FILES,)
        with pytest.raises(Refused, match="read and change files"):
            workers.judge([(new_law(), TRIALS[0])])


@pytest.mark.parametrize("reason", [Reason.KILLED, Reason.MACHINE])
def test_what_was_lost_by_no_doing_of_its_own_is_asked_once_more(reason: Reason) -> None:
    (good,) = InProcess(ARM).run([Job(robot=ARM, artefact=LAW, scenarios=(TRIALS[0],))])
    assert not isinstance(good, Lost)
    workers = bare([good, Lost(reason=reason, what="made up")], [good])
    assert workers.judge([(LAW, TRIALS[0]), (softer(), TRIALS[0])]) == [good[0].judgement] * 2
    assert [len(jobs) for jobs in workers.asked] == [2, 1]
    assert workers.rollouts == 2


@pytest.mark.parametrize("reason", [Reason.TIME, Reason.OUTPUT, Reason.FORBIDDEN, Reason.CRASH, Reason.ANSWER])
def test_evidence_with_a_hole_is_none(reason: Reason) -> None:
    with pytest.raises(RobotFault, match=f"{reason}: made up"):
        bare([Lost(reason=reason, what="made up")], []).judge([(LAW, TRIALS[0])])


def test_what_is_lost_twice_is_lost() -> None:
    gone = Lost(reason=Reason.KILLED, what="made up")
    with pytest.raises(RobotFault, match="killed"):
        bare([gone], [gone]).judge([(LAW, TRIALS[0])])
