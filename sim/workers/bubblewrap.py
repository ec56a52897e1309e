"""bubblewrap around the zygote: it sees the libraries that it needs, and no other file, process or network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

_LIBRARIES = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")
_MACHINE = ("/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage")  # how many processors, which pages
_ALONE = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")


def find() -> str | None:
    """The program, if it is installed."""
    return shutil.which("bwrap")


def wrapped(program: str, command: Sequence[str], readable: Iterable[str], *, as_root: bool) -> list[str]:
    """`command` inside bubblewrap.

    Args:
        program: bubblewrap itself.
        readable: folders and files that are seen, read-only, besides the system's libraries.
        as_root: keep the right to give each worker a user of its own; otherwise take a user namespace.
    """
    line = [program, *_ALONE, "--new-session", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108
    line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if as_root else ["--unshare-user"]
    for path in (*_LIBRARIES, *_MACHINE, *_outermost(readable)):
        line += ["--ro-bind-try", path, path]
    return [*line, "--chdir", "/", *command]


def _outermost(paths: Iterable[str]) -> list[str]:
    """Absolute paths without those that lie in another of them, or that are the whole machine."""
    absolute = sorted({os.path.realpath(path) for path in paths} | {os.path.abspath(path) for path in paths})
    kept: list[str] = []
    for path in absolute:
        if path != "/" and not any(Path(path).is_relative_to(outer) for outer in kept):
            kept.append(path)
    return kept
