"""Exchanges of keys: signed by the old list and the new one, one after the other, and never undone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.desk import Desk
from controllers.signature import SignedManifest, TrustStore, countersign, fingerprint
from controllers.trust import add_exchange, current_trust, sign_exchange
from core.errors import SignatureInvalid
from tests.controllers.test_host import BASELINE, GOOD, NOW_NS, OPERATOR, SERVICE, STRANGER, TRUST, patch

SECOND, THIRD = (Ed25519PrivateKey.from_private_bytes(bytes([k]) * 32) for k in (7, 8))


def store(operator: Ed25519PrivateKey) -> TrustStore:
    return TrustStore.of([operator.public_key()], [SERVICE.public_key()])


def first() -> dict[str, str]:
    return sign_exchange("arm", 1, store(SECOND), OPERATOR, SECOND)


def signed_by(operator: Ed25519PrivateKey, version: int) -> bytes:
    manifest = SignedManifest(manifest=patch(GOOD, version=version).manifest)
    once = countersign(manifest, fingerprint(operator.public_key()), operator)
    return countersign(once, fingerprint(SERVICE.public_key()), SERVICE).to_json()


def accept(desk: Desk, signed: bytes) -> None:
    desk.accept(signed, GOOD.files, active_sha=BASELINE.sha256, last_version=0, now_ns=NOW_NS)


def test_after_an_exchange_only_the_new_key_brings_a_patch_in(tmp_path: Path) -> None:
    desk = Desk("arm", TRUST, tmp_path, simulated=False)
    accept(desk, signed_by(OPERATOR, 1))
    with pytest.raises(SignatureInvalid, match="not trusted"):
        accept(desk, signed_by(SECOND, 1))
    add_exchange(tmp_path, first())
    accept(desk, signed_by(SECOND, 1))
    with pytest.raises(SignatureInvalid, match="not trusted"):
        accept(desk, signed_by(OPERATOR, 1))
    add_exchange(tmp_path, sign_exchange("arm", 2, store(THIRD), SECOND, THIRD))
    again = Desk("arm", TRUST, tmp_path, simulated=False)  # as after a restart
    accept(again, signed_by(THIRD, 1))
    with pytest.raises(SignatureInvalid, match="not trusted"):
        accept(again, signed_by(SECOND, 1))
    assert again.disk.read().trust == 2


def test_an_exchange_is_not_undone_by_removing_it(tmp_path: Path) -> None:
    desk = Desk("arm", TRUST, tmp_path, simulated=False)
    add_exchange(tmp_path, first())
    accept(desk, signed_by(SECOND, 1))
    (tmp_path / "trust.json").unlink()
    for key in (OPERATOR, SECOND):
        with pytest.raises(SignatureInvalid, match="has been in force"):
            accept(desk, signed_by(key, 2))
    desk.store(desk.disk.read().__class__(committed=None, previous=None, version=0), None)
    assert desk.disk.read().trust == 1, "nothing that moves the pointer forgets it"


def other(**changes: str) -> Callable[[], Any]:
    return lambda: {**first(), **changes}


@pytest.mark.parametrize(
    ("exchange", "sentence"),
    [
        (lambda: sign_exchange("arm", 1, store(SECOND), STRANGER, SECOND), "operator of the old list"),
        (lambda: sign_exchange("arm", 1, store(SECOND), SERVICE, SECOND), "operator of the old list"),
        (lambda: sign_exchange("arm", 1, store(SECOND), OPERATOR, OPERATOR), "operator of the new list"),
        (lambda: sign_exchange("arm", 1, store(SECOND), OPERATOR, SERVICE), "operator of the new list"),
        (lambda: sign_exchange("leg", 1, store(SECOND), OPERATOR, SECOND), "for another robot"),
        (lambda: sign_exchange("arm", 0, store(SECOND), OPERATOR, SECOND), "one after the other"),
        (lambda: sign_exchange("arm", 2, store(SECOND), OPERATOR, SECOND), "one after the other"),
        (other(old_signature="00" * 64), "old list's operator does not match"),
        (other(new_signature="00" * 64), "new list's operator does not match"),
        (other(old_signature="x"), "not a signed exchange"),
        (other(statement="{}"), "not a signed exchange"),
        (other(statement="[" * 100_000), "not a signed exchange"),
        (lambda: {**first(), "statement": first()["statement"].replace("arm", "arm ")}, "another robot"),
        (dict, "not a signed exchange"),
        (lambda: "exchange", "not a signed exchange"),
    ],
)
def test_an_exchange_that_is_not_exactly_right_stops_every_patch(
    tmp_path: Path, exchange: Callable[[], Any], sentence: str
) -> None:
    add_exchange(tmp_path, exchange())
    with pytest.raises(SignatureInvalid, match=sentence):
        current_trust(tmp_path, "arm", TRUST)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[", b"[" * 100_000, json.dumps([1] * 101).encode(), b"[]" + b" " * 2**18]
)
def test_a_file_that_is_no_chain_stops_every_patch(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "trust.json").write_bytes(data)
    with pytest.raises(SignatureInvalid, match="not a chain"):
        current_trust(tmp_path, "arm", TRUST)
