"""A network of its own for the zygote and its workers, without any way out, where bubblewrap has not made one."""

from __future__ import annotations

import os
from pathlib import Path

from sim.workers import kernel

_ALONE = kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


def leave_network(*, keeps_user: bool) -> None:
    """Move this process, which must have one thread, to an empty network.

    Args:
        keeps_user: without the right to do so, take a user namespace, in which nobody but the present user exists.

    Raises:
        OSError: this machine does not let it.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.unshare(_ALONE)
    except PermissionError:
        if not keeps_user:
            raise
        kernel.unshare(kernel.CLONE_NEWUSER | _ALONE)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
