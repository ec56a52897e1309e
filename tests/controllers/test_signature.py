"""A robot takes exactly what was signed for it, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers import signature
from controllers.signature import (
    PatchManifest,
    SignedManifest,
    TrustStore,
    artefact_sha,
    countersign,
    fingerprint,
    pre_authentication,
    sign,
    verify,
)
from core.errors import BadInput, SignatureInvalid
from core.ids import canonical_json, sha256_of

OPERATOR = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
SERVICE = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
OPERATOR_ID, SERVICE_ID, STRANGER_ID = (fingerprint(key.public_key()) for key in (OPERATOR, SERVICE, STRANGER))
TRUST = TrustStore.of([OPERATOR.public_key()], [SERVICE.public_key()])

FILES = {"law.py": b"def control(kp, tau):\n    tau[0] = kp[0]\n", "params.toml": b"kp = [2.0]\n"}
BASE = "b" * 64
NOW_NS = 1_800_000_000 * 10**9
HOUR_NS = 3600 * 10**9
MANIFEST = PatchManifest(
    robot_id="iiwa",
    slot="main",
    law="pid",
    version=4,
    base_sha=BASE,
    result_sha=artefact_sha(FILES),
    files={name: sha256_of(data) for name, data in FILES.items()},
    report_sha="c" * 64,
    approver="ada",
    not_before_ns=NOW_NS,
    expires_ns=NOW_NS + HOUR_NS,
    revert_to=BASE,
    needs_revert_trigger=False,
    canary_sha="d" * 64,
)


def both(manifest: PatchManifest = MANIFEST) -> SignedManifest:
    return countersign(sign(manifest, OPERATOR_ID, OPERATOR), SERVICE_ID, SERVICE)


def check(signed: SignedManifest | None = None, files: dict[str, bytes] = FILES, **changes: Any) -> PatchManifest:
    ask: dict[str, Any] = {"robot_id": "iiwa", "active_sha": BASE, "last_version": 3, "now_ns": NOW_NS, **changes}
    return verify(signed or both(), files, ask.pop("trust", TRUST), **ask)


def signed_text(text: bytes) -> SignedManifest:
    """Bytes that both keys signed, whatever they are."""
    return countersign(countersign(SignedManifest(manifest=text), OPERATOR_ID, OPERATOR), SERVICE_ID, SERVICE)


def signed_fields(**changes: Any) -> SignedManifest:
    value = json.loads(canonical_json(MANIFEST)) | changes
    return signed_text(canonical_json(value).encode())


def test_patch_signed_by_both_sides_is_accepted() -> None:
    assert check() == MANIFEST


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"robot_id": "ur5"}, "for robot iiwa"),
        ({"slot": "gripper"}, "for slot main"),
        ({"active_sha": "d" * 64}, "builds on"),
        ({"last_version": 4}, "not newer"),
        ({"last_version": 5}, "not newer"),
        ({"now_ns": NOW_NS + HOUR_NS, "slack_ns": 0}, "expired"),
        ({"now_ns": NOW_NS + HOUR_NS + signature.DEFAULT_SLACK_NS}, "expired"),
        ({"now_ns": NOW_NS - 1, "slack_ns": 0}, "not valid yet"),
        ({"files": {"law.py": FILES["law.py"]}}, "params.toml is in the manifest"),
        ({"files": FILES | {"extra.py": b""}}, "extra.py is in the artefact"),
        ({"files": FILES | {"law.py": b"tau[0] = 1e9\n"}}, "law.py is not the file"),
        ({"files": {}}, "law.py is in the manifest"),
        ({"trust": TrustStore.of([], [])}, "is not trusted"),
    ],
)
def test_patch_for_anything_else_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SignatureInvalid, match=sentence):
        check(**changes)


def test_slack_forgives_a_clock_that_is_a_little_off() -> None:
    assert check(now_ns=NOW_NS + HOUR_NS + signature.DEFAULT_SLACK_NS - 1) == MANIFEST
    assert check(now_ns=NOW_NS - signature.DEFAULT_SLACK_NS) == MANIFEST


@pytest.mark.parametrize(
    ("signed", "sentence"),
    [
        (SignedManifest(manifest=canonical_json(MANIFEST).encode()), "no operator"),
        (sign(MANIFEST, OPERATOR_ID, OPERATOR), "not countersigned"),
        (sign(MANIFEST, SERVICE_ID, SERVICE), "no operator"),
        (countersign(both(), STRANGER_ID, STRANGER), "not trusted"),
        (SignedManifest(manifest=b"{" * (signature.MAX_MANIFEST_BYTES + 1)), "more than"),
        (SignedManifest(manifest=b"{}", signatures={str(n): b"" for n in range(9)}), "signatures are more"),
        (dataclasses.replace(both(), signatures={OPERATOR_ID: b"", SERVICE_ID: b""}), "does not match"),
    ],
)
def test_manifest_without_both_signatures_is_refused(signed: SignedManifest, sentence: str) -> None:
    with pytest.raises(SignatureInvalid, match=sentence):
        check(signed)


def test_swapped_signatures_are_refused() -> None:
    signed = both()
    swapped = {OPERATOR_ID: signed.signatures[SERVICE_ID], SERVICE_ID: signed.signatures[OPERATOR_ID]}
    with pytest.raises(SignatureInvalid, match="does not match"):
        check(dataclasses.replace(signed, signatures=swapped))


def test_signature_over_the_bare_json_is_refused() -> None:
    # without the typed encoding a signature made for another purpose could be passed off as one for a patch
    body = canonical_json(MANIFEST).encode()
    bare = SignedManifest(manifest=body, signatures={OPERATOR_ID: OPERATOR.sign(body), SERVICE_ID: SERVICE.sign(body)})
    with pytest.raises(SignatureInvalid, match="does not match"):
        check(bare)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "missing or unknown field"),
        (canonical_json(MANIFEST).encode() + b" ", "canonical"),
        (canonical_json(MANIFEST).replace('"slot":"main"', '"slot":"x","slot":"main"').encode(), "canonical"),
    ],
)
def test_signed_text_that_is_no_manifest_is_refused(text: bytes, sentence: str) -> None:
    with pytest.raises(SignatureInvalid, match=sentence):
        check(signed_text(text))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": True},
        {"version": 4.0},
        {"version": -1},
        {"version": 2**63},
        {"version": "4"},
        {"needs_revert_trigger": 0},
        {"robot_id": ""},
        {"robot_id": "r" * 201},
        {"law": None},
        {"base_sha": "B" * 64},
        {"report_sha": "c" * 63},
        {"revert_to": 7},
        {"files": {}},
        {"files": []},
        {"files": {"../law.py": "a" * 64}},
        {"files": {".hidden": "a" * 64}},
        {"files": {"law.py": "short"}},
        {"files": {"law.py\n": "a" * 64}},
    ],
)
def test_malformed_field_is_refused_even_if_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalid, match=f"{next(iter(changes))} is malformed"):
        check(signed_fields(**changes))


def test_unknown_field_is_refused_even_if_signed() -> None:
    with pytest.raises(SignatureInvalid, match="'waiver'"):
        check(signed_fields(waiver=True))


def test_lone_surrogate_is_refused_even_if_signed() -> None:
    text = canonical_json(MANIFEST).replace("ada", "\\ud800").encode()
    with pytest.raises(SignatureInvalid, match="canonical"):
        check(signed_text(text))


def test_result_other_than_the_judged_one_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="validation report judged"):
        check(both(dataclasses.replace(MANIFEST, result_sha="e" * 64)))


def test_oversized_artefact_is_refused_before_it_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "MAX_FILES_BYTES", 10)
    with pytest.raises(SignatureInvalid, match="the artefact has"):
        check()


# -- one flipped byte -------------------------------------------------------------------------------------------------


def flip(data: bytes, place: int, mask: int) -> bytes:
    at = place % len(data)
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


places = st.integers(0, 10**6)
masks = st.integers(1, 255)


@given(places, masks)
def test_flipped_byte_in_the_manifest_is_refused(place: int, mask: int) -> None:
    signed = both()
    with pytest.raises(SignatureInvalid):
        check(dataclasses.replace(signed, manifest=flip(signed.manifest, place, mask)))


@given(st.sampled_from([OPERATOR_ID, SERVICE_ID]), places, masks)
def test_flipped_byte_in_a_signature_is_refused(key_id: str, place: int, mask: int) -> None:
    signed = both()
    forged = {**signed.signatures, key_id: flip(signed.signatures[key_id], place, mask)}
    with pytest.raises(SignatureInvalid):
        check(dataclasses.replace(signed, signatures=forged))


@given(st.sampled_from(sorted(FILES)), places, masks)
def test_flipped_byte_in_a_file_is_refused(name: str, place: int, mask: int) -> None:
    with pytest.raises(SignatureInvalid):
        check(files=FILES | {name: flip(FILES[name], place, mask)})


@settings(max_examples=400)
@given(places, masks)
def test_flipped_byte_on_the_wire_is_refused(place: int, mask: int) -> None:
    with pytest.raises(SignatureInvalid):
        check(SignedManifest.from_json(flip(both().to_json(), place, mask)))


@given(st.binary(max_size=300))
def test_garbage_on_the_wire_is_refused(data: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        check(SignedManifest.from_json(data))


# -- encodings --------------------------------------------------------------------------------------------------------


def test_signed_manifest_survives_its_encoding() -> None:
    assert SignedManifest.from_json(both().to_json()) == both()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b" " * (signature.MAX_SIGNED_BYTES + 1), "more than"),
        (b"[" * 100_000, "not JSON"),
        (b'{"manifest":"","signatures":[]}', "not an object"),
        (b'{"manifest":1,"signatures":{}}', "not an object"),
        (b'{"manifest":"","signatures":{"a":1}}', "not an object"),
        (b'{"manifest":"","signatures":{"a":"0g"}}', "not an object"),
        (b'{"manifest":"","signatures":{"a":"0A"}}', "not an object"),
        (b'{"manifest":"","more":1,"signatures":{}}', "not an object"),
        (b'{"manifest":"\\ud800","signatures":{}}', "not an object"),
        (b'{"signatures":{}}', "not an object"),
    ],
)
def test_signed_manifest_of_another_form_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(SignatureInvalid, match=sentence):
        SignedManifest.from_json(data)


@given(st.text(), st.binary(), st.text(), st.binary())
def test_two_payloads_never_share_their_signed_bytes(kind: str, body: bytes, kind2: str, body2: bytes) -> None:
    same = pre_authentication(kind, body) == pre_authentication(kind2, body2)
    assert same == ((kind, body) == (kind2, body2))


@given(st.sampled_from(["robot_id", "slot", "law", "approver"]), st.text(min_size=1), st.integers(1, 2**62))
def test_every_field_is_covered_by_the_signed_bytes(name: str, text: str, version: int) -> None:
    other = dataclasses.replace(MANIFEST, version=version, **{name: text})
    same = sign(other, OPERATOR_ID, OPERATOR).signatures == sign(MANIFEST, OPERATOR_ID, OPERATOR).signatures
    assert same == (other == MANIFEST)


def test_signing_twice_changes_nothing() -> None:
    assert countersign(both(), OPERATOR_ID, OPERATOR) == both()


def test_key_under_a_foreign_id_does_not_sign() -> None:
    with pytest.raises(BadInput, match="does not belong"):
        sign(MANIFEST, SERVICE_ID, OPERATOR)


def test_trust_store_survives_its_encoding() -> None:
    again = TrustStore.from_json(TRUST.to_json())
    assert again.to_json() == TRUST.to_json()
    assert check(trust=again) == MANIFEST


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"operators":{},"services":{"a":"00"}}', b"[" * 100_000])
def test_trust_store_of_another_form_is_bad_input(data: bytes) -> None:
    with pytest.raises(BadInput, match="two lists"):
        TrustStore.from_json(data)


def test_trust_store_with_a_key_under_a_foreign_id_is_bad_input() -> None:
    with pytest.raises(BadInput, match="does not belong"):
        TrustStore(operators={"0" * 16: OPERATOR.public_key()}, services={})


def test_one_key_cannot_count_as_both_sides() -> None:
    with pytest.raises(BadInput, match="make two keys"):
        TrustStore.of([OPERATOR.public_key()], [OPERATOR.public_key()])
