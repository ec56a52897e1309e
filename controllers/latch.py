"""The kill switch of one robot: a file in its folder that latches, and the signed word that takes it away.

Whoever may write the folder can kill: `touch KILL` is enough, with or without a service or a running host. Only a key
that the robot trusts as an operator's can re-arm, for this one kill and no other; a kill never asks for a key.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controllers.signature import TrustStore, fingerprint, pre_authentication
from core.durable import sync_folder, write_atomically
from core.errors import SignatureInvalid
from core.ids import canonical_json

KILL_FILE, REARM_FILE = "KILL", "REARM"
REARM_TYPE = "application/vnd.remend.rearm.v1+json"
_IDENTITY = "robot.json"  # says whose folder it is
_MAX_BYTES = 4096
BY_HAND = f"the file {KILL_FILE} was put into the robot's folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill. `mark` is what a re-arming has to name, so that none fits the next kill."""

    reason: str
    mark: str  # hex

    @classmethod
    def because(cls, reason: str) -> Kill:
        """A new kill."""
        return cls(reason=reason[:500] or "no reason given", mark=secrets.token_hex(16))


class KillLatch:
    """The files of the kill switch in one robot's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    @property
    def is_set(self) -> bool:
        """Whether the kill file is there; asked in every tick, about a microsecond."""
        return os.access(KILL_FILE, os.F_OK, dir_fd=self._descriptor)

    @property
    def has_request(self) -> bool:
        """Whether somebody asks for re-arming."""
        return os.access(REARM_FILE, os.F_OK, dir_fd=self._descriptor)

    def read(self) -> Kill | None:
        """The kill that the file names; None where there is no file, or one that was put there by hand."""
        try:
            return _parse(self._read(KILL_FILE))
        except OSError:
            return None

    def set(self, kill: Kill) -> None:
        """Latch; on disk when this returns."""
        write_atomically(self._folder / KILL_FILE, canonical_json(kill).encode())

    def request(self, signed: bytes) -> None:
        """Put down a signed re-arming for the host to find."""
        write_atomically(self._folder / REARM_FILE, signed)

    def take_request(self) -> bytes:
        """The signed re-arming that lies there; it is gone afterwards, whatever it is worth."""
        data = self._read(REARM_FILE)
        (self._folder / REARM_FILE).unlink()
        return data

    def release(self, kill: Kill) -> None:
        """Take the file of this kill away.

        Raises:
            SignatureInvalid: another kill has come meanwhile; it holds.
        """
        file, aside = self._folder / KILL_FILE, self._folder / f".{KILL_FILE}.released"
        if not file.exists():
            return
        file.rename(aside)  # so that nothing can come between the look and the removal
        if _parse(aside.read_bytes()) != kill:
            aside.rename(file)
            raise SignatureInvalid("another kill has come meanwhile")
        aside.unlink()
        sync_folder(self._folder)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._descriptor)

    def _read(self, name: str) -> bytes:
        with (self._folder / name).open("rb") as stream:
            return stream.read(_MAX_BYTES)


def _parse(data: bytes) -> Kill | None:
    try:
        value = json.loads(data)
        kill = Kill(reason=value["reason"], mark=value["mark"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return kill if type(kill.reason) is str and type(kill.mark) is str and len(kill.mark) == 32 else None


def sign_rearm(robot_id: str, mark: str, key: Ed25519PrivateKey) -> bytes:
    """An operator's word that this robot may take patches again after this kill."""
    statement = canonical_json({"robot_id": robot_id, "mark": mark})
    signature = key.sign(pre_authentication(REARM_TYPE, statement.encode()))
    return canonical_json(
        {"statement": statement, "key": fingerprint(key.public_key()), "signature": signature.hex()}
    ).encode()


def check_rearm(data: bytes, robot_id: str, mark: str, trust: TrustStore) -> None:
    """Nothing, if an operator whom the robot trusts has signed exactly this re-arming.

    Raises:
        SignatureInvalid: anything does not match; the sentence says what.
    """
    try:
        value = json.loads(data)
        statement, name, signature = value["statement"].encode(), value["key"], bytes.fromhex(value["signature"])
        key = trust.operators.get(name)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise SignatureInvalid("the re-arming is not a signed statement; use remend rearm") from None
    if key is None:
        raise SignatureInvalid(f"the re-arming is signed by {name}, which is no operator's key of this robot")
    try:
        key.verify(signature, pre_authentication(REARM_TYPE, statement))
    except InvalidSignature:
        raise SignatureInvalid("the re-arming's signature does not match it") from None
    if statement.decode() != canonical_json({"robot_id": robot_id, "mark": mark}):
        raise SignatureInvalid("the re-arming is for another robot or another kill; sign a new one")


def read_identity(folder: Path) -> str | None:
    """The id of the robot whose folder this is; None if it is nobody's."""
    try:
        robot_id = json.loads((folder / _IDENTITY).read_text(encoding="utf-8"))["robot_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return robot_id if isinstance(robot_id, str) else None


def write_identity(folder: Path, robot_id: str) -> None:
    """Say in a robot's folder whose it is, so that a kill finds it by its id, and which process runs its loop."""
    write_atomically(folder / _IDENTITY, json.dumps({"robot_id": robot_id, "pid": os.getpid()}).encode())
