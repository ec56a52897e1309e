"""Whether the service itself is well: caretakers, disk, versions, and what `remend doctor` finds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from remend import __version__, doctor, numbers
from remend.agency.account import Account, account
from remend.agency.uses import uses
from remend.database import FILE
from remend.finding import Finding
from remend.service.service import Service
from remend.service.supervision import Care
from remend.store_settings import stored_at
from remend.web.resources import robot_shown
from remend.web.views.states import Pill, robot_pill

_COMPONENTS = ("fastapi", "uvicorn", "sqlalchemy", "numpy", "pybullet", "pin")
_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class CareRow:
    """One caretaker."""

    robot_id: str
    pill: Pill
    doing: str
    starts: int
    behind: str  # how it keeps up with the telemetry
    lost: bool  # whether any was lost
    model: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """Everything that the page shows."""

    cares: tuple[CareRow, ...]
    facts: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    accounts: tuple[Account, ...]  # what each robot's policy allows, and what was used
    findings: tuple[Finding, ...] | None  # None: nobody has asked


def status_page(service: Service, *, examine: bool) -> StatusPage:
    """The page; the doctor takes seconds and is asked only for `examine`."""
    disk = shutil.disk_usage(service.home)
    return StatusPage(
        cares=tuple(_care_row(care) for care in service.cares.values()),
        facts=(
            ("Home folder", str(service.home)),
            ("Database", _size(service.home / FILE) or stored_at(service.home)),
            ("Disk", f"{disk.free / 1e9:.3g} GB free of {disk.total / 1e9:.3g} GB"),
            ("Evidence can be approved for", f"{service.settings.decision_hours:.3g} h"),
            ("An incident may cost", f"{service.settings.search_rollouts} search rollouts"),
            ("False alarms", f"{service.settings.false_alarms_per_hour:.3g} an hour are accepted"),
        ),
        versions=(("remend", __version__), *((name, _version(name)) for name in _COMPONENTS)),
        accounts=_accounts(service),
        findings=tuple(doctor.examine()) if examine else None,
    )


def _care_row(care: Care) -> CareRow:
    shown = robot_shown(care)
    behind = "not known yet" if shown.behind_s is None else f"{shown.behind_s:.1f} s"
    lost = f", {numbers.count(shown.lost_rows)} rows lost" if shown.lost_rows else ""
    return CareRow(
        robot_id=shown.robot_id,
        pill=robot_pill(shown),
        doing=shown.doing or "nothing yet",
        starts=care.starts,
        behind=behind + lost,
        lost=bool(shown.lost_rows),
        model=care.entry.model,
        link=care.entry.link,
    )


def _accounts(service: Service) -> tuple[Account, ...]:
    now_ns = service.clock.wall_ns()
    with service.store.reading() as connection:
        return tuple(account(service.agency, name, uses(connection, name, now_ns)) for name in service.cares)


def _size(file: Path) -> str:
    return f"{file.stat().st_size / _MB:.3g} MB" if file.exists() else ""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
