"""What every Unix can take from a process: descriptors, rights of its user, and shares of the machine."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Collection
from pathlib import Path

from sim.workers import kernel

NOBODY = 65534
SLOTS = 64  # workers of one service that can have users of their own
_FIRST_USER = 0x70000000  # up to 2**31 - 1 no distribution gives out users
_SERVICES = (2**31 - _FIRST_USER) // SLOTS
_SETGID, _SETUID = 1 << 6, 1 << 7  # capabilities


def close_descriptors(keep: Collection[int], wire: int | None = None) -> None:
    """Close all descriptors but `keep`; of the standard streams the input is `wire`, and the others lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream, leads in ((0, null if wire is None else wire), (1, null), (2, null)):
        os.dup2(leads, stream)
    last = 2
    for descriptor in sorted(keep):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, 1 << 20)


def worker_user(service: int, slot: int, users: str) -> int:
    """The user of a worker: no person, and none that another worker has; nobody where the machine has too few users.

    Args:
        service: process number of the service.
        slot: which of the service's workers, from 0.
        users: what /proc/self/uid_map says, on which a container has only some.
    """
    user = _FIRST_USER + SLOTS * (service % _SERVICES) + slot % SLOTS
    spans = (line.split() for line in users.splitlines())
    there = any(int(first) <= user < int(first) + int(count) for first, _, count in spans)
    return user if there else NOBODY


def may_change_user(status: str) -> bool:
    """Whether this process may become another user; `status` is what /proc/self/status says."""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    needed = _SETUID | _SETGID
    return int(line.split()[1], 16) & needed == needed


def become(user: int) -> None:
    """Become `user`, member of no group but its own, with no way back."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def end_with(parent: int) -> None:
    """Be killed when `parent` ends. After a change of user, which takes this back.

    Raises:
        ProcessLookupError: it has ended already.
    """
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError("the zygote has ended")


def give_up_privileges() -> None:
    """Never gain rights again: neither by running a program nor by being looked into."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.drop_capabilities()


def address_space() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limit(*, memory: int, cpu_s: int) -> None:
    """Limit this process: no child, no file, no core dump.

    Args:
        memory: bytes of address space that it may have.
        cpu_s: seconds of CPU time, after which the kernel kills.
    """
    _limit(resource.RLIMIT_AS, memory)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))  # a signal that says why, and then one nobody ignores
    for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK):
        _limit(kind, 0)
    _limit(resource.RLIMIT_MSGQUEUE, 0)


def limit_descriptors() -> None:
    """Let no descriptor be opened any more: no file, no socket, no pipe. What is open stays usable."""
    _limit(resource.RLIMIT_NOFILE, 0)


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))
