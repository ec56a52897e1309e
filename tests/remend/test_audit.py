"""Whatever is done to the log afterwards is found, and named."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.errors import BadInput
from core.ids import sha256_of
from remend import audit, tables
from remend.audit import AuditVerdict, Head, verify_home
from remend.keys import KeyRing
from remend.store import Store

Tamper = Callable[[sqlite3.Connection], Any]


@pytest.fixture
def lived(home: Path, samples: ModuleType) -> Path:
    """A home with one approved patch: 12 rows, heads signed at 9 (the decision) and 12 (the end)."""
    with Store.open(home) as store:
        judged = samples.report(samples.candidate())
        store.add_incident(samples.incident())
        samples.await_approval(store, samples.candidate(), judged)
        store.decide(samples.decision(judged))
        for verb in ("freeze", "thaw", "freeze"):
            store.add_note("iiwa", actor="ada", verb=verb)
    assert verify_home(home).rows == 12
    return home


def tamper(home: Path, change: Tamper) -> AuditVerdict:
    """Change the database as somebody could who owns the file but not the key."""
    with closing(sqlite3.connect(home / "remend.db", isolation_level=None)) as raw:
        raw.row_factory = sqlite3.Row
        raw.execute("PRAGMA foreign_keys=OFF")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        change(raw)
    return verify_home(home)


def rewrite(raw: sqlite3.Connection, start: int = 1) -> None:
    """Recompute the chain from row `start` on: what a careful forger does."""
    prev = audit.GENESIS
    for row in raw.execute("SELECT * FROM audit ORDER BY seq").fetchall():
        content = {key: row[key] for key in row.keys() if key != "sha256"}  # noqa: SIM118  a Row iterates over values
        if row["seq"] >= start:
            content["prev_sha"] = prev
            raw.execute(
                "UPDATE audit SET prev_sha = ?, sha256 = ? WHERE seq = ?", (prev, sha256_of(content), row["seq"])
            )
        prev = sha256_of(content)


def run(*statements: str) -> Tamper:
    return lambda raw: [raw.execute(statement) for statement in statements]


def run_and_rewrite(*statements: str) -> Tamper:
    return lambda raw: (run(*statements)(raw), rewrite(raw))


def smuggle(raw: sqlite3.Connection) -> None:
    raw.execute("INSERT INTO notes (subject, record, sha256) VALUES ('a', '{}', ?)", (sha256_of(b"{}"),))


@pytest.mark.parametrize(
    ("change", "first_bad_seq", "why"),
    [
        (run("UPDATE audit SET actor = 'eve' WHERE seq = 8"), 8, "edited"),
        (run("UPDATE audit SET at_ns = at_ns + 1 WHERE seq = 1"), 1, "edited"),
        (run("UPDATE audit SET actor = x'00ff' WHERE seq = 4"), 4, "edited"),
        (run("UPDATE audit SET sha256 = prev_sha WHERE seq = 4"), 4, "edited"),
        (run("UPDATE audit SET prev_sha = sha256 WHERE seq = 4"), 4, "edited"),
        (run("DELETE FROM audit WHERE seq = 5"), 5, "missing"),
        (run("DELETE FROM audit WHERE seq = 1"), 1, "missing"),
        (run("DELETE FROM audit WHERE seq > 10"), 11, "cut"),
        (run("DELETE FROM audit"), 1, "cut"),
        (
            run(
                "UPDATE audit SET seq = -1 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 4",
                "UPDATE audit SET seq = 4 WHERE seq = -1",
            ),
            3,
            "edited",
        ),
        (run("DELETE FROM audit WHERE seq > 10", "DELETE FROM audit_heads WHERE seq > 10"), 11, "cut"),
        (run_and_rewrite("UPDATE audit SET actor = 'eve' WHERE seq = 8"), 9, "written anew"),
        (run_and_rewrite("UPDATE audit SET actor = 'eve' WHERE seq = 8", "DELETE FROM audit_heads"), 12, "anew"),
        (run_and_rewrite("UPDATE audit SET actor = 'eve' WHERE seq = 12", "DELETE FROM audit_heads"), 12, "anew"),
        (run("DELETE FROM audit_heads"), 12, "deleted"),
        (run("UPDATE audit_heads SET signature = x'00' WHERE seq = 9"), 9, "not signed"),
        (run("UPDATE audit_heads SET signature = 'text' WHERE seq = 9"), 9, "not signed"),
        (run("UPDATE audit_heads SET seq = 10 WHERE seq = 9"), 10, "not signed"),
        (run("UPDATE incidents SET record = replace(record, 'iiwa', 'ur5')"), 1, "incidents was edited"),
        (run("UPDATE approvals SET sha256 = 'x'"), None, "approvals was edited"),
        (run("UPDATE moves SET after = 'active' WHERE rev = 4"), 9, "another place"),
        (run("UPDATE approvals SET patch_id = 'pat_2'"), 8, "another place"),
        (run("DELETE FROM approvals"), 8, "was deleted"),
        (run("DELETE FROM moves WHERE rev = 4"), 9, "was deleted"),
        (run("INSERT INTO notes (subject, record, sha256) SELECT 'a', record || ' ', 'x' FROM notes"), None, "edited"),
        (smuggle, None, "past"),
    ],
)
def test_tampering_is_found(lived: Path, change: Tamper, first_bad_seq: int | None, why: str) -> None:
    verdict = tamper(lived, change)
    assert not verdict.ok
    assert verdict.first_bad_seq == first_bad_seq
    assert why in verdict.why


def test_reordered_rows_with_new_digests_do_not_link(lived: Path) -> None:
    def swap(raw: sqlite3.Connection) -> None:
        run(
            "UPDATE audit SET seq = -1 WHERE seq = 3",
            "UPDATE audit SET seq = 3 WHERE seq = 4",
            "UPDATE audit SET seq = 4 WHERE seq = -1",
        )(raw)
        for row in raw.execute("SELECT * FROM audit WHERE seq IN (3, 4)").fetchall():
            content = {key: row[key] for key in row.keys() if key != "sha256"}  # noqa: SIM118
            raw.execute("UPDATE audit SET sha256 = ? WHERE seq = ?", (sha256_of(content), row["seq"]))

    verdict = tamper(lived, swap)
    assert (verdict.ok, verdict.first_bad_seq) == (False, 3)
    assert "does not follow" in verdict.why


def test_log_written_anew_under_another_key_is_found(lived: Path) -> None:
    forger = Ed25519PrivateKey.generate()

    def forge(raw: sqlite3.Connection) -> None:
        run_and_rewrite("UPDATE audit SET actor = 'eve' WHERE seq = 8", "DELETE FROM audit_heads")(raw)
        (sha256,) = raw.execute("SELECT sha256 FROM audit WHERE seq = 12").fetchone()
        head = Head.signed(12, sha256, forger)
        raw.execute("INSERT INTO audit_heads VALUES (?, ?, ?, ?)", (12, sha256, head.key_id, head.signature))
        (lived / audit.FILE).write_bytes(head.to_json())

    verdict = tamper(lived, forge)
    assert (verdict.ok, verdict.first_bad_seq) == (False, 12)
    assert "not signed by the service's key" in verdict.why


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"seq":"x"}', b"\xff"])
def test_head_file_that_is_no_head_is_found(lived: Path, data: bytes) -> None:
    (lived / audit.FILE).write_bytes(data)
    assert "not a signed head" in verify_home(lived).why


def test_missing_head_file_is_found(lived: Path) -> None:
    (lived / audit.FILE).unlink()
    assert "is missing" in verify_home(lived).why


def test_every_flipped_byte_of_the_head_file_is_found(lived: Path) -> None:
    data = (lived / audit.FILE).read_bytes()
    for place in range(len(data) - 1):  # the last byte is the line end
        (lived / audit.FILE).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert not verify_home(lived).ok, place


def test_older_head_file_is_what_a_crash_leaves_and_is_fine(home: Path, samples: ModuleType) -> None:
    with Store.open(home) as store:
        store.add_incident(samples.incident())
    older = (home / audit.FILE).read_bytes()
    with Store.open(home) as store:
        store.add_incident(samples.incident("inc_2"))
    (home / audit.FILE).write_bytes(older)
    assert verify_home(home).ok


def test_publishing_never_goes_back(lived: Path) -> None:
    data = (lived / audit.FILE).read_bytes()
    audit.publish(lived, Head.signed(3, "0" * 64, KeyRing.load(lived).service))
    assert (lived / audit.FILE).read_bytes() == data


# -- verifying touches nothing ----------------------------------------------------------------------------------------


def listing(home: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(home)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_verifying_a_closed_home_changes_no_file(lived: Path) -> None:
    before = listing(lived)
    assert verify_home(lived).ok
    assert listing(lived) == before


def test_verifying_while_the_service_runs_sees_the_latest_row_and_changes_no_file(lived: Path) -> None:
    with Store.open(lived) as store:
        store.add_note("iiwa", actor="ada", verb="kill")
        names = sorted(os.listdir(lived))
        assert verify_home(lived).rows == 13
        assert sorted(os.listdir(lived)) == names
        store.add_note("iiwa", actor="ada", verb="kill")  # and the service goes on
    assert verify_home(lived).rows == 14


def test_log_file_without_its_index_is_read_from_a_copy(lived: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy")
    with Store.open(lived) as store:
        store.add_note("iiwa", actor="ada", verb="kill")
        for name in ("remend.db", "remend.db-wal", audit.FILE):
            (copy / name).write_bytes((lived / name).read_bytes())
    key = KeyRing.load(lived)
    before = listing(copy)
    verdict = verify_home(copy, {key.service_id: key.service.public_key()})
    assert (verdict.ok, verdict.rows) == (True, 13)
    assert listing(copy) == before


def test_home_without_a_database_is_bad_input_and_stays_empty(home: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        verify_home(home)
    with pytest.raises(BadInput, match="no database"):
        verify_home(home, {})
    assert os.listdir(home) == []


def test_database_without_tables_is_bad_input(lived: Path) -> None:
    (lived / "remend.db").write_bytes(b"")
    with pytest.raises(BadInput, match="has no tables"):
        verify_home(lived)


def test_every_table_of_records_is_covered_by_the_check() -> None:
    assert set(tables.metadata.tables.values()) == {
        *tables.RECORDS,
        tables.audit,
        tables.audit_heads,
        tables.users,  # who may sign in changes; each change is a note
        tables.passes,
    }


def test_an_export_holds_every_row_in_order(store: Store, samples: ModuleType, tmp_path: Path) -> None:
    for number in range(3):
        store.add_incident(samples.incident(f"inc_{number}"))
    file = tmp_path / "audit.jsonl"
    assert audit.export(store.home, file) == 3
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["seq"], row["subject"]) for row in rows] == [(1, "inc_0"), (2, "inc_1"), (3, "inc_2")]
    assert rows[2]["prev_sha"] == rows[1]["sha256"]
