"""The keys of an installation: the operator's, the service's, and the one that draws sealed scenarios."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from controllers.signature import TrustStore, fingerprint
from core.durable import write_atomically
from core.errors import BadInput, Refused
from remend.home import exclusive, make_private


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Private keys of operator and service, from `<home>/keys/<role>.pem` (PKCS#8, mode 0600)."""

    operator: Ed25519PrivateKey
    service: Ed25519PrivateKey

    @classmethod
    def open(cls, home: Path) -> KeyRing:
        """Load the keys; create the ones that are missing. Two processes may do this at once.

        Raises:
            BadInput: a key file is not an ed25519 key.
            Refused: a key file can be read by others.
        """
        folder = make_private(home / "keys")
        with exclusive(folder):
            for role in ("operator", "service"):
                if not (path := folder / f"{role}.pem").exists():
                    write_atomically(path, _pem(Ed25519PrivateKey.generate()))
        return cls.load(home)

    @classmethod
    def load(cls, home: Path) -> KeyRing:
        """Load the keys and create nothing.

        Raises:
            BadInput: a key file is missing or is not an ed25519 key.
            Refused: a key file can be read by others.
        """
        return cls(operator=load_key(home, "operator"), service=load_key(home, "service"))

    @property
    def operator_id(self) -> str:
        """Key id of the operator's key."""
        return fingerprint(self.operator.public_key())

    @property
    def service_id(self) -> str:
        """Key id of the service's key."""
        return fingerprint(self.service.public_key())

    def trust(self) -> TrustStore:
        """What a robot of this installation should trust.

        Raises:
            BadInput: both files hold the same key.
        """
        return TrustStore.of([self.operator.public_key()], [self.service.public_key()])


def seal_key(home: Path) -> Ed25519PrivateKey:
    """The key that sealed scenarios are drawn with; created if it is not there.

    Raises:
        BadInput: the key file is not an ed25519 key.
        Refused: the key file can be read by others.
    """
    folder = make_private(home / "keys")
    with exclusive(folder):
        if not (path := folder / "seal.pem").exists():
            write_atomically(path, _pem(Ed25519PrivateKey.generate()))
    return load_key(home, "seal")


def simulated_seal_key(seed: int) -> Ed25519PrivateKey:
    """The key of a simulated healing: the same seed draws the same sealed scenarios. No secret, and no robot's key."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"remend simulation {seed}".encode()).digest())


def load_key(home: Path, role: str) -> Ed25519PrivateKey:
    """One key of the ring: `role` is "operator", "service" or "seal".

    Raises:
        BadInput: the file is missing or is not an ed25519 key.
        Refused: the file can be read by others.
    """
    path = home / "keys" / f"{role}.pem"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise Refused(f"{path} can be read by others (mode {mode:04o}); replace it, or chmod 600 if nobody did")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); put the key back from a backup") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path} is not an unencrypted private key; put the key back from a backup") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path} is not an ed25519 key; put the key back from a backup")
    return key


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
