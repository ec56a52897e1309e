"""Whom a robot believes, over time: the keys that it was set up with, and every exchange of keys since.

An exchange names the whole new list, its number and the robot. An operator's key of the list before signs it, and so
does an operator's key of the new list, so that nobody locks himself out with a key that he does not have. The chain is
checked from its beginning each time: whoever can write the file can keep patches from a robot, but not bring one in.

Source: root rotation of The Update Framework (TUF specification, 5.3).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.signature import TrustStore, fingerprint, pre_authentication
from core.durable import write_atomically
from core.errors import BadInput, SignatureInvalid
from core.ids import canonical_json

EXCHANGE_TYPE = "application/vnd.remend.key-exchange.v1+json"
_FILE = "trust.json"
_MAX_BYTES = 256 * 1024
_MOST = 100  # exchanges; each costs two signatures to check


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A list of keys with its number: 0 is what the robot was set up with."""

    number: int
    keys: TrustStore


def sign_exchange(
    robot_id: str, number: int, keys: TrustStore, old: Ed25519PrivateKey, new: Ed25519PrivateKey
) -> dict[str, str]:
    """Exchange number `number` of a robot's keys, signed by an operator's key of the list before and one of the new."""
    statement = canonical_json({"robot_id": robot_id, "number": number, "keys": keys.to_json().decode()})
    message = pre_authentication(EXCHANGE_TYPE, statement.encode())
    return {
        "statement": statement,
        "old_key": fingerprint(old.public_key()),
        "old_signature": old.sign(message).hex(),
        "new_key": fingerprint(new.public_key()),
        "new_signature": new.sign(message).hex(),
    }


def add_exchange(folder: Path, exchange: dict[str, str]) -> None:
    """Append an exchange to the chain in a robot's folder. The robot judges it."""
    write_atomically(folder / _FILE, json.dumps([*_chain(folder), exchange]).encode())


def current_trust(folder: Path, robot_id: str, root: TrustStore, *, at_least: int = 0) -> Trust:
    """The list in force: the root, and every exchange since.

    Args:
        root: what the robot was set up with, which stays.
        at_least: the highest number that the robot has ever accepted; a shorter chain is an old one.

    Raises:
        SignatureInvalid: a link of the chain is not what it should be, or the chain is shorter than it was.
    """
    trust = Trust(number=0, keys=root)
    for place, exchange in enumerate(_chain(folder), start=1):
        trust = _exchanged(trust, exchange, robot_id, place)
    if trust.number < at_least:
        raise SignatureInvalid(
            f"{_FILE} ends at exchange {trust.number}, but {at_least} has been in force; put it back"
        )
    return trust


def _exchanged(trust: Trust, exchange: object, robot_id: str, place: int) -> Trust:
    where = f"exchange {place} in {_FILE}"
    if not isinstance(exchange, dict):
        raise SignatureInvalid(f"{where} is not a signed exchange of keys")
    try:
        statement = json.loads(exchange["statement"])
        keys = TrustStore.from_json(statement["keys"].encode())
        message = pre_authentication(EXCHANGE_TYPE, exchange["statement"].encode())
        signatures = {side: bytes.fromhex(exchange[f"{side}_signature"]) for side in ("old", "new")}
        signers = {"old": trust.keys.operators.get(exchange["old_key"]), "new": keys.operators.get(exchange["new_key"])}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, BadInput):
        raise SignatureInvalid(f"{where} is not a signed exchange of keys") from None
    if statement.get("robot_id") != robot_id:
        raise SignatureInvalid(f"{where} is for another robot than {robot_id}")
    if statement.get("number") != place:
        raise SignatureInvalid(f"{where} is number {statement.get('number')}; exchanges come one after the other")
    for side, key in signers.items():
        if key is None:
            raise SignatureInvalid(f"{where} is not signed by an operator of the {side} list")
        try:
            key.verify(signatures[side], message)
        except InvalidSignature:
            raise SignatureInvalid(f"{where}: the signature of the {side} list's operator does not match") from None
    return Trust(number=place, keys=keys)


def _chain(folder: Path) -> list[object]:
    try:
        with (folder / _FILE).open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    try:
        chain = json.loads(data)
    except (ValueError, RecursionError):
        chain = None
    if not isinstance(chain, list) or len(chain) > _MOST or len(data) > _MAX_BYTES:
        raise SignatureInvalid(f"{_FILE} is not a chain of at most {_MOST} exchanges of keys; put it back")
    return chain
