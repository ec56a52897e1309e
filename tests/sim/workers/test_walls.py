"""Each layer by itself, in a forked child of the tests: it does what it is there for."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.workers import kernel, landlock, limits, namespaces, seccomp

ALL_USERS = "0 0 4294967295"


def in_child(act: Callable[[], object]) -> int:
    """How a child ends that acts: 0, the number of its OSError, 99 for another exception, or minus a signal."""
    child = os.fork()
    if child == 0:
        try:
            act()
            code = 0
        except OSError as error:
            code = error.errno or 98
        except BaseException:
            code = 99
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# landlock

ABI = landlock.version()
needs_landlock = pytest.mark.skipif(ABI == 0, reason="layer landlock: the kernel has none")


@pytest.mark.parametrize("abi", range(1, 9))
def test_a_newer_landlock_handles_no_less(abi: int) -> None:
    for older, newer in zip(landlock.handled(abi), landlock.handled(abi + 1), strict=True):
        assert older & newer == older
    assert landlock.handled(abi)[0] & 0b1_1111_1111_1111 == 0b1_1111_1111_1111


@needs_landlock
@pytest.mark.parametrize("abi", range(1, ABI + 1))
def test_landlock_of_every_version_denies_files(abi: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("there")

    def restricted(act: Callable[[], object]) -> Callable[[], object]:
        def run() -> object:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            landlock.restrict(landlock.deny_all(abi))
            return act()

        return run

    assert in_child(restricted((tmp_path / "file").read_text)) == errno.EACCES
    assert in_child(restricted(lambda: (tmp_path / "new").write_text("x"))) == errno.EACCES
    assert in_child(restricted(lambda: list(tmp_path.iterdir()))) == errno.EACCES
    assert in_child(restricted((tmp_path / "file").unlink)) == errno.EACCES
    if abi >= landlock.TRUNCATE:
        assert in_child(restricted(lambda: os.truncate(tmp_path / "file", 0))) == errno.EACCES
    if abi >= landlock.SCOPES:
        assert in_child(restricted(lambda: os.kill(os.getppid(), 0))) == errno.EPERM
    assert (tmp_path / "file").read_text() == "there"


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def test_a_kernel_without_landlock_has_version_0(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "system_call", failing(code))
    assert landlock.version() == 0


def test_an_error_that_says_nothing_of_landlock_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "system_call", failing(errno.EINVAL))
    with pytest.raises(OSError, match="made up"):
        landlock.version()


def failing(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, "made up")

    return fail


# seccomp

NO_SECCOMP = seccomp.missing(os.uname().machine)
needs_seccomp = pytest.mark.skipif(bool(NO_SECCOMP), reason=f"layer seccomp: {NO_SECCOMP}")
NEVER = """
accept bind bpf chmod chown clone clone3 connect execve execveat fork io_uring_setup keyctl kill link listen
memfd_create mkdir mknod mount msgget open_by_handle_at pidfd_open pivot_root process_vm_readv process_vm_writev
ptrace recvfrom rename sendmsg sendto setns setrlimit setuid shmget socket socketpair symlink tgkill tkill truncate
unshare userfaultfd vfork
"""


def test_what_could_do_harm_is_neither_allowed_nor_refused_but_fatal() -> None:
    assert not set(seccomp.ALLOWED) & set(seccomp.REFUSED)
    assert not set(NEVER.split()) & {*seccomp.ALLOWED, *seccomp.REFUSED}


def filtered(act: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(seccomp.build())
        return act()

    return run


@needs_seccomp
def test_seccomp_lets_a_worker_work() -> None:
    assert in_child(filtered(lambda: (bytearray(1 << 24), os.getpid(), os.write(2, b"")))) == 0


@needs_seccomp
@pytest.mark.parametrize(
    "act",
    [
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        os.fork,
        lambda: os.kill(os.getpid(), 0),
        lambda: os.execv(sys.executable, [sys.executable]),  # noqa: S606 it must not start
        lambda: os.rename("/none", "/nowhere"),
        lambda: os.setuid(os.getuid()),
        lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1),
    ],
    ids=["socket", "fork", "kill", "exec", "rename", "setuid", "prctl"],
)
def test_seccomp_kills_for_what_no_controller_needs(act: Callable[[], object]) -> None:
    assert in_child(filtered(act)) == -signal.SIGSYS


@needs_seccomp
def test_seccomp_refuses_files_and_machine_code() -> None:
    import mmap  # noqa: PLC0415

    code = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    assert in_child(filtered(lambda: os.open("/", os.O_RDONLY))) == errno.EPERM
    assert in_child(filtered(lambda: mmap.mmap(-1, 4096, prot=code))) == errno.EPERM


def test_seccomp_is_missing_on_machines_it_was_not_tried_on() -> None:
    assert seccomp.missing("riscv64") == "not tried on riscv64"


def test_seccomp_is_missing_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library() -> ctypes.CDLL:
        raise OSError("libseccomp.so.2: cannot open shared object file")

    monkeypatch.setattr(seccomp, "_library", no_library)
    assert seccomp.missing("x86_64") == "libseccomp.so.2 is not installed"


@needs_seccomp
def test_seccomp_is_missing_where_the_kernel_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "system_call", failing(errno.EOPNOTSUPP))
    assert seccomp.missing("x86_64") == "the kernel has none (made up)"


@needs_seccomp
def test_a_rule_that_the_library_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_ALLOW", 0x12345678)
    with pytest.raises(OSError, match="brk"):
        seccomp.build()


def test_a_filter_that_cannot_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoMemory:
        @staticmethod
        def seccomp_init(_: int) -> None:
            return None

    monkeypatch.setattr(seccomp, "_library", NoMemory)
    with pytest.raises(OSError, match="seccomp_init"):
        seccomp.build()


@needs_seccomp
def test_a_call_that_an_architecture_lacks_needs_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "REFUSED", (*seccomp.REFUSED, "no_such_call"))
    assert seccomp.build()


# limits


@given(st.integers(1, 2**22), st.integers(0, limits.SLOTS - 1), st.integers(0, limits.SLOTS - 1))
def test_every_worker_of_a_service_has_a_user_that_is_nobody_else(service: int, one: int, other: int) -> None:
    users = {limits.worker_user(service, slot, ALL_USERS) for slot in (one, other)}
    assert len(users) == len({one, other})
    assert all(0x70000000 <= user < 2**31 for user in users)


@given(st.integers(1, 2**22), st.integers(1, 2**22))
def test_two_services_share_no_user(one: int, other: int) -> None:
    spans = [range(limits.worker_user(s, 0, ALL_USERS), limits.worker_user(s, 0, ALL_USERS) + 64) for s in (one, other)]
    assert one == other or not set(spans[0]) & set(spans[1])


@pytest.mark.parametrize("users", ["0 100000 65536", "", "0 0 1000\n1000 5000 10"])
def test_a_container_with_few_users_makes_workers_nobody(users: str) -> None:
    assert limits.worker_user(1, 0, users) == limits.NOBODY


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ("CapEff:\t000001ffffffffff\n", True),
        ("Name:\tx\nCapEff:\t00000000000000c0\n", True),
        ("CapEff:\t0000000000000080\n", False),
        ("CapEff:\t0000000000000040\n", False),
        ("CapEff:\t0000000000000000\n", False),
        ("Name:\tx\n", False),
    ],
)
def test_only_who_may_change_both_user_and_group_may_change_user(status: str, may: bool) -> None:
    assert limits.may_change_user(status) is may


def test_only_what_is_kept_stays_open() -> None:
    reading, writing = os.pipe()

    def close_and_tell() -> None:
        limits.close_descriptors({writing})
        left = []
        for descriptor in range(1000):
            try:
                os.fstat(descriptor)
            except OSError:
                continue
            left.append(descriptor)
        os.write(writing, repr(left).encode())

    assert in_child(close_and_tell) == 0
    assert os.read(reading, 100) == repr(sorted({0, 1, 2, writing})).encode()
    for descriptor in (reading, writing):
        os.close(descriptor)


def limited(act: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        if os.geteuid() == 0:
            limits.become(limits.NOBODY)
        limits.give_up_privileges()
        limits.end_with(os.getppid())
        limits.limit(memory=limits.address_space() + (64 << 20), cpu_s=1)
        limits.limit_descriptors()
        return act()

    return run


def test_limits_leave_no_descriptor_child_or_memory() -> None:
    assert in_child(limited(lambda: bytearray(16 << 20))) == 0
    assert in_child(limited(lambda: bytearray(128 << 20))) == 99  # MemoryError
    assert in_child(limited(lambda: os.open(os.devnull, os.O_RDONLY))) == errno.EMFILE
    assert in_child(limited(socket.socket)) == errno.EMFILE
    assert in_child(limited(os.pipe)) == errno.EMFILE
    assert in_child(limited(os.fork)) == errno.EAGAIN


def test_limits_end_a_loop() -> None:
    def loop() -> None:
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True:
            pass

    assert in_child(limited(loop)) == -signal.SIGKILL


def test_limits_cannot_be_lifted() -> None:
    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    assert in_child(limited(lift)) == 99  # ValueError: not allowed to raise maximum limit


@pytest.mark.skipif(os.geteuid() != 0, reason="layer user: only root can give it up")
def test_a_user_once_given_up_does_not_come_back() -> None:
    def back() -> None:
        limits.become(limits.NOBODY)
        os.setresuid(0, 0, 0)

    assert in_child(back) == errno.EPERM


def test_who_is_orphaned_already_does_not_begin() -> None:
    assert in_child(lambda: limits.end_with(2**22)) == errno.ESRCH or in_child(lambda: limits.end_with(2**22)) == 98


# the network


def interfaces() -> set[str]:
    return {line.split(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]}


@pytest.mark.parametrize("as_root", [True, False])
def test_an_own_network_leads_nowhere(as_root: bool) -> None:
    if as_root and os.geteuid() != 0:
        pytest.skip("needs root")

    def leave() -> None:
        if not as_root and os.geteuid() == 0:
            limits.become(limits.NOBODY)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # as in a process that was started by this user
        user = os.geteuid()
        namespaces.leave_network(keeps_user=not as_root)
        assert interfaces() == {"lo"}
        assert os.geteuid() == user
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender, pytest.raises(OSError, match="unreachable"):
            sender.sendto(b"x", ("127.0.0.1", 9))

    code = in_child(leave)
    if code in (errno.EPERM, errno.ENOSPC, errno.ENOSYS, errno.EACCES):
        pytest.skip(f"layer network: the kernel refuses one ({os.strerror(code)})")
    assert code == 0


def test_who_changes_users_takes_no_namespace_in_which_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(flags: int) -> None:
        asked.append(flags)
        raise PermissionError(errno.EPERM, "made up")

    monkeypatch.setattr(kernel, "unshare", refuse)
    with pytest.raises(PermissionError):
        namespaces.leave_network(keeps_user=False)
    assert not any(flags & kernel.CLONE_NEWUSER for flags in asked)
