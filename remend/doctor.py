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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from remend.home import home_path

if TYPE_CHECKING:
    from sim.workers.settings import WorkerSettings

PACKAGES = ("core", "controllers", "telemetry", "sim", "patcher", "remend")
OLDEST_PYTHON = (3, 11)
_COARSE_CLOCK_S = 1e-5  # a hundredth of a tick at 1 kHz
_TRY_FIFO = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"


class Status(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARN = "warn"  # something works less well, or not at all, and the rest does
    FAIL = "fail"  # Remend cannot work like this


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str  # what was looked at, one or two words
    status: Status
    what: str  # what was found
    hint: str = ""  # what to do about it; empty if nothing


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
        *confinement(home),
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
        return _fail("python", f"version {text}", "make a new environment with Python 3.11")
    return _ok("python", f"version {text}")


def own_packages() -> Iterator[Finding]:
    """Remend's packages have plain names; a foreign package of the same name would be imported in their place."""
    root = Path(__file__).resolve().parent.parent
    owners = importlib.metadata.packages_distributions()
    found = {name: _folder(name) for name in PACKAGES}
    foreign = [name for name, folder in found.items() if folder is not None and folder != root / name]
    shared = [name for name in PACKAGES if set(owners.get(name, ["remend"])) - {"remend"}]
    for name in sorted({*foreign, *shared}):
        others = ", ".join(sorted(set(owners.get(name, [])) - {"remend"})) or "another package"
        yield _fail(
            "packages", f"{name} is {others}, at {found[name]}", "install Remend into an environment of its own"
        )
    for name in (name for name, folder in found.items() if folder is None):
        yield _fail("packages", f"{name} is missing beside {root}", "install Remend again")
    if not foreign and not shared and None not in found.values():
        yield _ok("packages", f"{', '.join(PACKAGES)} are Remend's own")


def _folder(package: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).resolve().parent if spec is not None and spec.origin is not None else None


def openmp(name: str) -> Finding:
    """The one system library that Pinocchio's wheels do not bring along."""
    if not sys.platform.startswith("linux"):
        return _ok("libgomp", "not needed on this system")
    try:
        ctypes.CDLL(name)
    except OSError:
        return _fail("libgomp", f"{name} cannot be loaded, so Pinocchio cannot either", "sudo apt-get install libgomp1")
    return _ok("libgomp", f"{name} loads")


def library(item: Library) -> Finding:
    """Whether a library can be imported, and which version it is."""
    try:
        importlib.import_module(item.module)
        version = importlib.metadata.version(item.distribution)
    except (ImportError, OSError, RuntimeError) as error:  # a wheel for another CPU fails in any of these ways
        package = f"'remend[{item.extra}]'" if item.extra else "remend"
        finding = _warn if item.extra else _fail
        return finding(item.distribution, f"no {item.use}: {_one_line(error)}", f"pip install {package}")
    return _ok(item.distribution, f"version {version}")


def home_folder(home: Path) -> Finding:
    """Whether records and keys can be written, and by this user alone."""
    try:
        if fault := _home_fault(home):
            return _fail("home", fault, "set REMEND_HOME to a folder that can be written")
        if not home.exists():
            return _ok("home", f"{home} will be created on first use")
        mode = stat.S_IMODE(home.stat().st_mode)
    except OSError as error:
        return _fail("home", f"{home} cannot be examined ({error.strerror})", "set REMEND_HOME to another folder")
    if mode & 0o077:
        return _warn("home", f"{home} is open to other users (mode {mode:04o})", f"chmod 700 {home}")
    return _ok("home", f"{home} is writable, mode {mode:04o}")


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
            return _warn("audit log", f"{home} has {lost[0]} and no remend.db", "restore remend.db from a backup")
        return _ok("audit log", "no decisions yet")
    try:
        from core.errors import RemendError  # noqa: PLC0415 - see the module docstring
        from remend.audit import verify_home  # noqa: PLC0415
    except (ImportError, OSError) as error:
        return _warn("audit log", f"cannot be verified: {_one_line(error)}", "pip install 'remend[sim]'")
    hint = "keep a copy of the home folder, then restore database and head from one backup"
    try:
        verdict = verify_home(home)
    except RemendError as error:
        return _fail("audit log", _one_line(error), hint)
    if not verdict.ok:
        return _fail("audit log", verdict.why, hint)
    return _ok("audit log", f"{verdict.rows} rows verify")


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
        return _warn("processors", what, "use two or more, or expect missed deadlines in real time")
    return _ok("processors", f"{count} usable")


def clock(resolution_s: float) -> Finding:
    """Resolution of the monotonic clock, which measures every duration [s]."""
    what = f"monotonic resolution {resolution_s * 1e9:g} ns"
    if resolution_s > _COARSE_CLOCK_S:
        return _warn("clock", f"{what}: too coarse to judge deadlines", "use a kernel with high-resolution timers")
    return _ok("clock", what)


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
        return _ok("scheduler", "SCHED_FIFO may be used")
    return _warn(
        "scheduler",
        "SCHED_FIFO may not be used: a busy machine delays ticks in real time; lockstep runs lose nothing",
        "give this user rtprio in /etc/security/limits.d, or the container the capability SYS_NICE",
    )


def confinement(home: Path) -> Iterator[Finding]:
    """Which layers are around a simulation worker here, and whether they hold: workers are started and attacked."""
    try:
        from core.errors import BadInput, RobotFault  # noqa: PLC0415 - see the module docstring
        from remend.settings import load_settings  # noqa: PLC0415
        from sim.workers.self_test import examine as examine_workers  # noqa: PLC0415
    except (ImportError, OSError, AttributeError) as error:
        yield _warn("workers", f"no simulation: {_one_line(error)}", "pip install 'remend[sim]'")
        return
    try:
        settings = load_settings(home).workers
    except BadInput as error:
        yield _fail("settings", _one_line(error), "docs/settings.md explains every key")
        return
    try:
        layers, attempts = examine_workers(settings)
    except RobotFault as error:
        yield _fail(
            "workers", _one_line(error), "simulations need Linux 5.4 or newer; give the container its usual calls"
        )
        return
    for layer in layers.found:
        what = f"on{_colon(layer.why)}" if layer.active else f"off{_colon(layer.why)}"
        finding = _ok if layer.active or layer.is_extra else _warn
        yield finding(f"layer {layer.name}", what, layer.hint)
    yield self_test([attempt.attack for attempt in attempts], [a.attack for a in attempts if not a.stopped])
    if settings.address:
        yield cluster(settings)
    if layers.open_doors:
        what = f"nothing here keeps a new law from these: {', '.join(layers.open_doors)}; only known laws are simulated"
        yield _warn("workers", what, "see the layers that are off")


def cluster(settings: WorkerSettings) -> Finding:
    """How many processors the cluster has for the first of the shipped robots."""
    from core.errors import BadInput, RobotFault  # noqa: PLC0415 - see the module docstring
    from sim.catalogue import find_robot, robot_names  # noqa: PLC0415
    from sim.workers.opening import open_workers  # noqa: PLC0415

    try:
        with open_workers(find_robot(robot_names()[0]), settings) as workers:
            return _ok("cluster", f"{workers.count} processors of {settings.address} give the bits of this machine")
    except (BadInput, RobotFault) as error:
        return _fail("cluster", _one_line(error), "docs/sandbox.md says how to start one")


def self_test(tried: Sequence[str], got_through: Sequence[str]) -> Finding:
    """What became of the attacks on the workers."""
    if got_through:
        what = f"got through: {', '.join(got_through)}"
        return _fail("self-test", what, "run Remend where the layers above are on")
    return _ok("self-test", f"{len(tried)} attacks of a worker were stopped: {', '.join(tried)}")


def _colon(why: str) -> str:
    return f": {why}" if why else ""


def ros() -> Finding:
    """ROS 2's Python client. Recordings of ROS 2 are read without it."""
    if importlib.util.find_spec("rclpy") is not None:
        return _ok("ros 2", "rclpy is there")
    return _ok("ros 2", "rclpy is not installed; recordings of ROS 2 are read without it", "pip install 'remend[ros]'")


def _ok(name: str, what: str, hint: str = "") -> Finding:
    return Finding(name=name, status=Status.OK, what=what, hint=hint)


def _warn(name: str, what: str, hint: str) -> Finding:
    return Finding(name=name, status=Status.WARN, what=what, hint=hint)


def _fail(name: str, what: str, hint: str) -> Finding:
    return Finding(name=name, status=Status.FAIL, what=what, hint=hint)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
