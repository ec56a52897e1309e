"""`remend doctor`: is this installation whole, and what can it not do here? Looks, and changes nothing.

Everything beyond the standard library is imported inside a check, so that a broken installation can still say why.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from remend import model_check, workers_check
from remend.finding import Finding, Status, failure, fine, in_one_line, warning
from remend.home import home_path

PACKAGES = ("core", "controllers", "telemetry", "sim", "patcher", "remend")
OLDEST_PYTHON = (3, 11)
_COARSE_CLOCK_S = 1e-5  # a hundredth of a tick at 1 kHz
_TRY_FIFO = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that Remend imports."""

    module: str  # what is imported; ours where an import needs care
    distribution: str
    extra: str  # "" is the base install
    use: str  # what is lost without it


LIBRARIES = (
    Library(module="pinocchio", distribution="pin", extra="", use="the rigid-body model"),
    Library(module="numba", distribution="numba", extra="", use="the detector's inner loops"),
    Library(module="cryptography", distribution="cryptography", extra="", use="signatures"),
    Library(module="mcap", distribution="mcap", extra="", use="recordings"),
    Library(module="pyulog", distribution="pyulog", extra="", use="PX4 flight logs"),
    Library(module="sim.bullet", distribution="pybullet", extra="sim", use="simulation"),
    Library(module="pygit2", distribution="pygit2", extra="sim", use="controller versions"),
    Library(module="sqlalchemy", distribution="SQLAlchemy", extra="sim", use="records and the audit log"),
)


def examine(environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything that `remend doctor` prints, in its order.

    Args:
        environ: by default the environment of this process.
    """
    home = home_path(os.environ if environ is None else environ)
    return [
        python_version(sys.version_info[:3]),
        *own_packages(),
        openmp("libgomp.so.1"),
        *(library(item) for item in LIBRARIES),
        home_folder(home),
        audit_log(home),
        processors(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
        clock(time.get_clock_info("monotonic").resolution),
        scheduler(may_use_fifo()),
        *workers_check.confinement(home),
        *model_check.language_model(home),
        ros(),
    ]


def worst(findings: Iterable[Finding]) -> Status:
    """The status of the whole installation."""
    found = {finding.status for finding in findings}
    return next((status for status in (Status.FAIL, Status.WARN) if status in found), Status.OK)


def python_version(version: tuple[int, ...]) -> Finding:
    """Whether this Python is new enough; `version` is major, minor, micro."""
    text = ".".join(map(str, version))
    if version[:2] < OLDEST_PYTHON:
        return failure("python", f"version {text}", "make a new environment with Python 3.11")
    return fine("python", f"version {text}")


def own_packages() -> Iterator[Finding]:
    """Remend's packages have plain names; a foreign package of the same name would be imported in their place."""
    root = Path(__file__).resolve().parent.parent
    owners = importlib.metadata.packages_distributions()
    found = {name: _folder(name) for name in PACKAGES}
    foreign = [name for name, folder in found.items() if folder is not None and folder != root / name]
    shared = [name for name in PACKAGES if set(owners.get(name, ["remend"])) - {"remend"}]
    for name in sorted({*foreign, *shared}):
        others = ", ".join(sorted(set(owners.get(name, [])) - {"remend"})) or "another package"
        yield failure(
            "packages", f"{name} is {others}, at {found[name]}", "install Remend into an environment of its own"
        )
    for name in (name for name, folder in found.items() if folder is None):
        yield failure("packages", f"{name} is missing beside {root}", "install Remend again")
    if not foreign and not shared and None not in found.values():
        yield fine("packages", f"{', '.join(PACKAGES)} are Remend's own")


def _folder(package: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).resolve().parent if spec is not None and spec.origin is not None else None


def openmp(name: str) -> Finding:
    """The one system library that Pinocchio's wheels do not bring along."""
    if not sys.platform.startswith("linux"):
        return fine("libgomp", "not needed on this system")
    try:
        ctypes.CDLL(name)
    except OSError:
        return failure(
            "libgomp", f"{name} cannot be loaded, so Pinocchio cannot either", "sudo apt-get install libgomp1"
        )
    return fine("libgomp", f"{name} loads")


def library(item: Library) -> Finding:
    """Whether a library can be imported, and which version it is."""
    try:
        importlib.import_module(item.module)
        version = importlib.metadata.version(item.distribution)
    except (ImportError, OSError, RuntimeError) as error:  # a wheel for another CPU fails in any of these ways
        package = f"'remend[{item.extra}]'" if item.extra else "remend"
        finding = warning if item.extra else failure
        return finding(item.distribution, f"no {item.use}: {in_one_line(error)}", f"pip install {package}")
    return fine(item.distribution, f"version {version}")


def home_folder(home: Path) -> Finding:
    """Whether records and keys can be written, and by this user alone."""
    try:
        if fault := _home_fault(home):
            return failure("home", fault, "set REMEND_HOME to a folder that can be written")
        if not home.exists():
            return fine("home", f"{home} will be created on first use")
        mode = stat.S_IMODE(home.stat().st_mode)
    except OSError as error:
        return failure("home", f"{home} cannot be examined ({error.strerror})", "set REMEND_HOME to another folder")
    if mode & 0o077:
        return warning("home", f"{home} is open to other users (mode {mode:04o})", f"chmod 700 {home}")
    return fine("home", f"{home} is writable, mode {mode:04o}")


def _home_fault(home: Path) -> str:
    if not home.exists():
        parent = next(folder for folder in home.parents if folder.exists())
        may_create = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
        return "" if may_create else f"{home} cannot be created in {parent}"
    if not home.is_dir():
        return f"{home} is not a folder"
    return "" if os.access(home, os.R_OK | os.W_OK | os.X_OK) else f"{home} cannot be written"


def audit_log(home: Path) -> Finding:
    """Whether the log of decisions is what was written, where there is one."""
    if not (home / "remend.db").exists() and not _has_server(home):
        lost = [name for name in ("audit.head", "keys/service.pem") if (home / name).exists()]
        if lost:
            return warning("audit log", f"{home} has {lost[0]} and no remend.db", "restore remend.db from a backup")
        return fine("audit log", "no decisions yet")
    try:
        from core.errors import RemendError  # noqa: PLC0415 - see the module docstring
        from remend.audit import verify_home  # noqa: PLC0415
    except (ImportError, OSError) as error:
        return warning("audit log", f"cannot be verified: {in_one_line(error)}", "pip install 'remend[sim]'")
    hint = "keep a copy of the home folder, then restore database and head from one backup"
    try:
        verdict = verify_home(home)
    except RemendError as error:
        return failure("audit log", in_one_line(error), hint)
    if not verdict.ok:
        return failure("audit log", verdict.why, hint)
    return fine("audit log", f"{verdict.rows} rows verify")


def _has_server(home: Path) -> bool:
    """Whether the records are in a database elsewhere; settings that cannot be read are another check's business."""
    try:
        from core.errors import RemendError  # noqa: PLC0415 - see the module docstring
        from remend.store_settings import stored_at  # noqa: PLC0415
    except (ImportError, OSError):
        return False
    try:
        return bool(stored_at(home))
    except RemendError:
        return False


def processors(count: int) -> Finding:
    """Processors that this process may use."""
    if count < 2:
        what = "1 processor: the control loop shares it with every simulation"
        return warning("processors", what, "use two or more, or expect missed deadlines in real time")
    return fine("processors", f"{count} usable")


def clock(resolution_s: float) -> Finding:
    """Resolution of the monotonic clock, which measures every duration [s]."""
    what = f"monotonic resolution {resolution_s * 1e9:g} ns"
    if resolution_s > _COARSE_CLOCK_S:
        return warning("clock", f"{what}: too coarse to judge deadlines", "use a kernel with high-resolution timers")
    return fine("clock", what)


def may_use_fifo() -> bool:
    """Whether a process of this user gets real-time scheduling; tried in a child that ends at once."""
    if not hasattr(os, "SCHED_FIFO"):
        return False
    try:
        done = subprocess.run([sys.executable, "-ISc", _TRY_FIFO], capture_output=True, timeout=20, check=False)  # noqa: S603 - a constant
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def scheduler(may_fifo: bool) -> Finding:
    """Real-time scheduling rights of this user."""
    if may_fifo:
        return fine("scheduler", "SCHED_FIFO may be used")
    return warning(
        "scheduler",
        "SCHED_FIFO may not be used: a busy machine delays ticks in real time; lockstep runs lose nothing",
        "give this user rtprio in /etc/security/limits.d, or the container the capability SYS_NICE",
    )


def ros() -> Finding:
    """ROS 2's Python client. Recordings of ROS 2 are read without it."""
    if importlib.util.find_spec("rclpy") is not None:
        return fine("ros 2", "rclpy is there")
    return fine("ros 2", "rclpy is not installed; recordings of ROS 2 are read without it", "pip install 'remend[ros]'")
