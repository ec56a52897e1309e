"""Which home folder a database belongs to: the one whose signed head the audit log continues from."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from core.durable import write_atomically
from core.errors import BadInput, Damaged
from remend import audit
from remend.database import FILE, open_database, place_of, reading
from remend.keys import KeyRing
from remend.salvage import found_aside
from remend.sqlite_file import REMEDY
from remend.store_settings import stored_at


def keys_of(home: Path) -> KeyRing:
    """The keys of a home folder, made if nothing was signed there yet.

    Raises:
        BadInput: they are lost.
        Refused: others can read them.
    """
    # a new key next to an old database would turn every signed head into a forgery
    known = (home / FILE).exists() or (home / audit.FILE).exists()
    return KeyRing.load(home) if known else KeyRing.open(home)


def claimed(home: Path, keys: KeyRing) -> Engine:
    """The database of a home folder, opened; a new log begins with a signed head. Hold the home folder meanwhile.

    Raises:
        BadInput: the database holds the records of another home folder.
        Damaged, Refused, Unavailable: as opening it does.
    """
    head, on_server = home / audit.FILE, bool(stored_at(home))
    if not on_server and (broken := found_aside(home)):
        raise Damaged(f"{home / FILE} was damaged and is set aside as {broken.name}; {REMEDY}")
    if not on_server and not (home / FILE).exists() and not head.exists():
        # the head comes first: a database without a head is a sign of tampering, never of a kill
        _begin_log(head, keys)
    engine = open_database(home)
    try:
        if on_server and not head.exists():
            _require_unclaimed(engine)
            _begin_log(head, keys)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _begin_log(head: Path, keys: KeyRing) -> None:
    write_atomically(head, audit.Head.signed(0, audit.GENESIS, keys.service).to_json())


def _require_unclaimed(engine: Engine) -> None:
    with reading(engine) as connection:
        if audit.last_row(connection)[0]:
            raise BadInput(
                f"{place_of(engine)} holds the records of another home folder; restore that folder from its backup, "
                "or name an empty database in store.url"
            )
