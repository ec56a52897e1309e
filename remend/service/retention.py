"""Telemetry goes when it is old, when there is too much of it, or when the disk runs full. Nothing else ever does.

Recordings of incidents go, oldest first; what an undecided or running patch was explained with stays. Records, audit
log, controllers and keys are never touched, and the log says what went.
"""

from __future__ import annotations

import logging
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, exists, select

from core.clock import Clock
from core.errors import RemendError
from core.status import PatchStatus
from remend import ledger, tables
from remend.store import Store
from remend.store_settings import StoreSettings

VERB = "telemetry_dropped"  # of the notes that say so
EVERY_S = 60.0
_DAY_NS = 86_400 * 10**9
_FRESH_NS = 3600 * 10**9  # an incident of the last hour may still be at work
_NEEDED = (
    PatchStatus.PROPOSED,
    PatchStatus.CHECKED,
    PatchStatus.VALIDATING,
    PatchStatus.INCONCLUSIVE,
    PatchStatus.AWAITING_APPROVAL,
    PatchStatus.APPROVED,
    PatchStatus.STAGED,
    PatchStatus.SHADOW,
    PatchStatus.CANARY,
    PatchStatus.ACTIVE,
    PatchStatus.ROLLING_BACK,
)
_LOG = logging.getLogger("remend.retention")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is kept of one occurrence of an incident."""

    folder: Path
    written_ns: int  # UTC
    size: int  # bytes


class Retention:
    """Looks now and then, in a thread of its own."""

    def __init__(self, store: Store, settings: StoreSettings, clock: Clock) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="retention", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _keep_looking(self) -> None:
        while True:
            try:
                drop_telemetry(self._store, self._settings, self._clock.wall_ns())
            except (RemendError, OSError) as error:
                _LOG.warning("telemetry could not be dropped: %s", error)
            if self._stop.wait(EVERY_S):
                return


def drop_telemetry(store: Store, settings: StoreSettings, now_ns: int) -> int:
    """Delete recordings until what is left keeps to the settings; how many went.

    Args:
        now_ns: UTC.

    Raises:
        RemendError: the store cannot be read or written.
    """
    found = recordings(store.home)
    with store.reading() as connection:
        needed = _needed(connection)
    size, count = sum(each.size for each in found), 0
    for each in found:
        why = _why(each, size, shutil.disk_usage(store.home).free, settings, now_ns)
        if not why or each.folder.name in needed or now_ns - each.written_ns < _FRESH_NS:
            continue
        shutil.rmtree(each.folder)  # before the note: on a full disk the note has no room until then
        size, count = size - each.size, count + 1
        store.add_note(each.folder.name, actor="service", verb=VERB, payload={"why": why, "bytes": str(each.size)})
        _LOG.info("telemetry of %s dropped: %s", each.folder.name, why)
    return count


def recordings(home: Path) -> list[Recording]:
    """All recordings, oldest first."""
    found = []
    for folder in (home / "incidents").glob("*"):
        stats = [file.stat() for file in folder.glob("*") if file.is_file()]
        if stats:
            newest = max(stat.st_mtime_ns for stat in stats)
            found.append(Recording(folder=folder, written_ns=newest, size=sum(stat.st_size for stat in stats)))
    return sorted(found, key=lambda each: (each.written_ns, each.folder.name))


def _why(each: Recording, size: int, free: int, settings: StoreSettings, now_ns: int) -> str:
    if now_ns - each.written_ns > settings.telemetry_days * _DAY_NS:
        return f"it is older than {settings.telemetry_days:.4g} days"
    if size > settings.telemetry_mb * 10**6:
        return f"there was more than {settings.telemetry_mb} MB of telemetry"
    if free < settings.reserve_mb * 10**6:
        return f"the disk had less than {settings.reserve_mb} MB left"
    return ""


def _needed(connection: Connection) -> frozenset[str]:
    """Incidents whose telemetry a patch may still be explained with."""
    moves, later = tables.moves.c, tables.moves.alias()
    query = (
        select(tables.candidates.c.incident_id)
        .join(tables.moves, moves.patch_id == tables.candidates.c.id)
        .where(moves.after.in_([status.value for status in _NEEDED]))
        .where(~exists().where(later.c.patch_id == moves.patch_id, later.c.rev > moves.rev))
    )
    return frozenset(connection.scalars(query))


def why_dropped(connection: Connection, recording: str) -> str:
    """Why a recording is not there any more; empty if it was never dropped."""
    notes = ledger.notes(connection, recording, VERB)
    return notes[-1].payload["why"] if notes else ""
