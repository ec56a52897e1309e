"""Confinement: what the zygote finds on this machine, and how a forked worker goes behind it, with no way back.

The order matters. Descriptors go first, while there are some to close. The user comes before the death signal, which a
change of user takes back. seccomp comes last, because what comes before needs calls that it kills for.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sim.workers import landlock, limits, seccomp
from sim.workers.layers import Layer, Layers
from sim.workers.namespaces import leave_network

_OLD_KERNEL = "use Linux 5.13 or newer, with Landlock switched on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What every worker of this zygote goes behind. A worker that cannot go behind all of it does not run."""

    layers: Layers
    own_user: bool
    ruleset: int | None  # of Landlock, a descriptor
    filter: int | None  # of seccomp
    memory: int  # bytes that a job may take on top of the warm process
    cpu_s: int

    def apply(self, *, channel: int, user: int, parent: int, wire: int | None = None) -> None:
        """Confine this process. Only `channel` stays open, and `wire` as its standard input.

        Args:
            channel: descriptor that the answer is written to.
            user: the worker's user, where it gets one.
            parent: process number of the zygote, with which the worker ends.
            wire: descriptor of the socket to the worker beside, where there is one.
        """
        memory = limits.address_space() + self.memory
        limits.close_descriptors({channel} if self.ruleset is None else {channel, self.ruleset}, wire)
        if self.own_user:
            limits.become(user)
        limits.give_up_privileges()
        limits.end_with(parent)
        limits.limit(memory=memory, cpu_s=self.cpu_s)
        if self.ruleset is not None:
            landlock.restrict(self.ruleset)
        limits.limit_descriptors()
        if self.filter is not None:
            seccomp.load(self.filter)


def prepare(*, memory: int, cpu_s: int, in_bubblewrap: bool, why_no_bubblewrap: str) -> Confinement:
    """Find out what this machine offers. Called once, in the zygote; moves it to an empty network where that works.

    Args:
        memory: bytes that a job may take on top of the warm process.
        cpu_s: seconds of CPU time that a job may take.
        in_bubblewrap: this process runs inside bubblewrap.
        why_no_bubblewrap: the reason if not.
    """
    own_user = os.geteuid() == 0 and limits.may_change_user(Path("/proc/self/status").read_text())
    abi = landlock.version()
    why_no_seccomp = seccomp.missing(platform.machine())
    # A namespace with no other user in it would take the workers' users away, which are worth more.
    network = "" if in_bubblewrap else _tried(partial(leave_network, keeps_user=not own_user))
    found = (
        Layer(name="limits", active=True),
        Layer(
            name="user",
            active=own_user,
            why="" if own_user else "only root can give each worker a user of its own",
            hint="" if own_user else "not needed while landlock and seccomp are on",
            is_extra=True,
        ),
        Layer(
            name="landlock",
            active=abi > 0,
            why=_landlock_in_words(abi),
            hint="" if abi >= landlock.SCOPES else _OLD_KERNEL,
        ),
        Layer(
            name="seccomp",
            active=not why_no_seccomp,
            why=why_no_seccomp,
            hint="sudo apt-get install libseccomp2" if why_no_seccomp else "",
        ),
        Layer(
            name="network",
            active=not network,
            why=network or ("bubblewrap's" if in_bubblewrap else ""),
            hint="sudo apt-get install bubblewrap, or allow user namespaces" if network else "",
        ),
        Layer(
            name="bubblewrap",
            active=in_bubblewrap,
            why="" if in_bubblewrap else why_no_bubblewrap,
            hint="" if in_bubblewrap else "sudo apt-get install bubblewrap, or allow user namespaces",
        ),
    )
    return Confinement(
        layers=Layers(found=found),
        own_user=own_user,
        ruleset=landlock.deny_all(abi) if abi else None,
        filter=None if why_no_seccomp else seccomp.build(),
        memory=memory,
        cpu_s=cpu_s,
    )


def _landlock_in_words(abi: int) -> str:
    if not abi:
        return "the kernel has none, or it is switched off"
    lacking = [
        what
        for since, what in (
            (landlock.TRUNCATE, "truncation of files"),
            (landlock.TCP, "TCP"),
            (landlock.SCOPES, "signals and abstract sockets"),
        )
        if abi < since
    ]
    return f"version {abi}" + (f", which knows nothing of {', '.join(lacking)}" if lacking else "")


def _tried(act: Callable[[], None]) -> str:
    """Why `act` failed; empty if it did not."""
    try:
        act()
    except OSError as error:
        return f"the kernel refuses one ({error.strerror})"
    return ""
