"""The kill switch: by call, by file, over restarts; baseline in the next tick; only an operator's key re-arms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controllers.latch import KILL_FILE, Kill, KillLatch, check_rearm, sign_rearm
from controllers.pointer import CommitFolder, Pointer
from controllers.runtime import Stage
from core.errors import Refused, SignatureInvalid
from tests.controllers import test_host as hosts
from tests.controllers.test_host import (
    BASELINE,
    BETTER,
    GOOD,
    LIMITS,
    NOW_NS,
    OPERATOR,
    SERVICE,
    STRANGER,
    Robot,
    patch,
)

TICKS = 120  # more than a look for a re-arming takes


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Callable[..., Robot]]:
    with ExitStack() as stack:

        def start(**options: bool) -> Robot:
            stack.close()
            robot = Robot(tmp_path, **options)
            stack.callback(robot.host.close)
            return robot

        yield start


def killed(robot: Robot) -> str | None:
    return robot.host.status(None).killed


def mark(folder: Path) -> str:
    kill = KillLatch(folder).read()
    assert kill is not None
    return kill.mark


def in_canary(robot: Robot) -> None:
    robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    robot.host.begin_shadow(LIMITS)
    robot.tick(5)
    robot.host.runtime.begin_canary()
    robot.tick(10)
    assert robot.host.runtime.stage is Stage.CANARY


def by_call(robot: Robot, folder: Path) -> None:
    robot.host.kill("test")


def by_another_thread(robot: Robot, folder: Path) -> None:
    caller = threading.Thread(target=robot.host.kill, args=("test",))
    caller.start()
    caller.join()


def by_touch(robot: Robot, folder: Path) -> None:
    (folder / KILL_FILE).touch()


def by_record(robot: Robot, folder: Path) -> None:
    KillLatch(folder).set(Kill.because("test"))


@pytest.mark.parametrize("kill", [by_call, by_another_thread, by_touch, by_record])
@pytest.mark.parametrize("when", ["baseline", "staged", "shadow", "canary", "committed"])
def test_a_kill_runs_the_baseline_in_the_next_tick_and_drops_the_patch(
    boot: Callable[..., Robot], tmp_path: Path, kill: Callable[[Robot, Path], None], when: str
) -> None:
    robot = boot()
    if when == "canary":
        in_canary(robot)
    elif when == "committed":
        robot.swap(patch(GOOD), GOOD)
    elif when != "baseline":
        robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
        if when == "shadow":
            robot.host.begin_shadow(LIMITS)
    kill(robot, tmp_path)
    [command] = robot.tick(1)
    assert command.source == "a"
    assert robot.running == BASELINE.sha256
    assert robot.host.runtime.b is robot.host.runtime.previous_slot is None
    assert killed(robot) is not None
    assert CommitFolder(tmp_path).read().committed is None
    with pytest.raises(Refused, match="re-arm it"):
        robot.host.stage(patch(BETTER, version=9).to_json(), BETTER.files, NOW_NS)
    with pytest.raises(Refused, match="re-arm it"):
        robot.host.begin_shadow(LIMITS)
    again = boot()  # latched over a restart
    assert again.running == BASELINE.sha256
    assert killed(again) is not None
    again.host.runtime.roll_back("nothing to go back to", 0)
    again.tick(TICKS)
    assert again.running == BASELINE.sha256


def test_the_command_after_a_kill_is_what_the_baseline_gives(boot: Callable[..., Robot], tmp_path: Path) -> None:
    plain, other = Robot(tmp_path / "plain"), boot()
    other.swap(patch(GOOD), GOOD)
    other.host.kill("test")
    plain.world.seq = other.world.seq
    plain.host.ticks = other.host.ticks
    assert [c.tau for c in other.tick(20)][1:] == [c.tau for c in plain.tick(20)][1:]
    plain.host.close()


def test_a_killed_robot_that_was_off_starts_on_its_baseline(boot: Callable[..., Robot], tmp_path: Path) -> None:
    boot().swap(patch(GOOD), GOOD)
    (tmp_path / KILL_FILE).touch()
    robot = boot()
    assert robot.running == BASELINE.sha256
    assert len(mark(tmp_path)) == 32  # a mere touch has got the mark that a re-arming names
    (tmp_path / KILL_FILE).unlink()
    assert killed(boot()) is not None, "removing the file is no re-arming"


def test_a_running_host_puts_a_removed_kill_file_back(boot: Callable[..., Robot], tmp_path: Path) -> None:
    robot = boot()
    robot.host.kill("test")
    robot.tick(3)
    before = mark(tmp_path)
    (tmp_path / KILL_FILE).unlink()
    robot.tick(510)
    assert mark(tmp_path) == before
    assert killed(robot) == "test"


@pytest.mark.parametrize("off", [False, True], ids=["running", "off"])
def test_the_operators_key_re_arms_and_the_robot_stays_on_its_baseline(
    boot: Callable[..., Robot], tmp_path: Path, off: bool
) -> None:
    robot = boot()
    robot.swap(patch(GOOD), GOOD)
    robot.host.kill("test")
    robot.tick(3)
    robot.host.rearm(sign_rearm("arm", mark(tmp_path), OPERATOR))
    if off:
        robot = boot()
    else:
        robot.tick(TICKS)
        robot.host.clerk.writer.submit(int).result(timeout=30)
        robot.tick(1)
    assert killed(robot) is None
    assert robot.running == BASELINE.sha256
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["committed.json", "robot.json"]
    with pytest.raises(SignatureInvalid, match="not newer"):
        robot.host.stage(patch(GOOD).to_json(), GOOD.files, NOW_NS)
    robot.swap(patch(BETTER, version=2), BETTER)
    assert boot().running == BETTER.sha256


@pytest.mark.parametrize(
    ("signed", "sentence"),
    [
        (lambda m: sign_rearm("arm", m, SERVICE), "no operator's key"),
        (lambda m: sign_rearm("arm", m, STRANGER), "no operator's key"),
        (lambda m: sign_rearm("leg", m, OPERATOR), "another robot"),
        (lambda m: sign_rearm("arm", "0" * 32, OPERATOR), "another kill"),
        (lambda m: sign_rearm("arm", m, OPERATOR).replace(b"arm", b"leg"), "does not match"),
        (lambda m: b"", "not a signed statement"),
        (lambda m: b"[]", "not a signed statement"),
        (lambda m: b'{"statement": 1, "key": [], "signature": "x"}', "not a signed statement"),
        (lambda m: b'{"statement": "", "key": [], "signature": ""}', "not a signed statement"),
    ],
)
def test_a_re_arming_that_is_not_exactly_right_is_refused(
    boot: Callable[..., Robot], tmp_path: Path, signed: Callable[[str], bytes], sentence: str
) -> None:
    robot = boot()
    robot.host.kill("test")
    robot.tick(3)
    data = signed(mark(tmp_path))
    with pytest.raises(SignatureInvalid, match=sentence):
        check_rearm(data, "arm", mark(tmp_path), hosts.TRUST)
    robot.host.rearm(data)
    robot.tick(TICKS)
    robot.host.clerk.writer.submit(int).result(timeout=30)
    robot.tick(1)
    assert killed(robot) == "test"
    assert [note for note in robot.host.status(None).notes if "still killed" in note.what and sentence in note.what]


def test_a_re_arming_does_not_fit_the_next_kill(boot: Callable[..., Robot], tmp_path: Path) -> None:
    robot = boot()
    robot.host.kill("first")
    robot.tick(3)
    signed = sign_rearm("arm", mark(tmp_path), OPERATOR)
    robot.host.rearm(signed)
    robot = boot()
    assert killed(robot) is None
    robot.host.kill("second")
    robot.tick(3)
    robot.host.rearm(signed)
    robot.tick(TICKS)
    robot.host.clerk.writer.submit(int).result(timeout=30)
    robot.tick(1)
    assert killed(robot) == "second"


def test_a_kill_that_comes_while_another_is_released_holds(tmp_path: Path) -> None:
    latch, first, second = KillLatch(tmp_path), Kill.because("first"), Kill.because("second")
    latch.set(second)
    with pytest.raises(SignatureInvalid, match="another kill"):
        latch.release(first)
    assert latch.read() == second
    (tmp_path / KILL_FILE).write_bytes(b"")
    with pytest.raises(SignatureInvalid, match="another kill"):
        latch.release(first)
    assert latch.is_set
    latch.set(first)
    latch.release(first)
    latch.release(first)
    assert not latch.is_set
    latch.close()


def test_a_kill_holds_although_the_disk_refuses_it(
    boot: Callable[..., Robot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = boot()
    robot.swap(patch(GOOD), GOOD)
    full = True
    write = CommitFolder.write

    def refuse(folder: CommitFolder, pointer: Pointer) -> None:
        if full:
            raise OSError("no space left")
        write(folder, pointer)

    monkeypatch.setattr(CommitFolder, "write", refuse)
    robot.host.kill("test")
    robot.tick(2)
    assert robot.running == BASELINE.sha256
    assert killed(robot) == "test"
    full = False
    robot.tick(501)
    assert CommitFolder(tmp_path).read().killed == mark(tmp_path)
    again = boot()
    assert (again.running, killed(again)) == (BASELINE.sha256, "test")
