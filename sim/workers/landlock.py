"""Landlock: the kernel refuses every access to files, TCP, and processes outside, and nobody can lift that again.

A ruleset without rules: all that it handles is denied. Which accesses it can handle grew with the kernel's version of
Landlock (docs.kernel.org/userspace-api/landlock.html); UDP is in none of them.
"""

from __future__ import annotations

import ctypes
import errno
import os

from sim.workers.kernel import system_call

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same numbers on every architecture
_VERSION_FLAG = 1
TRUNCATE, TCP, SCOPES = 3, 4, 6  # from which version on truncation, TCP, and signals and abstract sockets are handled
# version -> accesses to files handled from then on: the first version's thirteen, refer, truncate, ioctl on devices
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, TRUNCATE: 1 << 14, 5: 1 << 15}
_ALL_TCP = 0b11  # bind, connect
_ALL_SCOPES = 0b11  # abstract sockets, signals


class _Attributes(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


def version() -> int:
    """The kernel's version of Landlock; 0 if it has none, or it is switched off."""
    try:
        return system_call(_CREATE_RULESET, 0, 0, _VERSION_FLAG)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
        return 0


def handled(abi: int) -> tuple[int, int, int]:
    """What a ruleset of version `abi` denies: bits of accesses to files, of accesses to TCP, of scopes."""
    files = sum(bits for since, bits in _FILES.items() if since <= abi)
    return files, _ALL_TCP if abi >= TCP else 0, _ALL_SCOPES if abi >= SCOPES else 0


def deny_all(abi: int) -> int:
    """A ruleset that denies everything version `abi` knows of; its descriptor."""
    attributes = _Attributes(*handled(abi))
    size = 24 if abi >= SCOPES else 16 if abi >= TCP else 8  # an older kernel refuses what it does not know
    return system_call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)


def restrict(ruleset: int) -> None:
    """Put this process under `ruleset`, for ever, and close it. Needs no new privileges to have been given up."""
    system_call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
