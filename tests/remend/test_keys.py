"""Keys and the home folder are private, and appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.durable import write_atomically
from core.errors import BadInput, Refused
from remend.home import exclusive, home_folder
from remend.keys import KeyRing


def test_keys_are_created_once_and_private(home: Path) -> None:
    ring = KeyRing.open(home)
    again = KeyRing.open(home)
    assert (again.operator_id, again.service_id) == (ring.operator_id, ring.service_id)
    assert ring.operator_id != ring.service_id
    assert sorted(os.listdir(home / "keys")) == ["operator.pem", "service.pem"]
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    for role in ("operator", "service"):
        assert stat.S_IMODE((home / "keys" / f"{role}.pem").stat().st_mode) == 0o600
    assert set(ring.trust().operators) == {ring.operator_id}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_key_that_others_can_read_is_refused(home: Path, mode: int) -> None:
    KeyRing.open(home)
    (home / "keys" / "operator.pem").chmod(mode)
    with pytest.raises(Refused, match="can be read by others"):
        KeyRing.open(home)


def test_file_that_is_no_ed25519_key_is_bad_input(home: Path) -> None:
    KeyRing.open(home)
    path = home / "keys" / "operator.pem"
    path.write_bytes(b"not a key")
    with pytest.raises(BadInput, match="not an unencrypted private key"):
        KeyRing.load(home)
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(BadInput, match="not an ed25519 key"):
        KeyRing.load(home)


def test_loading_creates_nothing(home: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        KeyRing.load(home)
    assert os.listdir(home) == []


def test_draft_of_a_killed_process_is_overwritten_and_stays_private(home: Path) -> None:
    draft = home / ".note.tmp"
    draft.write_bytes(b"half")
    draft.chmod(0o644)
    write_atomically(home / "note", b"whole")
    assert os.listdir(home) == ["note"]
    assert stat.S_IMODE((home / "note").stat().st_mode) == 0o600


def test_folder_is_held_by_one_alone_and_freed_afterwards(home: Path) -> None:
    descriptor = os.open(home, os.O_RDONLY)
    try:
        with exclusive(home), pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REMEND_HOME": "{0}/own", "XDG_DATA_HOME": "{0}/data"}, "own"),
        ({"XDG_DATA_HOME": "{0}/data", "HOME": "{0}"}, "data/remend"),
        ({"XDG_DATA_HOME": "relative", "HOME": "{0}"}, ".local/share/remend"),
        ({"REMEND_HOME": "", "HOME": "{0}"}, ".local/share/remend"),
    ],
)
def test_home_folder_follows_the_environment(tmp_path: Path, environ: dict[str, str], expected: str) -> None:
    home = home_folder({name: value.format(tmp_path) for name, value in environ.items()})
    assert home == tmp_path / expected
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_home_that_is_a_file_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="set REMEND_HOME"):
            home_folder({"REMEND_HOME": str(place)})
