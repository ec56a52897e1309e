"""The robot as a witness: it keeps the last signed head of the service's audit log, and takes none that goes back.

Whoever rewinds the service's database and its own head file to an earlier moment is found by what a robot has kept. A
head is believed for the signature of a service that the robot trusts; another service's head begins anew.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature

from controllers.signature import TrustStore, pre_authentication
from core.durable import write_atomically
from core.errors import Refused, SignatureInvalid
from core.ids import canonical_json

HEAD_TYPE = "application/vnd.remend.audit-head.v1+json"  # a signature for a head can never pass for a patch
FILE = "service.head"
MOST_BYTES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What is signed, and by whom."""

    seq: int
    sha256: str
    key_id: str
    signature: bytes


def statement(seq: int, sha256: str) -> bytes:
    """What the service signs: row `seq` of its log has this digest."""
    return pre_authentication(HEAD_TYPE, canonical_json({"seq": seq, "sha256": sha256}).encode())


def kept_head(folder: Path) -> str:
    """The head that a robot keeps in its folder, as JSON; empty if it keeps none that can be read."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
        _parse(text.encode())
    except (OSError, ValueError, SignatureInvalid):
        return ""
    return text


def keep_head(folder: Path, data: bytes, trust: TrustStore) -> None:
    """Keep a head, if it is a trusted service's and goes on from the one before; on disk when this returns.

    Raises:
        SignatureInvalid: it is not, and the one before stays.
    """
    head = _parse(data)
    key = trust.services.get(head.key_id)
    if key is None:
        raise SignatureInvalid("the head of the audit log is signed by no service that this robot trusts")
    try:
        key.verify(head.signature, statement(head.seq, head.sha256))
    except InvalidSignature:
        raise SignatureInvalid("the signature of the head of the audit log does not match") from None
    if (kept := kept_head(folder)) and (before := _parse(kept.encode())).key_id == head.key_id:
        if head.seq < before.seq:
            raise SignatureInvalid(f"the head of the audit log is at row {head.seq}; one of row {before.seq} is kept")
        if head.seq == before.seq and head.sha256 != before.sha256:
            raise SignatureInvalid(f"row {head.seq} of the audit log is another one than was signed before")
    write_atomically(folder / FILE, data)


class Keeper(Protocol):
    """Who writes to the robot's disk."""

    def keep_head(self, head: bytes) -> Future[None]:
        """`keep_head`, later."""
        ...

    def wait(self, order: Future[None]) -> None:
        """Until this order is done, well or badly."""
        ...


class Witness:
    """What a control loop knows of the head that its robot keeps. The loop itself never writes it.

    Args:
        kept: the head that is on disk.
    """

    def __init__(self, kept: str) -> None:
        self._kept = kept
        self._coming: tuple[bytes, Future[None]] | None = None  # on its way to the disk

    @property
    def kept(self) -> str:
        """The head that is on disk; empty if none is."""
        self._settle()
        return self._kept

    def _settle(self) -> None:
        if self._coming is not None and self._coming[1].done():
            head, order = self._coming
            self._coming = None
            if order.exception() is None:
                self._kept = head.decode()

    def keep(self, head: bytes, keeper: Keeper, *, wait: bool) -> None:
        """Have a head kept; `kept` says when it is.

        Raises:
            Refused: the one before is still on its way.
            SignatureInvalid: it was not kept; raised only with `wait`.
        """
        self._settle()
        if self._coming is not None:
            raise Refused("the head before is on its way to the disk; send this one again")
        order = keeper.keep_head(head)
        self._coming = (head, order)
        if wait:
            keeper.wait(order)
            if isinstance(failed := order.exception(), Refused):
                raise failed


def _parse(data: bytes) -> _Head:
    try:
        if len(data) > MOST_BYTES:
            raise ValueError
        value = json.loads(data)
        head = _Head(
            seq=value["seq"],
            sha256=value["sha256"],
            key_id=value["key_id"],
            signature=bytes.fromhex(value["signature"]),
        )
        texts = (head.sha256, head.key_id)
        if type(head.seq) is not int or head.seq < 0 or not all(isinstance(each, str) for each in texts):
            raise TypeError
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise SignatureInvalid("this is no signed head of an audit log") from None
    return head
