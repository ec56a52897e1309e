"""How a service opens its records: to work with, or, where they are damaged, to read what is left of them."""

from __future__ import annotations

from pathlib import Path

from core.clock import Clock
from core.errors import BadInput, Damaged
from remend import salvage
from remend.audit import verify_home
from remend.database import FILE
from remend.home import exclusive
from remend.keys import KeyRing
from remend.sqlite_file import REMEDY
from remend.store import Store


def open_or_read(home: Path, clock: Clock) -> Store:
    """Open the store; if its file is damaged, set it aside, and open what can be read of it, for readers only.

    Raises:
        BadInput: the keys are lost; or, as Damaged, a database server is damaged.
        Refused: the database was written by a newer Remend, or a key file can be read by others.
        Unavailable: the disk is full, or the database does not answer.
    """
    try:
        _require_whole(home)
        return Store.open(home, clock)
    except Damaged as error:
        with exclusive(home):
            broken = salvage.found_aside(home)
            if broken is None and not (home / FILE).exists():
                raise
            why = str(error)
            if broken is None:
                broken = salvage.set_aside(home, clock.wall_ns())
                why = f"{why}. It is set aside as {broken.name}"
            engine = salvage.salvaged(home, broken)
        return Store(home, engine, KeyRing.load(home), clock, read_only=why)


def _require_whole(home: Path) -> None:
    """Read every row of the audit log, and every record: whole pages say nothing of what is on them."""
    if not (home / FILE).exists():
        return
    try:
        verdict = verify_home(home)
    except Damaged:
        raise
    except BadInput:  # a first start that was killed, or lost keys: opening says which
        return
    if not verdict.ok:
        raise Damaged(f"{home / FILE} is damaged ({verdict.why}); {REMEDY}")


def close(store: Store) -> None:
    """Close what `open_or_read` opened."""
    store.close()
    if store.read_only:
        salvage.away(store.home)
