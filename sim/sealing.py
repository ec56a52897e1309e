"""Sealed scenarios: drawn from a signature that nobody without the key can know, and everybody can check.

ed25519 signs deterministically (RFC 8032), so one commitment has one set of scenarios. What is signed names incident,
both laws, policy and attempt, and it is stored before the first run; with the public key anybody can see that the seed
follows from it. This binds the candidate and whoever made it. It does not bind the service against itself: whoever
holds the key and alters this code could sign one commitment in many ways.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from controllers.signature import pre_authentication
from core.ids import canonical_json
from core.records import Seal

SEAL_TYPE = "application/vnd.remend.seal.v1+json"  # a signature for a seal can never pass for a patch or a head
_SEED_TYPE = "application/vnd.remend.seed.v1+json"
_DIGITS = 13  # of the digest, in hexadecimal: 52 bits, which every reader of JSON keeps exactly


def signed(seal: Seal, key: Ed25519PrivateKey) -> Seal:
    """The seal with key and signature filled in."""
    public = key.public_key().public_bytes_raw().hex()
    return replace(seal, public_key=public, signature=key.sign(_statement(seal)).hex())


def seed_of(seal: Seal) -> int:
    """The seed of the sealed scenarios."""
    return _drawn(bytes.fromhex(seal.signature))


def secret_seed(key: Ed25519PrivateKey, purpose: str, *shas: str) -> int:
    """A seed for scenarios that only rank: nobody without the key knows it, and it is the same for the same hashes."""
    return _drawn(key.sign(pre_authentication(_SEED_TYPE, canonical_json([purpose, *shas]).encode())))


def is_genuine(seal: Seal) -> bool:
    """Whether the signature is that of the seal's key over what the seal names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(seal.public_key))
        key.verify(bytes.fromhex(seal.signature), _statement(seal))
    except (InvalidSignature, ValueError):
        return False
    return True


def _drawn(signature: bytes) -> int:
    return int(hashlib.sha256(signature).hexdigest()[:_DIGITS], 16)


def _statement(seal: Seal) -> bytes:
    """What is signed. No time and no id: the same incident, laws, policy and attempt give the same scenarios."""
    fixed = ("telemetry_sha", "base_sha", "result_sha", "policy_sha", "attempt")
    return pre_authentication(SEAL_TYPE, canonical_json({name: getattr(seal, name) for name in fixed}).encode())
