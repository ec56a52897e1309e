"""Calls to the Linux kernel that Python has no name for; a call that fails raises OSError."""

from __future__ import annotations

import ctypes
import os
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Capabilities(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def prctl(option: int, *arguments: int) -> int:
    """prctl(2)."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _checked("prctl", _libc.prctl(option, *(ctypes.c_ulong(argument) for argument in padded)))


def system_call(number: int, *arguments: Any) -> int:
    """syscall(2): a call by its number; integers are passed as long."""
    plain = (ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    return _checked(f"system call {number}", _libc.syscall(ctypes.c_long(number), *plain))


def unshare(flags: int) -> None:
    """unshare(2): namespaces of its own for this process and its children."""
    _checked("unshare", _libc.unshare(ctypes.c_int(flags)))


def drop_capabilities() -> None:
    """Give up every capability, for ever."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    none = (_Capabilities * 2)()
    _checked("capset", _libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), none))


def _checked(name: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result
