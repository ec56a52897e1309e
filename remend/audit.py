"""The audit log: a hash chain over everything that changed, with heads signed by the service's key.

Each row holds the digest of the row before it, so an edited, deleted or reordered row breaks the chain. A chain alone
can be cut short or written anew; therefore its head is signed now and then, in the table `audit_heads` and in the file
`<home>/audit.head`. The file is written after the rows it speaks of, never before: after a crash it may lag behind.

Robots keep the last head that they were sent (`controllers/witness.py`): whoever rewinds database *and* file to an
older moment is found by theirs.

Limits: rows after the last signed head can be cut off unnoticed. Whoever holds the service's key can write any log.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, func, insert, inspect, select

from controllers.signature import fingerprint
from controllers.witness import FILE as WITNESS
from controllers.witness import statement
from core.durable import write_atomically
from core.errors import BadInput, Damaged
from core.ids import canonical_json, sha256_of
from core.records import Seal
from remend import tables
from remend.codec import read_record
from remend.database import read_only
from remend.home import exclusive
from remend.keys import load_key
from sim.sealing import is_genuine

FILE = "audit.head"
GENESIS = "0" * 64  # what the first row names as the row before it

Fault = tuple[int | None, str]  # row, if one can be named, and what is wrong in one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """What `verify` found."""

    rows: int
    head: str  # sha256 of the last row
    ok: bool
    first_bad_seq: int | None  # where it went wrong, as far as one row can be named
    why: str  # one sentence; empty if ok


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed statement: row `seq` of the chain has this digest."""

    seq: int  # 0 is the empty chain
    sha256: str
    key_id: str
    signature: bytes

    @classmethod
    def signed(cls, seq: int, sha256: str, key: Ed25519PrivateKey) -> Head:
        """State it with `key`."""
        signature = key.sign(statement(seq, sha256))
        return cls(seq=seq, sha256=sha256, key_id=fingerprint(key.public_key()), signature=signature)

    @classmethod
    def from_json(cls, data: bytes) -> Head:
        """Read what `to_json` wrote.

        Raises:
            BadInput: not a head.
        """
        try:
            value = json.loads(data)
            head = cls(
                seq=int(value["seq"]),
                sha256=str(value["sha256"]),
                key_id=str(value["key_id"]),
                signature=bytes.fromhex(value["signature"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInput(f"{FILE} is not a signed head; restore it together with the database") from error
        return head

    def to_json(self) -> bytes:
        """One line of JSON."""
        value = {"seq": self.seq, "sha256": self.sha256, "key_id": self.key_id, "signature": self.signature.hex()}
        return canonical_json(value).encode() + b"\n"

    def is_signed_by(self, keys: Mapping[str, Ed25519PublicKey]) -> bool:
        """Whether one of `keys` (by key id) made the signature."""
        if (key := keys.get(self.key_id)) is None:
            return False
        try:
            key.verify(self.signature, statement(self.seq, self.sha256))
        except (InvalidSignature, TypeError):  # an edit can put text where bytes were
            return False
        return True


def append(
    connection: Connection, *, at_ns: int, actor: str, verb: str, subject: str, subject_sha: str, payload_sha: str
) -> int:
    """Add a row in the caller's write transaction and return its seq.

    Args:
        at_ns: UTC.
        subject: id of the incident or patch.
        payload_sha: sha256 of the record that this step added, in the same transaction.
    """
    seq, prev_sha = last_row(connection)
    row = {
        "seq": seq + 1,
        "at_ns": at_ns,
        "actor": actor,
        "verb": verb,
        "subject": subject,
        "subject_sha": subject_sha,
        "payload_sha": payload_sha,
        "prev_sha": prev_sha,
    }
    connection.execute(insert(tables.audit).values(**row, sha256=sha256_of(row)))
    return seq + 1


def last_row(connection: Connection) -> tuple[int, str]:
    """Seq and sha256 of the last row; (0, GENESIS) of an empty chain."""
    columns = tables.audit.c
    row = connection.execute(select(columns.seq, columns.sha256).order_by(columns.seq.desc()).limit(1)).first()
    return (row.seq, row.sha256) if row else (0, GENESIS)


def sign_head(connection: Connection, key: Ed25519PrivateKey) -> Head:
    """Sign the head of the chain, in the caller's write transaction; `publish` it after the commit."""
    head = Head.signed(*last_row(connection), key)
    if head.seq > last_signed(connection):
        connection.execute(
            insert(tables.audit_heads).values(
                seq=head.seq, sha256=head.sha256, key_id=head.key_id, signature=head.signature
            )
        )
    return head


def last_signed(connection: Connection) -> int:
    """Seq of the last head in the table; 0 if there is none."""
    return connection.execute(select(func.max(tables.audit_heads.c.seq))).scalar_one() or 0


def publish(home: Path, head: Head) -> None:
    """Write `head` to the head file, unless another process has written a later one."""
    path = home / FILE
    with exclusive(home):
        if not path.exists() or Head.from_json(path.read_bytes()).seq < head.seq:
            write_atomically(path, head.to_json())


def require_continuation(connection: Connection, home: Path) -> None:
    """Make sure that the chain contains the head in the file. Ask before signing: a tampered log must not be blessed.

    Raises:
        Damaged: it does not.
    """
    try:
        head = Head.from_json((home / FILE).read_bytes())
    except FileNotFoundError:
        head = None
    columns = tables.audit.c
    seen = GENESIS
    if head and head.seq:
        seen = connection.execute(select(columns.sha256).where(columns.seq == head.seq)).scalar_one_or_none() or ""
    if head is None or seen != head.sha256:
        raise Damaged(
            f"the audit log in {home} does not continue from its signed head {FILE}; "
            "run `remend audit verify`, then restore database and head from the same backup"
        )


def verify_home(
    home: Path, service_keys: Mapping[str, Ed25519PublicKey] | None = None, heads: Mapping[str, bytes] | None = None
) -> AuditVerdict:
    """Verify the audit log of a home folder, with no service running; creates and changes nothing.

    Args:
        heads: what else has kept a signed head, by who did; what the home knows of its robots' heads comes to it.
        service_keys: public keys that may sign heads, by key id; by default the one of `<home>/keys/service.pem`.

    Raises:
        BadInput: there is no database or key, or the database is damaged.
        Refused: the key file can be read by others.
    """
    if service_keys is None:
        key = load_key(home, "service").public_key()
        service_keys = {fingerprint(key): key}
    # the file first: rows that a running service adds meanwhile can only be more than the file speaks of
    path = home / FILE
    data = path.read_bytes() if path.exists() else None
    witnesses = {**robots_heads(home), **(heads or {})}
    with read_only(home) as connection:
        return verify(connection, service_keys, data, witnesses)


def robots_heads(home: Path) -> dict[str, bytes]:
    """The heads that robots have kept, as far as this home knows them: robot -> head."""
    return {file.parent.name: file.read_bytes() for file in sorted(home.glob(f"robots/*/{WITNESS}"))}


def why_not_ours(connection: Connection, head: Head) -> str:
    """Why the log is not the one that a genuine head speaks of, in one sentence; empty if it is."""
    last, _ = last_row(connection)
    if head.seq > last:
        return f"the log was cut: it ends at row {last}, a signed head is at row {head.seq}"
    columns = tables.audit.c
    seen = connection.execute(select(columns.sha256).where(columns.seq == head.seq)).scalar_one_or_none()
    if head.seq and seen != head.sha256:
        return f"row {head.seq} is not the one that was signed: the log was written anew"
    return ""


def export(home: Path, file: Path) -> int:
    """Write every row to `file`, oldest first, as one JSON object a line; how many they were.

    Raises:
        BadInput: there is no database, or it is damaged.
    """
    count = 0
    with read_only(home) as connection, file.open("w", encoding="utf-8") as out:
        for row in connection.execute(select(tables.audit).order_by(tables.audit.c.seq)):
            out.write(canonical_json(dict(row._mapping)) + "\n")
            count += 1
    return count


def verify(
    connection: Connection,
    service_keys: Mapping[str, Ed25519PublicKey],
    head_file: bytes | None,
    witnesses: Mapping[str, bytes] | None = None,
) -> AuditVerdict:
    """Check rows, links, signed heads and the records that the rows speak of. The connection may be read-only.

    Args:
        service_keys: public keys that may sign heads, by key id.
        head_file: content of the head file, read before the connection's transaction began; None if it is missing.
        witnesses: heads that were kept elsewhere, by who kept them.
    """
    shas = [GENESIS]  # shas[seq] is the digest of row seq
    payloads: dict[str, int] = {}  # payload -> first row that speaks of it
    faults = itertools.chain(  # each looks only when the one before it found nothing
        _row_faults(connection, shas, payloads),
        _head_faults(connection, shas, service_keys, head_file),
        _witness_faults(shas, service_keys, witnesses or {}),
        _record_faults(connection, payloads),
    )
    seq, why = next(faults, (None, ""))
    return AuditVerdict(rows=len(shas) - 1, head=shas[-1], ok=not why, first_bad_seq=seq, why=why)


def _row_faults(connection: Connection, shas: list[str], payloads: dict[str, int]) -> Iterator[Fault]:
    for row in connection.execute(select(tables.audit).order_by(tables.audit.c.seq)):
        seq = len(shas)
        content = dict(row._mapping)
        sha256 = content.pop("sha256")
        if row.seq != seq:
            yield seq, f"row {seq} is missing"
        if _digest(content) != sha256:
            yield seq, f"row {seq} was edited"
        if row.prev_sha != shas[-1]:
            yield seq, f"row {seq} does not follow from the row before it"
        shas.append(sha256)
        payloads.setdefault(row.payload_sha, seq)


def _head_faults(
    connection: Connection, shas: list[str], keys: Mapping[str, Ed25519PublicKey], head_file: bytes | None
) -> Iterator[Fault]:
    heads = [Head(**row._mapping) for row in connection.execute(select(tables.audit_heads).order_by("seq"))]
    if head_file is None:
        yield None, f"the head file {FILE} is missing"
        return
    try:
        published = Head.from_json(head_file)
    except BadInput as error:
        yield None, str(error)
        return
    last = len(shas) - 1
    for head in (*heads, published):
        if not head.is_signed_by(keys):
            yield head.seq, f"the head at row {head.seq} is not signed by the service's key"
        elif head.seq > last:
            yield last + 1, f"the log was cut: it ends at row {last}, a signed head is at row {head.seq}"
        elif head.sha256 != shas[head.seq]:
            yield head.seq, f"row {head.seq} is not the one that was signed: the log was written anew"
    if published.seq and published.seq not in {head.seq for head in heads}:
        yield published.seq, f"the signed head at row {published.seq} was deleted from the database"


def _witness_faults(
    shas: list[str], keys: Mapping[str, Ed25519PublicKey], witnesses: Mapping[str, bytes]
) -> Iterator[Fault]:
    last = len(shas) - 1
    for who, data in witnesses.items():
        try:
            head = Head.from_json(data)
        except BadInput as error:
            yield None, f"the head that {who} has kept cannot be read ({error})"
            continue
        if not head.is_signed_by(keys):
            yield head.seq, f"the head that {who} has kept is not signed by the service's key"
        elif head.seq > last:
            yield last + 1, f"the log was rolled back: it ends at row {last}, {who} has kept the head of row {head.seq}"
        elif head.sha256 != shas[head.seq]:
            yield head.seq, f"row {head.seq} is not the one whose head {who} has kept: the log was written anew"


def _record_faults(connection: Connection, payloads: Mapping[str, int]) -> Iterator[Fault]:
    seen = set()
    known = set(inspect(connection).get_table_names())  # an older Remend may have made fewer
    for table in (table for table in tables.RECORDS if table.name in known):
        for row in connection.execute(select(table)):
            content = dict(row._mapping)
            record, sha256 = content.pop("record"), content.pop("sha256")
            content.pop("row")
            if hashlib.sha256(str(record).encode()).hexdigest() != sha256:
                yield payloads.get(sha256), f"a record in {table.name} was edited"
            elif sha256 not in payloads:
                yield None, f"a record in {table.name} was added past the log"
            elif not content.items() <= json.loads(record).items():  # columns that serve to find the record
                yield payloads[sha256], f"a record in {table.name} was put in another place"
            elif table is tables.seals and not is_genuine(read_record(Seal, record)):
                yield payloads[sha256], "a seal is not signed by the key that it names"
            seen.add(sha256)
    for sha256, seq in payloads.items():
        if sha256 not in seen:
            yield seq, f"the record that row {seq} speaks of was deleted"


def _digest(content: dict[str, Any]) -> str:
    try:
        return sha256_of(content)
    except (TypeError, ValueError):  # an edit can put bytes where text or a number was
        return ""
