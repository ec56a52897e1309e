"""Signed patches: what a robot demands before a single new byte may run on it.

A `PatchManifest` names one artefact for one robot and one slot, on top of one base. The operator's key signs it, the
service's key signs it too, and `verify` refuses everything else: the default answer is no. The signatures cover the
manifest, the manifest covers the digest of each file, and the digests are taken of exactly the bytes that the caller
then loads, so nothing can change between the check and the use.

An expired manifest only stops the *acceptance* of a patch; running and rolling back never ask this module.

Source: DSSE (secure-systems-lab/dsse), pre-authentication encoding; thresholds and versions after TUF.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.errors import BadInput, SignatureInvalid
from core.ids import canonical_json, sha256_of

MANIFEST_TYPE = "application/vnd.remend.patch-manifest.v1+json"
MAX_MANIFEST_BYTES = 64 * 1024  # a manifest of four files has about 1 kB
MAX_SIGNED_BYTES = 4 * MAX_MANIFEST_BYTES  # the manifest stands in it as an escaped string, next to the signatures
MAX_FILES_BYTES = 64 * 1024 * 1024  # weights of small policies have a few MB
MAX_SIGNATURES = 8
DEFAULT_SLACK_NS = 300 * 10**9  # 5 min: clocks of robots without a real-time clock drift before NTP answers

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # no separator, no leading dot: cannot leave its folder
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchManifest:
    """Everything the two signatures vouch for. Digests are hex sha256."""

    robot_id: str
    slot: str  # which controller of the robot, such as "main"
    law: str  # name of the law
    version: int  # from 1; strictly increasing per (robot, slot)
    base_sha: str  # artefact that must be active for the patch to apply
    result_sha: str  # artefact after the patch, see `artefact_sha`
    files: dict[str, str]  # file name -> digest, all files of the artefact
    report_sha: str  # validation report the operator decided on
    approver: str
    not_before_ns: int  # UTC
    expires_ns: int  # UTC; afterwards the patch is no longer accepted
    revert_to: str  # artefact to return to when the fault is gone
    needs_revert_trigger: bool  # the patch may only run with an armed revert
    canary_sha: str  # limits that the robot's canary has to hold the patch to


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """The manifest's exact bytes with their signatures."""

    manifest: bytes  # canonical JSON, UTF-8
    signatures: dict[str, bytes] = field(default_factory=dict)  # key id -> ed25519 signature (64 bytes)

    def to_json(self) -> bytes:
        """One encoding for one value, in UTF-8."""
        signatures = {key_id: signature.hex() for key_id, signature in self.signatures.items()}
        return canonical_json({"manifest": self.manifest.decode(), "signatures": signatures}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> SignedManifest:
        """Read what `to_json` wrote. Checks the form only; `verify` decides.

        Raises:
            SignatureInvalid: too large, not JSON, or not in the one canonical form.
        """
        if len(data) > MAX_SIGNED_BYTES:
            raise SignatureInvalid(
                f"the signed manifest has {len(data)} bytes, more than the {MAX_SIGNED_BYTES} allowed"
            )
        value = _parse(data, "signed manifest")
        try:
            signatures = {key_id: bytes.fromhex(signature) for key_id, signature in value["signatures"].items()}
            signed = cls(manifest=value["manifest"].encode(), signatures=signatures)
            same = signed.to_json() == data
        except (AttributeError, KeyError, TypeError, ValueError):
            same = False
        if not same:
            raise SignatureInvalid("the signed manifest is not an object of a manifest and its signatures")
        return signed


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    """Public keys the robot believes, by key id. Build it with `of`, which derives the ids."""

    operators: dict[str, Ed25519PublicKey]
    services: dict[str, Ed25519PublicKey]

    def __post_init__(self) -> None:
        for name, key in (*self.operators.items(), *self.services.items()):
            if name != fingerprint(key):
                raise BadInput(f"key id {name} does not belong to its key; take {fingerprint(key)}")
        if both := self.operators.keys() & self.services.keys():
            # one stolen key would then count as two
            raise BadInput(f"key {min(both)} is both an operator's and a service's; make two keys")

    @classmethod
    def of(cls, operators: Iterable[Ed25519PublicKey], services: Iterable[Ed25519PublicKey]) -> TrustStore:
        """Trust these keys.

        Raises:
            BadInput: a key stands on both sides.
        """
        return cls(
            operators={fingerprint(key): key for key in operators},
            services={fingerprint(key): key for key in services},
        )

    def to_json(self) -> bytes:
        """Key id -> raw public key in hex, for each side."""
        sides = {"operators": self.operators, "services": self.services}
        return canonical_json(
            {side: {name: key.public_bytes_raw().hex() for name, key in keys.items()} for side, keys in sides.items()}
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> TrustStore:
        """Read what `to_json` wrote.

        Raises:
            BadInput: not a list of keys, or a key id that does not belong to its key.
        """
        try:
            sides = json.loads(data)
            keys = [
                {name: Ed25519PublicKey.from_public_bytes(bytes.fromhex(raw)) for name, raw in sides[side].items()}
                for side in ("operators", "services")
            ]
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise BadInput("the trust store is not two lists of ed25519 keys; export it again") from error
        return cls(operators=keys[0], services=keys[1])


def fingerprint(key: Ed25519PublicKey) -> str:
    """Key id: the first 16 hex digits of the sha256 of its raw bytes."""
    return sha256_of(key.public_bytes_raw())[:16]


def artefact_sha(files: Mapping[str, bytes]) -> str:
    """Digest of an artefact: sha256 of the canonical JSON of {file name: sha256 of its bytes}."""
    return sha256_of({name: sha256_of(data) for name, data in files.items()})


def pre_authentication(kind: str, body: bytes) -> bytes:
    """The bytes a key signs: type and body with their lengths, so that no two pairs give the same bytes (DSSE PAE)."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(body), body)


def sign(manifest: PatchManifest, key_id: str, key: Ed25519PrivateKey) -> SignedManifest:
    """First signature.

    Raises:
        BadInput: the id does not belong to the key.
    """
    return countersign(SignedManifest(manifest=canonical_json(manifest).encode()), key_id, key)


def countersign(signed: SignedManifest, key_id: str, key: Ed25519PrivateKey) -> SignedManifest:
    """The same manifest with one more signature. Signing twice with the same key changes nothing.

    Raises:
        BadInput: the id does not belong to the key.
    """
    if key_id != fingerprint(key.public_key()):
        raise BadInput(f"key id {key_id} does not belong to the key that signs; take {fingerprint(key.public_key())}")
    signature = key.sign(pre_authentication(MANIFEST_TYPE, signed.manifest))
    return SignedManifest(manifest=signed.manifest, signatures={**signed.signatures, key_id: signature})


def verify(
    signed: SignedManifest,
    files: Mapping[str, bytes],
    trust: TrustStore,
    *,
    robot_id: str,
    active_sha: str,
    last_version: int,
    now_ns: int,
    slot: str = "main",
    slack_ns: int = DEFAULT_SLACK_NS,
) -> PatchManifest:
    """The manifest, if both sides signed exactly these files for this robot, this base and this moment.

    Args:
        files: file name -> bytes; load these very bytes afterwards, do not read the files again.
        active_sha: artefact that runs now.
        last_version: largest version accepted so far for (robot, slot); 0 if none.
        now_ns: UTC now.
        slack_ns: by how much the robot's clock may be off.

    Raises:
        SignatureInvalid: anything does not match; the sentence says what.
    """
    _require_signatures(signed, trust)
    manifest = _read(signed.manifest)
    if manifest.robot_id != robot_id:
        raise SignatureInvalid(f"the patch is for robot {manifest.robot_id}, this is {robot_id}")
    if manifest.slot != slot:
        raise SignatureInvalid(f"the patch is for slot {manifest.slot}, this is {slot}")
    if manifest.base_sha != active_sha:
        raise SignatureInvalid(f"the patch builds on {manifest.base_sha[:12]}, but {active_sha[:12]} is active")
    if manifest.version <= last_version:
        raise SignatureInvalid(f"version {manifest.version} is not newer than {last_version}, the last one accepted")
    if now_ns < manifest.not_before_ns - slack_ns:
        raise SignatureInvalid("the patch is not valid yet; check the robot's clock")
    if now_ns >= manifest.expires_ns + slack_ns:
        raise SignatureInvalid("the approval has expired; ask for a new one")
    _require_files(manifest, files)
    return manifest


def _require_signatures(signed: SignedManifest, trust: TrustStore) -> None:
    # everything here runs on bytes nobody has vouched for yet: bounded work, no parsing
    if len(signed.manifest) > MAX_MANIFEST_BYTES:
        raise SignatureInvalid(
            f"the manifest has {len(signed.manifest)} bytes, more than the {MAX_MANIFEST_BYTES} allowed"
        )
    if len(signed.signatures) > MAX_SIGNATURES:
        raise SignatureInvalid(f"{len(signed.signatures)} signatures are more than the {MAX_SIGNATURES} allowed")
    message = pre_authentication(MANIFEST_TYPE, signed.manifest)
    for name, signature in signed.signatures.items():
        key = trust.operators.get(name) or trust.services.get(name)
        if key is None:
            raise SignatureInvalid(f"key {name} is not trusted on this robot")
        try:
            key.verify(signature, message)
        except InvalidSignature as error:
            raise SignatureInvalid(f"the signature of key {name} does not match the manifest") from error
    if not signed.signatures.keys() & trust.operators.keys():
        raise SignatureInvalid("no operator has signed the patch")
    if not signed.signatures.keys() & trust.services.keys():
        raise SignatureInvalid("the service has not countersigned the patch")


def _require_files(manifest: PatchManifest, files: Mapping[str, bytes]) -> None:
    if missing := sorted(manifest.files.keys() - files.keys()):
        raise SignatureInvalid(f"{missing[0]} is in the manifest but not in the artefact")
    if extra := sorted(files.keys() - manifest.files.keys()):
        raise SignatureInvalid(f"{extra[0]} is in the artefact but not in the manifest")
    if (size := sum(len(data) for data in files.values())) > MAX_FILES_BYTES:
        raise SignatureInvalid(f"the artefact has {size} bytes, more than the {MAX_FILES_BYTES} allowed")
    for name in sorted(files):
        if sha256_of(files[name]) != manifest.files[name]:
            raise SignatureInvalid(f"{name} is not the file that was approved")
    if artefact_sha(files) != manifest.result_sha:
        raise SignatureInvalid("the artefact is not the one that the validation report judged")


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _digest(value: Any) -> bool:
    return isinstance(value, str) and _SHA.fullmatch(value) is not None


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63  # bool is an int too


def _files(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(FILE_NAME.fullmatch(name) and _digest(digest) for name, digest in value.items())
    )


_FORM: dict[str, Callable[[Any], bool]] = {
    "robot_id": _text,
    "slot": _text,
    "law": _text,
    "version": _count,
    "base_sha": _digest,
    "result_sha": _digest,
    "files": _files,
    "report_sha": _digest,
    "approver": _text,
    "not_before_ns": _count,
    "expires_ns": _count,
    "revert_to": _digest,
    "needs_revert_trigger": lambda value: isinstance(value, bool),
    "canary_sha": _digest,
}
assert _FORM.keys() == {f.name for f in fields(PatchManifest)}  # a new field must say what it may hold


def _read(data: bytes) -> PatchManifest:
    value = _parse(data, "manifest")
    if value.keys() != _FORM.keys():
        odd = min(value.keys() ^ _FORM.keys())
        raise SignatureInvalid(f"the manifest has a missing or unknown field {odd!r}")
    for name, fits in _FORM.items():
        if not fits(value[name]):
            raise SignatureInvalid(f"the manifest's {name} is malformed")
    manifest = PatchManifest(**value)
    if canonical_json(manifest) != data.decode():  # compared as text: a lone surrogate has no bytes
        raise SignatureInvalid("the manifest is not in canonical form")
    return manifest


def _parse(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise SignatureInvalid(f"the {what} is not JSON") from error
    if not isinstance(value, dict):
        raise SignatureInvalid(f"the {what} is not a JSON object")
    return value
