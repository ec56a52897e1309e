"""Records on a PostgreSQL server: the same promises as with a file. The server is started for these tests."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.clock import ManualClock
from core.errors import BadInput, Conflict, Refused, Unavailable
from core.status import PatchStatus
from remend import database_server, schema, tables
from remend.audit import verify_home
from remend.claim import keys_of
from remend.database import BACKUPS, open_database, reading, writing
from remend.journal import Journal
from remend.service import accounts
from remend.service.accounts import Role
from remend.service.robots import entered
from remend.settings import load_settings
from remend.store import Store
from remend.web import queries

P = PatchStatus


@pytest.fixture
def home(tmp_path: Path, postgres: Callable[[], str]) -> Path:
    """A home folder whose records are on the server."""
    (tmp_path / "remend.toml").write_text(f'[store]\nurl = "{postgres()}"\n')
    return tmp_path


def test_a_decision_and_its_audit_row_are_on_the_server(home: Path, clock: ManualClock, samples: ModuleType) -> None:
    judged = samples.report(samples.candidate())
    with Store.open(home, clock) as store:
        store.add_incident(samples.incident())
        samples.await_approval(store, samples.candidate(), judged)
        store.decide(samples.decision(judged))
        with pytest.raises(Conflict, match="is approved"):
            store.decide(samples.decision(judged, "app_2", "reject", "bob"))
    assert not (home / "remend.db").exists()
    assert verify_home(home).ok
    with Store.open(home, clock) as store:
        assert store.patch("pat_1").status is P.APPROVED
        assert store.show("pat_1")["approvals"][0]["actor"] == "ada"
        with store.reading() as connection:
            robot = store.incident("inc_1").robot_id
            assert queries.patches_of_robot(connection, robot, 5) == ("pat_1",)
            assert queries.patches_of_robot(connection, "somebody-else", 5) == ()
            (waiting,) = queries.open_incidents(connection, ())
            assert (waiting.id, waiting.has_somebody) == ("inc_1", False)
            assert queries.open_incidents(connection, (P.APPROVED,)) == ()
            (now,) = queries.patches_in(connection, P.APPROVED)
            assert (now.id, now.incident_id) == ("pat_1", "inc_1")
            assert now.since_ns == store.patch("pat_1").moves[-1].at_ns
            assert queries.gravity(connection, ["inc_1", "inc_9"]) == {}  # it was put there without having shown
            assert queries.count_in_status(connection, P.APPROVED) == 1
            assert entered(connection) == {}
    assert load_settings(home).store.url.startswith("postgresql://")


@pytest.mark.parametrize("statement", ["UPDATE {0} SET sha256 = ''", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
def test_rows_stay_as_they_were_written(home: Path, clock: ManualClock, samples: ModuleType, statement: str) -> None:
    with Store.open(home, clock) as store:
        store.add_incident(samples.incident())
        for table in ("incidents", "audit"):
            with pytest.raises(IntegrityError, match="append-only"), writing(store._engine) as connection:
                connection.exec_driver_sql(statement.format(table))


def test_two_writers_take_turns(home: Path, clock: ManualClock, samples: ModuleType) -> None:
    failures = []

    def write(number: int) -> None:
        try:
            with Store.open(home, clock) as store:
                for count in range(10):
                    store.add_incident(samples.incident(f"inc_{number}_{count}"))
        except Exception as error:
            failures.append(error)

    Store.open(home, clock).close()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    verdict = verify_home(home)
    assert verdict.ok
    assert verdict.rows == 30


def test_who_waits_too_long_for_another_writer_is_told_so(
    home: Path, clock: ManualClock, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_server, "_OPTIONS", "-c lock_timeout=50")
    with Store.open(home, clock) as store, Store.open(home, clock) as other:
        with writing(other._engine), pytest.raises(Conflict, match="held by another process"):
            store.add_incident(samples.incident())
        store.add_incident(samples.incident())
    assert verify_home(home).rows == 1


def test_people_are_kept_there_too(home: Path, clock: ManualClock) -> None:
    with Store.open(home, clock) as store:
        with store.journal("ada") as journal:
            ada = accounts.add_user(journal, "ada", Role.ADMIN, "a good password")
            secret = accounts.issue(journal, ada, kind="token", role=Role.VIEWER, label="", hours=1, clock=clock)
        with store.reading() as connection:
            found = accounts.pass_of(connection, secret, clock.wall_ns())
            assert found is not None
            assert found.user == "ada"
        with store.journal("ada") as journal:
            accounts.revoke(journal, found.id)


def test_a_server_that_does_not_answer_is_said_in_one_sentence(home: Path, clock: ManualClock) -> None:
    Store.open(home, clock).close()
    (home / "remend.toml").write_text('[store]\nurl = "postgresql://remend@/remend?host=/nowhere"\n')
    with pytest.raises(Unavailable, match="start the server, then ask again"):
        Store.open(home, clock)


def test_a_database_that_is_not_there_is_refused(home: Path, clock: ManualClock) -> None:
    settings = home / "remend.toml"
    settings.write_text(settings.read_text().replace("remend_", "other_"))
    with pytest.raises((Refused, Unavailable), match="does not exist"):
        Store.open(home, clock)


def test_a_connection_that_was_cut_is_made_anew(home: Path, clock: ManualClock, samples: ModuleType) -> None:
    with Store.open(home, clock) as store, Store.open(home, clock) as other:
        store.add_incident(samples.incident())
        with reading(other._engine) as connection:
            others = "pid != pg_backend_pid() AND datname = current_database()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))  # noqa: S608
        store.add_incident(samples.incident("inc_2"))
    assert verify_home(home).rows == 2


def test_the_database_of_another_home_is_not_taken_over(
    home: Path, tmp_path_factory: pytest.TempPathFactory, clock: ManualClock, samples: ModuleType
) -> None:
    with Store.open(home, clock) as store:
        store.add_incident(samples.incident())
    other = tmp_path_factory.mktemp("other")
    (other / "remend.toml").write_text((home / "remend.toml").read_text())
    with pytest.raises(BadInput, match="the records of another home folder"):
        Store.open(other, clock)
    assert verify_home(home).ok


def test_an_earlier_version_is_migrated_with_a_copy_beside_the_home(
    home: Path, clock: ManualClock, samples: ModuleType
) -> None:
    keys_of(home)
    before = database_server.engine_of(load_settings(home).store.url)
    with writing(before) as connection:
        schema.walk(connection, "0003")
        journal = Journal(connection=connection, actor="service", at_ns=clock.wall_ns())
        journal.record_root(tables.incidents, "incident", samples.incident(), id="inc_1")
    before.dispose()
    engine = open_database(home)
    with reading(engine) as connection:
        assert schema.version_of(connection, "") == tables.SCHEMA_VERSION
        assert entered(connection) == {}
    engine.dispose()
    (copy,) = (home / BACKUPS).iterdir()
    with closing(sqlite3.connect(copy)) as raw:
        assert raw.execute("SELECT id FROM incidents").fetchall() == [("inc_1",)]
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("0003",)]


def test_a_password_in_the_settings_is_refused(home: Path) -> None:
    (home / "remend.toml").write_text('[store]\nurl = "postgresql://remend:secret@db/remend"\n')
    with pytest.raises(BadInput, match=r"\.pgpass") as caught:
        load_settings(home)
    assert "secret" not in str(caught.value)
