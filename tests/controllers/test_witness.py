"""A robot keeps the last head of the audit log that it was sent, and takes none that goes back."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.desk import Desk, ThreadClerk
from controllers.link_messages import Asked, ask, read_asked
from controllers.requests import KeepHead
from controllers.signature import TrustStore, fingerprint
from controllers.witness import FILE, Witness, keep_head, kept_head, statement
from core.errors import Refused, SignatureInvalid

SERVICE, OTHER, STRANGER, OPERATOR = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5))
TRUST = TrustStore.of([OPERATOR.public_key()], [SERVICE.public_key(), OTHER.public_key()])
A, B = "a" * 64, "b" * 64


def head(seq: int, sha256: str = A, key: Ed25519PrivateKey = SERVICE) -> bytes:
    value = {
        "seq": seq,
        "sha256": sha256,
        "key_id": fingerprint(key.public_key()),
        "signature": key.sign(statement(seq, sha256)).hex(),
    }
    return json.dumps(value).encode()


def test_a_head_that_goes_on_is_kept_over_a_restart(tmp_path: Path) -> None:
    for each in (head(3), head(3), head(70, B), head(1, B, OTHER)):  # another service's log begins anew
        keep_head(tmp_path, each, TRUST)
        assert kept_head(tmp_path).encode() == each


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (head(9), "one of row 10 is kept"),
        (head(10, B), "another one than was signed before"),
        (head(11, A, STRANGER), "no service that this robot trusts"),
        (head(11, A, OPERATOR), "no service that this robot trusts"),
        (head(11).replace(b'"seq": 11', b'"seq": 12'), "does not match"),
        (head(11).replace(b'"seq": 11', b'"seq": true'), "no signed head"),
        (head(11).replace(b'"seq": 11', b'"seq": -1'), "no signed head"),
        (head(11)[:-9] + b' "x"}', "no signed head"),
        (b"[]", "no signed head"),
        (b"\xff", "no signed head"),
        (b"[" * 900, "no signed head"),
        (b" " * 1001, "no signed head"),
    ],
)
def test_a_head_that_goes_back_or_is_forged_is_refused_and_the_one_before_stays(
    tmp_path: Path, sent: bytes, why: str
) -> None:
    keep_head(tmp_path, head(10), TRUST)
    with pytest.raises(SignatureInvalid, match=why):
        keep_head(tmp_path, sent, TRUST)
    assert kept_head(tmp_path).encode() == head(10)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b'{"seq": 1'])
def test_a_damaged_file_is_no_head(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    assert kept_head(tmp_path) == ""
    keep_head(tmp_path, head(2), TRUST)
    assert kept_head(tmp_path).encode() == head(2)


def test_a_loop_says_what_is_on_disk_and_nothing_else(tmp_path: Path) -> None:
    desk = Desk("arm-7", TRUST, tmp_path, simulated=True)
    clerk = ThreadClerk(desk)
    witness = Witness(desk.kept_head())
    witness.keep(head(5), clerk, wait=True)
    assert witness.kept.encode() == head(5)
    with pytest.raises(SignatureInvalid):
        witness.keep(head(4), clerk, wait=True)
    assert witness.kept.encode() == head(5)
    clerk.writer.submit(lambda: None).result()
    witness.keep(head(6), clerk, wait=False)
    clerk.writer.submit(lambda: None).result()
    assert witness.kept.encode() == head(6)
    clerk.close()
    desk.close()
    assert Witness(kept_head(tmp_path)).kept.encode() == head(6)


def test_one_head_at_a_time(tmp_path: Path) -> None:
    class Slow:
        def __init__(self) -> None:
            self.order: Future[None] = Future()

        def keep_head(self, head: bytes) -> object:
            return self.order

        def wait(self, order: object) -> None:
            raise AssertionError

    slow, witness = Slow(), Witness("")
    witness.keep(head(1), slow, wait=False)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="on its way"):
        witness.keep(head(2), slow, wait=False)  # type: ignore[arg-type]
    assert witness.kept == ""
    slow.order.set_exception(OSError("disk full"))
    assert witness.kept == ""
    slow.order = type(slow.order)()
    witness.keep(head(2), slow, wait=False)  # type: ignore[arg-type]


def test_a_head_goes_over_a_line_of_text() -> None:
    asked = Asked(session="s", number=1, wish=KeepHead(head=head(7)))
    assert read_asked(ask(asked)) == asked
