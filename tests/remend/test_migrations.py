"""A database of an earlier version becomes one of today, with a copy of how it was, or stays as it was."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy.exc import OperationalError

from core.clock import ManualClock
from core.errors import Unavailable
from remend import schema, tables
from remend.audit import verify_home
from remend.database import BACKUPS
from remend.store import Store

RELEASED = Path(__file__).with_name("schema-4.sql")  # the tables of the last version without revisions, as it made them


def shape(file: Path) -> set[str]:
    """What a database is made of, without what names its version."""
    with closing(sqlite3.connect(file)) as raw:
        found = raw.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
        return {" ".join(sql.split()) for (sql,) in found}


@pytest.fixture
def lived(home: Path, clock: ManualClock, samples: ModuleType) -> Path:
    """A home with a decided patch."""
    judged = samples.report(samples.candidate())
    with Store.open(home, clock) as store:
        store.add_incident(samples.incident())
        samples.await_approval(store, samples.candidate(), judged)
        store.decide(samples.decision(judged))
    return home


def test_the_first_revisions_make_what_was_released(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "released.db")) as raw:
        raw.executescript(RELEASED.read_text())
    made = schema.made_by_revisions(tmp_path / "made.db", "0004")
    assert shape(made) == shape(tmp_path / "released.db")


def test_a_new_database_has_the_same_tables_as_one_that_walked_through_every_revision(home: Path) -> None:
    Store.open(home).close()
    made = schema.made_by_revisions(home / "made.db", "head")
    assert shape(made) == shape(home / "remend.db")
    for file in (made, home / "remend.db"):
        with closing(sqlite3.connect(file)) as raw:
            assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [
                (schema.revision(tables.SCHEMA_VERSION),)
            ]


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_home_of_an_earlier_version_keeps_its_records(
    lived: Path, clock: ManualClock, samples: ModuleType, version: int
) -> None:
    samples.as_before(lived, version)
    assert verify_home(lived).ok, "it can be read before it is migrated"
    rows = verify_home(lived).rows
    with Store.open(lived, clock) as store:
        assert store.patch("pat_1").status.value == "approved"
        store.add_incident(samples.incident("inc_2"))
    verdict = verify_home(lived)
    assert verdict.ok
    assert verdict.rows == rows + 1
    assert len(list((lived / BACKUPS).glob("*.db"))) == (version < tables.SCHEMA_VERSION)


def test_who_was_signed_in_stays_so_and_a_token_keeps_what_it_may(tmp_path: Path) -> None:
    file = schema.made_by_revisions(tmp_path / "five.db", "0005")
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("INSERT INTO users VALUES ('ada', 'operator', 'x', 1)")
        for name, kind, role in (("a", "session", "operator"), ("b", "token", "operator high_risk")):
            row = (name * 64, f"pas_{name}", "ada", kind, role, "nightly", 5, 9)
            raw.execute("INSERT INTO passes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    schema.made_by_revisions(file, "head")
    with closing(sqlite3.connect(file)) as raw:
        columns = "id, user, kind, role, scopes, label, created_ns, confirmed_ns, expires_ns"
        found = raw.execute(f"SELECT {columns} FROM passes ORDER BY id").fetchall()  # noqa: S608 a constant
    assert found == [
        ("pas_a", "ada", "session", "operator", "", "nightly", 5, 5, 9),
        ("pas_b", "ada", "token", "operator", "high_risk", "nightly", 5, 5, 9),
    ]


def test_the_copy_made_before_a_migration_is_the_database_as_it_was(
    lived: Path, clock: ManualClock, samples: ModuleType
) -> None:
    samples.as_before(lived, 1)
    before = shape(lived / "remend.db")
    Store.open(lived, clock).close()
    (copy,) = (lived / BACKUPS).iterdir()
    assert re.fullmatch(r"schema-1-row-\d+\.db", copy.name)
    assert shape(copy) == before
    assert copy.stat().st_mode & 0o077 == 0
    copy.replace(lived / "remend.db")
    assert verify_home(lived).ok, "putting it back is all that is needed to go on with the Remend from before"


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    lived: Path, clock: ManualClock, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.as_before(lived, 1)
    before = shape(lived / "remend.db")
    whole = schema.bring_up

    def full_disk_at_the_end(*arguments: object) -> None:
        whole(*arguments)  # type: ignore[arg-type]
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(schema, "bring_up", full_disk_at_the_end)
        with pytest.raises(Unavailable, match="free the disk"):
            Store.open(lived, clock)
    assert shape(lived / "remend.db") == before
    Store.open(lived, clock).close()
    assert verify_home(lived).ok
