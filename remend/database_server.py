"""PostgreSQL: a database that a URL names. One writer at a time, as with a file; readers see one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DataError, DBAPIError, NoSuchModuleError, OperationalError

from core.errors import BadInput, Conflict, Damaged, Refused, RemendError, Unavailable

WAIT_MS = 10_000  # for another writer
_WRITERS = 0x52454D454E44  # "REMEND": the advisory lock that writers take, one number in each database
_OPTIONS = f"-c lock_timeout={WAIT_MS} -c synchronous_commit=on -c idle_in_transaction_session_timeout=60000"

# How codes of PostgreSQL's errors begin (appendix A of its manual), and what each means for who asked
_MEANINGS: tuple[tuple[tuple[str, ...], type[RemendError], str], ...] = (
    (("55P03", "40001", "40P01"), Conflict, "{place} is held by another process; try again"),
    (("28", "42501", "3D000"), Refused, "{place} lets nobody in ({reason}); look at store.url and the server's users"),
    (("25006",), Unavailable, "{place} takes no writes now ({reason}); ask again when it is the primary"),
    (("XX001", "XX002"), Damaged, "{place} is damaged ({reason}); restore it from a backup"),
    (("53",), Unavailable, "{place} cannot be written ({reason}); free its disk, then ask again: nothing was done"),
)


def engine_of(url: str) -> Engine:
    """An engine for a URL; nothing is connected yet.

    Raises:
        BadInput: the URL makes no sense, or the driver is not installed.
    """
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
        return create_engine(address, pool_pre_ping=True, connect_args={"options": _OPTIONS, "connect_timeout": 5})
    except ModuleNotFoundError as error:
        raise BadInput(f"{error.name} is not installed; pip install 'remend[postgres]'") from None
    except (ValueError, NoSuchModuleError) as error:
        raise BadInput(f"store.url is no address of a database ({error}); see docs/settings.md") from None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction that waits for the one before it."""
    with (
        engine.connect().execution_options(isolation_level="READ COMMITTED") as connection,  # each look after the lock
        connection.begin(),
    ):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: everything in it is from the same moment."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn what PostgreSQL says into errors that say who has to act."""
    try:
        yield
    except DBAPIError as error:
        known = _known(error, place)
        if known is None:  # a constraint: a programming error, or handled nearer to the question
            raise
        raise known from error


def _known(error: DBAPIError, place: str) -> RemendError | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    reason = " ".join(str(error.orig).split()) or "no answer"
    for states, kind, sentence in _MEANINGS:
        if state.startswith(states):
            return kind(sentence.format(place=place, reason=reason))
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return Unavailable(f"{place} cannot be reached ({reason}); start the server, then ask again")
    if isinstance(error, DataError):
        return BadInput(f"that is nothing that {place} can hold or look for ({reason})")
    return None


def place_of(engine: Engine) -> str:
    """Where the database is, in words without secrets."""
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=True)
