"""seccomp: the kernel kills a worker that asks it for anything but memory, time, and writing its answer.

It may read one descriptor, its standard input: that leads to the worker beside, or nowhere.

The filter is libseccomp's, which knows the numbers of system calls on every architecture.
"""

from __future__ import annotations

import ctypes
import errno
from functools import cache

from sim.workers import kernel

_MEMORY = ("brk", "madvise", "mincore", "mmap", "mprotect", "mremap", "munmap")
_WRITING = ("close", "fstat", "lseek", "write")  # the answer, to a pipe that is open already
_TIME = ("clock_getres", "clock_gettime", "getrandom", "getrusage", "gettimeofday", "times")
_WHO = ("getegid", "geteuid", "getgid", "getpid", "getppid", "gettid", "getuid", "sched_getaffinity", "sched_yield")
_THREAD = ("futex", "get_robust_list", "rseq", "set_robust_list", "sigaltstack")
_SIGNALS = ("restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn")
_END = ("exit", "exit_group")
ALLOWED = (*_MEMORY, *_WRITING, *_TIME, *_WHO, *_THREAD, *_SIGNALS, *_END)
# Libraries look for files and descriptors that they can do without; they are told that they may not.
_OPEN = ("access", "faccessat", "faccessat2", "open", "openat", "openat2", "pipe", "pipe2", "unlink", "unlinkat")
_LOOK = ("fstatfs", "getcwd", "getdents64", "lstat", "newfstatat", "readlink", "readlinkat", "stat", "statfs", "statx")
_READ = ("dup", "dup2", "dup3", "fcntl", "ioctl", "poll", "ppoll", "pread64", "readv")
_SYSTEM = ("prlimit64", "sysinfo", "uname")
REFUSED = (*_OPEN, *_LOOK, *_READ, *_SYSTEM)
_INPUT = "read"  # of the standard input; of any other descriptor: refused
_EXECUTABLE = ("mmap", "mprotect")  # with memory that may be executed: refused
_PROT_EXEC = 4

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_REFUSE = 0x00050000 | errno.EPERM
_SET_BAD_ARCHITECTURE = 2  # an attribute: what happens to a call of another architecture
_NOT_EQUAL, _EQUAL, _MASKED_EQUAL = 1, 4, 7
_NUMBER = {"x86_64": 317, "aarch64": 277}  # of seccomp(2) itself
_GET_ACTION_AVAILABLE = 2


class _Compare(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    ]


@cache
def _library() -> ctypes.CDLL:
    """Raises OSError where libseccomp is not installed."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Compare),
    ]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    return library


def missing(machine: str) -> str:
    """Why there is no seccomp here, in words; empty if there is. `machine` as `platform.machine()` says it."""
    if machine not in _NUMBER:
        return f"not tried on {machine}"
    try:
        _library()
    except OSError:
        return "libseccomp.so.2 is not installed"
    try:
        kernel.system_call(_NUMBER[machine], _GET_ACTION_AVAILABLE, 0, ctypes.byref(ctypes.c_uint32(_KILL_PROCESS)))
    except OSError as error:
        return f"the kernel has none ({error.strerror})"
    return ""


def build() -> int:
    """The filter, for `load`; it is built once, in the zygote."""
    library = _library()
    context: int | None = library.seccomp_init(_KILL_PROCESS)
    if not context:
        raise OSError(errno.ENOMEM, "seccomp_init")
    _checked("seccomp_attr_set", library.seccomp_attr_set(context, _SET_BAD_ARCHITECTURE, _KILL_PROCESS))
    for name in ALLOWED:
        if name in _EXECUTABLE:
            _rule(context, _ALLOW, name, _Compare(2, _MASKED_EQUAL, _PROT_EXEC, 0))
            _rule(context, _REFUSE, name, _Compare(2, _MASKED_EQUAL, _PROT_EXEC, _PROT_EXEC))
        else:
            _rule(context, _ALLOW, name)
    for name in REFUSED:
        _rule(context, _REFUSE, name)
    _rule(context, _ALLOW, _INPUT, _Compare(0, _EQUAL, 0, 0))
    _rule(context, _REFUSE, _INPUT, _Compare(0, _NOT_EQUAL, 0, 0))
    return context


def load(context: int) -> None:
    """Put this process under the filter, for ever. Needs no new privileges to have been given up."""
    _checked("seccomp_load", _library().seccomp_load(context))


def _rule(context: int, action: int, name: str, *compare: _Compare) -> None:
    number = _library().seccomp_syscall_resolve_name(name.encode())
    if number < 0:  # this architecture has no such call
        return
    conditions = (_Compare * len(compare))(*compare)
    _checked(name, _library().seccomp_rule_add_array(context, action, number, len(compare), conditions))


def _checked(what: str, result: int) -> None:
    if result < 0:
        raise OSError(-result, what)
