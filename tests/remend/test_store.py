"""What happened is remembered once, as a whole, and only along legal moves."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from core.clock import ManualClock
from core.errors import BadInput, Conflict, Refused
from core.records import Outcome
from core.status import PatchStatus, Verdict
from remend import audit, database, sqlite_file
from remend import store as store_module
from remend.audit import verify_home
from remend.database import writing
from remend.store import Store
from telemetry.incidents import Severity

P = PatchStatus


def test_records_come_back_as_they_were(store: Store, samples: ModuleType) -> None:
    patch, inc = samples.candidate(), samples.incident()
    judged = samples.report(patch)
    store.add_incident(inc)
    store.add_diagnosis(samples.diagnosis())
    samples.await_approval(store, patch, judged)
    store.decide(samples.decision(judged))
    store.add_outcome(samples.outcome(patch.id))

    found = store.patch(patch.id)
    assert (found.candidate, found.report, found.status) == (patch, judged, P.APPROVED)
    assert found.approval == samples.decision(judged)
    assert found.outcomes == (samples.outcome(patch.id),)
    assert [move.after for move in found.moves] == [
        P.PROPOSED,
        P.CHECKED,
        P.VALIDATING,
        P.AWAITING_APPROVAL,
        P.APPROVED,
    ]
    assert store.incident(inc.id) == inc
    assert store.incidents() == (inc,)
    assert store.diagnoses(inc.id) == (samples.diagnosis(),)
    assert store.patches() == (found,)
    assert verify_home(store.home).ok


def test_same_record_twice_is_one_record_and_one_audit_row(store: Store, samples: ModuleType) -> None:
    for _ in range(2):
        store.add_incident(samples.incident())
        store.add_diagnosis(samples.diagnosis())
        store.add_candidate(samples.candidate())
    assert verify_home(store.home).rows == 4  # incident, diagnosis, candidate, proposed


def test_another_record_under_a_taken_id_is_a_conflict(store: Store, samples: ModuleType) -> None:
    store.add_incident(samples.incident())
    with pytest.raises(Conflict, match="another record"):
        store.add_incident(dataclasses.replace(samples.incident(), created_ns=9))
    assert verify_home(store.home).rows == 1


def test_same_trouble_counts_up_until_a_patch_is_active(store: Store, samples: ModuleType) -> None:
    again = [dataclasses.replace(samples.incident(f"inc_{k}"), created_ns=k) for k in range(1, 6)]
    assert store.add_occurrence(again[0], Severity.INFO).number == 1
    second = store.add_occurrence(again[1], Severity.UNSAFE)
    assert (second.incident_id, second.recording, second.number) == ("inc_1", "inc_2", 2)
    elsewhere = dataclasses.replace(again[2], robot_id="another")
    assert store.add_occurrence(elsewhere, Severity.INFO).incident_id == "inc_3"
    assert [incident.id for incident in store.incidents()] == ["inc_1", "inc_3"]
    assert store.occurrences("inc_1")[1] == second
    standing = store.show("inc_1")["standing"]
    assert (standing["occurrences"], standing["severity"], standing["last_ns"]) == (2, "unsafe", 2)

    judged = samples.report(samples.candidate())
    samples.await_approval(store, samples.candidate(), judged)
    store.decide(samples.decision(judged))
    for before, after in ((P.APPROVED, P.STAGED), (P.STAGED, P.SHADOW), (P.SHADOW, P.CANARY)):
        store.move("pat_1", before, after, "service", "")
    assert store.add_occurrence(again[3], Severity.INFO).incident_id == "inc_1"  # not healed yet
    store.move("pat_1", P.CANARY, P.ACTIVE, "service", "")
    fresh = store.add_occurrence(again[4], Severity.DEGRADED)
    assert (fresh.incident_id, fresh.number) == ("inc_5", 1)
    assert verify_home(store.home).ok


def test_record_without_its_parent_is_bad_input(store: Store, samples: ModuleType) -> None:
    for add, record in (
        (store.add_diagnosis, samples.diagnosis()),
        (store.add_candidate, samples.candidate()),
        (store.add_report, samples.report(samples.candidate())),
        (store.add_outcome, samples.outcome("pat_1")),
        (store.decide, samples.decision(samples.report(samples.candidate()))),
    ):
        with pytest.raises(BadInput, match="there is no"):
            add(record)
    assert verify_home(store.home).rows == 0


def test_move_from_a_status_the_patch_has_left_is_a_conflict(store: Store, samples: ModuleType) -> None:
    store.add_incident(samples.incident())
    store.add_candidate(samples.candidate())
    store.move("pat_1", P.PROPOSED, P.CHECKED, "checker", "")
    with pytest.raises(Conflict, match="is checked, not proposed"):
        store.move("pat_1", P.PROPOSED, P.REJECTED, "checker", "")
    with pytest.raises(Conflict, match="cannot become"):
        store.move("pat_1", P.CHECKED, P.ACTIVE, "robot", "")
    with pytest.raises(BadInput, match="did you mean pat_1"):
        store.move("pat_2", P.PROPOSED, P.CHECKED, "checker", "")
    assert store.patch("pat_1").status is P.CHECKED


def test_approval_is_not_reached_without_a_decision(store: Store, samples: ModuleType) -> None:
    store.add_incident(samples.incident())
    samples.await_approval(store, samples.candidate(), samples.report(samples.candidate()))
    with pytest.raises(Refused, match="by a decision"):
        store.move("pat_1", P.AWAITING_APPROVAL, P.APPROVED, "service", "")
    with pytest.raises(Conflict, match="without an approval"):
        store.add_outcome(samples.outcome("pat_1"))


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"decision": "maybe"}, BadInput, "approve or reject"),
        ({"base_sha": "0" * 64}, Conflict, "other artefacts"),
        ({"result_sha": "0" * 64}, Conflict, "other artefacts"),
        ({"report_sha": "0" * 64}, Conflict, "last report"),
        ({"expires_ns": 1}, Refused, "expired"),
        ({"actor": "tune"}, Refused, "cannot approve"),
    ],
)
def test_decision_that_does_not_fit_changes_nothing(
    store: Store, samples: ModuleType, change: dict[str, object], error: type[Exception], sentence: str
) -> None:
    judged = samples.report(samples.candidate())
    store.add_incident(samples.incident())
    samples.await_approval(store, samples.candidate(), judged)
    before = verify_home(store.home).rows
    with pytest.raises(error, match=sentence):
        store.decide(dataclasses.replace(samples.decision(judged), **change))
    assert store.patch("pat_1").status is P.AWAITING_APPROVAL
    assert store.patch("pat_1").approval is None
    assert verify_home(store.home).rows == before


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_evidence_that_does_not_pass_cannot_be_approved(store: Store, samples: ModuleType, verdict: Verdict) -> None:
    judged = samples.report(samples.candidate(), verdict=verdict)
    store.add_incident(samples.incident())
    samples.await_approval(store, samples.candidate(), judged)
    with pytest.raises(Refused, match="only a pass"):
        store.decide(samples.decision(judged))
    store.decide(samples.decision(judged, decision="reject"))
    assert store.patch("pat_1").status is P.REJECTED


def test_patch_without_evidence_cannot_be_approved(store: Store, samples: ModuleType) -> None:
    store.add_incident(samples.incident())
    store.add_candidate(samples.candidate())
    for before, after in ((P.PROPOSED, P.CHECKED), (P.CHECKED, P.VALIDATING), (P.VALIDATING, P.AWAITING_APPROVAL)):
        store.move("pat_1", before, after, "service", "")
    blind = dataclasses.replace(samples.decision(samples.report(samples.candidate())), report_sha="")
    with pytest.raises(Refused, match="missing"):
        store.decide(blind)


def test_newer_report_voids_a_decision_on_the_older_one(store: Store, samples: ModuleType) -> None:
    judged = samples.report(samples.candidate())
    store.add_incident(samples.incident())
    samples.await_approval(store, samples.candidate(), judged)
    store.add_report(samples.report(samples.candidate(), "rep_2"))
    with pytest.raises(Conflict, match="last report"):
        store.decide(samples.decision(judged))


def test_second_decision_is_a_conflict(store: Store, samples: ModuleType) -> None:
    judged = samples.report(samples.candidate())
    store.add_incident(samples.incident())
    samples.await_approval(store, samples.candidate(), judged)
    store.decide(samples.decision(judged))
    for again in (samples.decision(judged), samples.decision(judged, "app_2", "reject", "bob")):
        with pytest.raises(Conflict, match="is approved"):
            store.decide(again)
    with pytest.raises(Conflict, match="evidence is closed"):
        store.add_report(samples.report(samples.candidate(), "rep_2"))


def test_report_on_other_artefacts_is_a_conflict(store: Store, samples: ModuleType) -> None:
    store.add_incident(samples.incident())
    store.add_candidate(samples.candidate())
    with pytest.raises(Conflict, match="other artefacts"):
        store.add_report(samples.report(samples.candidate(result_sha="d" * 64)))


def test_outcome_of_a_patch_that_never_ran_needs_no_approval(store: Store, samples: ModuleType) -> None:
    store.add_incident(samples.incident())
    store.add_candidate(samples.candidate())
    stayed: Outcome = dataclasses.replace(samples.outcome("pat_1"), deployed=False)
    store.add_outcome(stayed)
    assert store.patch("pat_1").outcomes == (stayed,)


def test_what_a_robot_has_kept_is_found_by_what_it_replaced(store: Store, samples: ModuleType) -> None:
    patch = samples.candidate()
    judged = samples.report(patch)
    store.add_incident(samples.incident())
    store.add_diagnosis(samples.diagnosis())
    samples.await_approval(store, patch, judged)
    store.decide(samples.decision(judged))
    assert store.kept(patch.base_sha) == ()
    store.add_outcome(samples.outcome(patch.id))
    assert store.kept(patch.base_sha) == ((samples.diagnosis().causes[0].cause, patch),)
    assert store.kept(patch.result_sha) == ()
    store.add_outcome(dataclasses.replace(samples.outcome(patch.id), rolled_back=True))
    assert store.kept(patch.base_sha) == ()


def test_show_tells_everything_of_a_patch_and_of_an_incident(store: Store, samples: ModuleType) -> None:
    judged = samples.report(samples.candidate())
    store.add_incident(samples.incident())
    store.add_diagnosis(samples.diagnosis())
    samples.await_approval(store, samples.candidate(), judged)
    store.decide(samples.decision(judged))
    store.add_note("pat_1", actor="ada", verb="freeze", payload={"why": "maintenance"})
    shown = store.show("pat_1")
    assert (shown["kind"], shown["status"]) == ("patch", "approved")
    assert [row["verb"] for row in shown["audit"]] == [
        "candidate", "proposed", "checked", "validating", "report", "awaiting_approval", "approve", "approved", "freeze"
    ]  # fmt: skip
    assert shown["candidates"][0]["id"] == "pat_1"
    assert shown["approvals"][0]["actor"] == "ada"
    assert shown["notes"][0]["payload"] == {"why": "maintenance"}
    shown = store.show("inc_1")
    assert (shown["kind"], shown["patches"]) == ("incident", [{"id": "pat_1", "status": "approved"}])
    assert shown["diagnoses"][0]["summary"] == "A payload."


def test_unknown_id_suggests_the_near_ones(store: Store, samples: ModuleType) -> None:
    with pytest.raises(BadInput, match="ids are in the JSON"):
        store.show("pat_7")
    store.add_incident(samples.incident("inc_01k9x3w7v5q2r8a"))
    with pytest.raises(BadInput, match="did you mean inc_01k9x3w7v5q2r8a"):
        store.show("inc_01k9x3w7v5q2r8b")
    with pytest.raises(BadInput, match="there is no incident"):
        store.incident("inc_2")
    with pytest.raises(BadInput, match="there is no patch"):
        store.patch("pat_1")


@pytest.mark.parametrize("statement", ["UPDATE {0} SET sha256 = ''", "DELETE FROM {0}"])
def test_stored_rows_cannot_be_changed(store: Store, samples: ModuleType, statement: str) -> None:
    store.add_incident(samples.incident())
    for table in ("incidents", "audit"):
        with pytest.raises(IntegrityError, match="append-only"), writing(store._engine) as connection:
            connection.exec_driver_sql(statement.format(table))


# -- opening ----------------------------------------------------------------------------------------------------------


def test_home_of_a_newer_remend_is_refused(home: Path) -> None:
    Store.open(home).close()
    with sqlite3.connect(home / "remend.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0099'")
    raw.close()
    for ask in (Store.open, verify_home):
        with pytest.raises(Refused, match="schema version 99"):
            ask(home)


@pytest.mark.parametrize("damage", ["header", "pages"])
def test_damaged_database_is_bad_input_that_names_the_file(home: Path, samples: ModuleType, damage: str) -> None:
    with Store.open(home) as store:
        for number in range(20):
            store.add_incident(samples.incident(f"inc_{number}"))
    path = home / "remend.db"
    data = bytearray(path.read_bytes())
    data[:100] = b"\0" * 100 if damage == "header" else data[:100]
    data[4096 * 2 :] = b"\xa5" * (len(data) - 4096 * 2)
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"remend\.db is damaged .* restore"):
        Store.open(home)
    with pytest.raises(BadInput, match=r"remend\.db is damaged"):
        verify_home(home)


def test_emptied_database_is_noticed_by_its_head(home: Path, samples: ModuleType) -> None:
    with Store.open(home) as store:
        store.add_incident(samples.incident())
    (home / "remend.db").unlink()
    with pytest.raises(BadInput, match="does not continue from its signed head"):
        Store.open(home)


def test_lost_key_is_not_replaced_next_to_an_old_database(home: Path) -> None:
    Store.open(home).close()
    (home / "keys" / "service.pem").unlink()
    with pytest.raises(BadInput, match="put the key back"):
        Store.open(home)
    assert not (home / "keys" / "service.pem").exists()


def test_head_is_signed_every_so_many_rows_and_on_close(home: Path, samples: ModuleType) -> None:
    def published() -> int:
        return audit.Head.from_json((home / audit.FILE).read_bytes()).seq

    with Store.open(home, head_every_rows=3) as store:
        seen = []
        for number in range(7):
            store.add_incident(samples.incident(f"inc_{number}"))
            seen.append(published())
    assert seen == [0, 0, 3, 3, 3, 6, 6]
    assert published() == 7
    assert store_module.HEAD_EVERY_ROWS > 0


def test_store_of_a_tampered_log_signs_nothing_more(home: Path, samples: ModuleType) -> None:
    with Store.open(home) as store:
        for number in range(3):
            store.add_incident(samples.incident(f"inc_{number}"))
    head = (home / audit.FILE).read_bytes()
    store = Store.open(home)
    with sqlite3.connect(home / "remend.db") as raw:
        raw.execute("DROP TRIGGER audit_no_delete")
        raw.execute("DELETE FROM audit WHERE seq = 3")
    raw.close()
    with pytest.raises(BadInput, match="does not continue"):
        store.close()
    assert (home / audit.FILE).read_bytes() == head


def test_full_disk_at_the_head_file_does_not_undo_a_decision(
    store: Store, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = samples.report(samples.candidate())
    store.add_incident(samples.incident())
    samples.await_approval(store, samples.candidate(), judged)

    def full(home: Path, head: audit.Head) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(audit, "publish", full)
        store.decide(samples.decision(judged))
    assert store.patch("pat_1").status is P.APPROVED
    assert verify_home(store.home).ok


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(list(PatchStatus)), max_size=12))
def test_no_sequence_of_moves_reaches_a_robot_without_a_decision(
    store: Store, samples: ModuleType, clock: ManualClock, wanted: list[PatchStatus]
) -> None:
    clock.advance_s(1)
    name = f"pat_{clock.wall_ns()}"
    store.add_incident(samples.incident())
    store.add_candidate(samples.candidate(name))
    for after in wanted:
        try:
            store.move(name, store.patch(name).status, after, "anyone", "")
        except Refused:
            continue
    assert store.patch(name).status not in {P.APPROVED, P.STAGED, P.SHADOW, P.CANARY, P.ACTIVE}


def test_full_disk_refuses_and_leaves_no_half_step(store: Store, samples: ModuleType) -> None:
    with writing(store._engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    def fill() -> None:
        for number in range(200):
            store.add_incident(samples.incident(f"inc_{number}"))

    with pytest.raises(Refused, match="full"):
        fill()
    assert verify_home(store.home).ok
    assert verify_home(store.home).rows == len(store.incidents())
    with writing(store._engine) as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")


def test_database_held_by_another_process_is_a_conflict(
    home: Path, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT_MS", 0)
    with Store.open(home) as store, closing(sqlite3.connect(home / "remend.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Conflict, match="held by another process"):
            store.add_incident(samples.incident())
        other.execute("ROLLBACK")
        store.add_incident(samples.incident())


def test_an_index_left_in_the_middle_of_its_repair_is_read_around(
    home: Path, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says so when whoever repairs it was killed at the wrong moment; the data is in database and log."""
    asked = []
    as_it_is = sqlite_file._reader

    def mid_repair_at_first(path: Path, options: str) -> Engine:
        asked.append(path)
        engine = as_it_is(path, options)
        if len(asked) == 1:

            def fail(*_: object) -> None:
                raise sqlite3.OperationalError("locking protocol")

            event.listen(engine, "before_cursor_execute", fail)
        return engine

    with Store.open(home) as store:
        store.add_incident(samples.incident())
        monkeypatch.setattr(sqlite_file, "_reader", mid_repair_at_first)
        before = sorted(home.iterdir())
        with database.read_only(home) as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM incidents").scalar_one() == 1
        assert sorted(home.iterdir()) == before
    assert len(asked) == 2
