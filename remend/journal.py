"""One write transaction: records, status moves and the audit rows that go with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from core.errors import Conflict
from core.ids import canonical_json, sha256_of
from core.status import PatchStatus, require_transition
from remend import audit, ledger, tables
from remend.ledger import Move, Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Writes into a transaction that owns the database. Recording the same record again returns False."""

    connection: Connection
    actor: str
    at_ns: int  # UTC

    def record_root(self, table: Table, verb: str, record: Any, **columns: str) -> bool:
        """Add a record that has an id of its own, an incident or a candidate, with its audit row.

        Raises:
            Conflict: another record has this id.
        """
        added = self._add(table, record, columns)
        if added:
            sha256 = sha256_of(record)
            self._log(verb, columns["id"], sha256, sha256)
        return added

    def record(self, table: Table, verb: str, subject: tuple[str, str], record: Any, **columns: str) -> bool:
        """Add a record about `subject` (id and sha256 of an incident or candidate), with its audit row.

        Raises:
            Conflict: another record has this id.
        """
        added = self._add(table, record, columns)
        if added:
            self._log(verb, *subject, sha256_of(record))
        return added

    def move(self, patch_id: str, before: PatchStatus | None, after: PatchStatus, why: str) -> None:
        """Move a patch from `before` (None: it is new) to `after`, with its audit row.

        Raises:
            BadInput: no such patch.
            Conflict: the patch has another status, or the move is not legal.
        """
        subject = (patch_id, ledger.digest(self.connection, tables.candidates, patch_id))
        last = ledger.last_move(self.connection, patch_id)
        if (last.after if last else None) is not before:
            raise Conflict(
                f"{patch_id} is {last.after.value if last else 'new'}, not {before.value if before else 'new'}"
            )
        if before:
            require_transition(before, after)
        rev = last.rev + 1 if last else 0
        step = Move(patch_id=patch_id, rev=rev, before=before, after=after, actor=self.actor, why=why, at_ns=self.at_ns)
        self._add(tables.moves, step, {"patch_id": patch_id, "rev": rev, "after": after.value})
        self._log(after.value, *subject, sha256_of(step))

    def note(self, subject: str, verb: str, payload: dict[str, str]) -> None:
        """Log a step that is no record of its own; `subject` is any id."""
        note = Note(subject=subject, actor=self.actor, verb=verb, payload=payload, at_ns=self.at_ns)
        self._add(tables.notes, note, {"subject": subject})
        self._log(verb, subject, sha256_of(subject), sha256_of(note))

    def _add(self, table: Table, record: Any, columns: dict[str, Any]) -> bool:
        sha256 = sha256_of(record)
        if self.connection.execute(select(table.c.row).where(table.c.sha256 == sha256)).first():
            return False
        if "id" in columns and self.connection.execute(select(table.c.row).filter_by(id=columns["id"])).first():
            raise Conflict(f"{table.name} holds another record with the id {columns['id']}")
        self.connection.execute(insert(table).values(**columns, record=canonical_json(record), sha256=sha256))
        return True

    def _log(self, verb: str, subject: str, subject_sha: str, payload_sha: str) -> None:
        audit.append(
            self.connection,
            at_ns=self.at_ns,
            actor=self.actor,
            verb=verb,
            subject=subject,
            subject_sha=subject_sha,
            payload_sha=payload_sha,
        )
