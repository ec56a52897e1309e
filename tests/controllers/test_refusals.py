"""What a robot refuses: tampered, replayed, expired, foreign and truncated artefacts, each with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controllers.desk import Desk
from controllers.signature import MAX_MANIFEST_BYTES, SignedManifest, artefact_sha, countersign, fingerprint
from core.errors import BadInput, SignatureInvalid
from tests.controllers import candidates
from tests.controllers.test_host import (
    BASELINE,
    BETTER,
    GOOD,
    NOW_NS,
    OPERATOR,
    SERVICE,
    STRANGER,
    TRUST,
    patch,
)

LAST = 5  # version accepted last
SLACK_NS = 300 * 10**9
SIGNED = patch(GOOD, version=LAST + 1)
OPERATOR_ID, SERVICE_ID = fingerprint(OPERATOR.public_key()), fingerprint(SERVICE.public_key())


def signed(**changes: Any) -> bytes:
    return patch(GOOD, **{"version": LAST + 1, **changes}).to_json()


def by(*keys: Any, manifest: bytes = SIGNED.manifest) -> bytes:
    made = SignedManifest(manifest=manifest)
    for key in keys:
        made = countersign(made, fingerprint(key.public_key()), key)
    return made.to_json()


def resigned(edit: dict[str, Any] | None = None, without: str | None = None) -> bytes:
    """Both keys over a manifest that was edited as JSON."""
    value = {**json.loads(SIGNED.manifest), **(edit or {})}
    if without is not None:
        del value[without]
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return by(OPERATOR, SERVICE, manifest=text.encode())


def with_signature(key_id: str, signature: bytes) -> bytes:
    return SignedManifest(manifest=SIGNED.manifest, signatures={**SIGNED.signatures, key_id: signature}).to_json()


def files(**changes: bytes | None) -> Mapping[str, bytes]:
    """The approved files with some of them exchanged; `law` is law.py, None takes a file away."""
    names = {"law": "law.py", "manifest": "manifest.toml", "params": "params.toml", "weights": "weights.safetensors"}
    exchanged = {names[name]: data for name, data in changes.items()}
    return {name: data for name, data in {**GOOD.files, **exchanged}.items() if data is not None}


WIRE = SIGNED.to_json()
SHA = "a" * 64
CORPUS: list[tuple[str, bytes, Mapping[str, bytes], str]] = [
    # tampered files
    ("law with one byte more", WIRE, files(law=GOOD.files["law.py"] + b"\n"), "law.py is not the file"),
    ("law truncated", WIRE, files(law=GOOD.files["law.py"][:-1]), "law.py is not the file"),
    ("law empty", WIRE, files(law=b""), "law.py is not the file"),
    ("law of another version", WIRE, files(law=BETTER.files["law.py"] + b"#"), "law.py is not the file"),
    (
        "gain changed",
        WIRE,
        files(params=GOOD.files["params.toml"].replace(b"310", b"311")),
        "params.toml is not the file",
    ),
    ("parameters truncated", WIRE, files(params=GOOD.files["params.toml"][:5]), "params.toml is not the file"),
    ("parameters of another version", WIRE, files(params=BETTER.files["params.toml"]), "params.toml is not the file"),
    ("manifest changed", WIRE, files(manifest=GOOD.files["manifest.toml"] + b" "), "manifest.toml is not the file"),
    ("files swapped", WIRE, files(law=GOOD.files["params.toml"]), "law.py is not the file"),
    ("file missing", WIRE, files(params=None), "params.toml is in the manifest but not"),
    ("no files", WIRE, {}, "is in the manifest but not"),
    ("file added", WIRE, files(weights=b"x"), "weights.safetensors is in the artefact but not"),
    ("another artefact whole", WIRE, BETTER.files, "is not the file"),
    # tampered manifests
    (
        "robot exchanged",
        WIRE.replace(b'\\"robot_id\\":\\"arm\\"', b'\\"robot_id\\":\\"leg\\"'),
        GOOD.files,
        "signature",
    ),
    ("version raised", WIRE.replace(b'\\"version\\":6', b'\\"version\\":7'), GOOD.files, "signature"),
    ("approver exchanged", WIRE.replace(b"ada", b"bob"), GOOD.files, "signature"),
    ("manifest truncated", by(manifest=SIGNED.manifest[:-2]), GOOD.files, "no operator"),
    ("wire truncated", WIRE[:-1], GOOD.files, "not JSON"),
    ("wire cut in the middle", WIRE[: len(WIRE) // 2], GOOD.files, "not JSON"),
    ("nothing", b"", GOOD.files, "not JSON"),
    ("not an object", b"[]", GOOD.files, "not a JSON object"),
    ("not canonical", WIRE + b" ", GOOD.files, "not an object of a manifest"),
    ("nested for ever", b"[" * 100_000, GOOD.files, "not JSON"),
    ("too large", b" " * (4 * MAX_MANIFEST_BYTES + 1), GOOD.files, "more than"),
    ("field missing", resigned(without="report_sha"), GOOD.files, "missing or unknown field"),
    ("field unknown", resigned({"force": True}), GOOD.files, "missing or unknown field"),
    ("version true", resigned({"version": True}), GOOD.files, "version is malformed"),
    ("version negative", resigned({"version": -1}), GOOD.files, "version is malformed"),
    ("file name leaves its folder", resigned({"files": {"../law.py": SHA}}), GOOD.files, "files is malformed"),
    ("no files signed", resigned({"files": {}}), GOOD.files, "files is malformed"),
    # signatures
    ("not signed", by(), GOOD.files, "no operator"),
    ("operator alone", by(OPERATOR), GOOD.files, "not countersigned"),
    ("service alone", by(SERVICE), GOOD.files, "no operator"),
    ("stranger for the operator", by(STRANGER, SERVICE), GOOD.files, "not trusted"),
    ("stranger besides", by(OPERATOR, SERVICE, STRANGER), GOOD.files, "not trusted"),
    ("operator's signature damaged", with_signature(OPERATOR_ID, b"\0" * 64), GOOD.files, "does not match"),
    ("service's signature damaged", with_signature(SERVICE_ID, b"\0" * 64), GOOD.files, "does not match"),
    ("signature truncated", with_signature(OPERATOR_ID, SIGNED.signatures[OPERATOR_ID][:63]), GOOD.files, "not match"),
    ("signatures exchanged", with_signature(OPERATOR_ID, SIGNED.signatures[SERVICE_ID]), GOOD.files, "not match"),
    (
        "signature of another patch",
        with_signature(SERVICE_ID, patch(BETTER).signatures[SERVICE_ID]),
        GOOD.files,
        "not match",
    ),
    # replayed, expired, foreign
    ("replayed", signed(version=LAST), GOOD.files, "not newer than 5"),
    ("replayed from before", signed(version=1), GOOD.files, "not newer than 5"),
    ("version zero", signed(version=0), GOOD.files, "not newer than 5"),
    ("expired", signed(expires_ns=NOW_NS - SLACK_NS), GOOD.files, "expired"),
    ("expired long ago", signed(not_before_ns=0, expires_ns=1), GOOD.files, "expired"),
    ("not valid yet", signed(not_before_ns=NOW_NS + SLACK_NS + 1), GOOD.files, "not valid yet"),
    ("for another robot", signed(robot_id="leg"), GOOD.files, "for robot leg"),
    ("for another slot", signed(slot="gripper"), GOOD.files, "for slot gripper"),
    ("on another base", signed(base_sha=BETTER.sha256), GOOD.files, "builds on"),
    ("on itself", signed(base_sha=GOOD.sha256), GOOD.files, "builds on"),
    ("with another result", signed(result_sha=BETTER.sha256), GOOD.files, "judged"),
    ("approved by nobody", signed(approver="simulated-operator"), GOOD.files, "nobody's name"),
]


def accepted(desk: Desk, wire: bytes) -> tuple[int, str]:
    """Version and hash of the patch that the robot takes."""
    manifest, artefact = desk.accept(wire, GOOD.files, active_sha=BASELINE.sha256, last_version=LAST, now_ns=NOW_NS)
    assert artefact.sha256 == manifest.result_sha
    return manifest.version, artefact.sha256


def test_the_corpus_is_as_large_as_it_says_and_has_no_twins() -> None:
    assert len({name for name, *_ in CORPUS}) == len(CORPUS) >= 50
    assert len({(wire, tuple(sorted(found.items()))) for _, wire, found, _ in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(("wire", "found", "sentence"), [row[1:] for row in CORPUS], ids=[row[0] for row in CORPUS])
def test_the_robot_refuses(wire: bytes, found: Mapping[str, bytes], sentence: str, tmp_path: Path) -> None:
    desk = Desk("arm", TRUST, tmp_path, simulated=False)
    with pytest.raises(SignatureInvalid, match=sentence):
        desk.accept(wire, found, active_sha=BASELINE.sha256, last_version=LAST, now_ns=NOW_NS)
    assert list(tmp_path.iterdir()) == []
    assert accepted(desk, WIRE) == (LAST + 1, GOOD.sha256), "what was really approved is still accepted afterwards"


def test_a_clock_that_is_off_by_the_slack_is_forgiven(tmp_path: Path) -> None:
    desk = Desk("arm", TRUST, tmp_path, simulated=False)
    for within, beyond in (
        ({"expires_ns": NOW_NS - SLACK_NS + 1}, {"expires_ns": NOW_NS - SLACK_NS}),
        ({"not_before_ns": NOW_NS + SLACK_NS}, {"not_before_ns": NOW_NS + SLACK_NS + 1}),
    ):
        assert accepted(desk, signed(**within)) == (LAST + 1, GOOD.sha256)
        with pytest.raises(SignatureInvalid, match=r"expired|not valid yet"):
            accepted(desk, signed(**beyond))


def test_what_both_keys_signed_is_still_held_to_the_language(tmp_path: Path) -> None:
    """Signatures say that it was approved, not that it is a law."""
    stranger = candidates.hold("stranger")
    odd = {**stranger.files, "note.txt": b"hello"}
    wire = patch(type("Odd", (), {"files": odd, "name": "odd", "sha256": artefact_sha(odd)}), version=9).to_json()  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"note\.txt"):
        Desk("arm", TRUST, tmp_path, simulated=False).accept(
            wire, odd, active_sha=BASELINE.sha256, last_version=LAST, now_ns=NOW_NS
        )
