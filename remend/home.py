"""The one folder where Remend keeps its database, keys, versions and audit head."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.errors import BadInput


def home_folder(environ: Mapping[str, str]) -> Path:
    """The home folder, created with mode 0700 if it is not there.

    `REMEND_HOME` wins; otherwise `$XDG_DATA_HOME/remend`, by default `~/.local/share/remend`.

    Raises:
        BadInput: the path is a file, or cannot be created.
    """
    if chosen := environ.get("REMEND_HOME"):
        home = Path(chosen).absolute()
    else:
        data = Path(environ.get("XDG_DATA_HOME", ""))
        if not data.is_absolute():  # the XDG specification: ignore relative paths
            data = Path(environ.get("HOME") or Path.home()) / ".local" / "share"
        home = data / "remend"
    return make_private(home)


def make_private(folder: Path) -> Path:
    """Create `folder` for this user only; an existing folder keeps its mode.

    Raises:
        BadInput: the path is a file, or cannot be created.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(f"{folder} cannot be a folder of Remend ({reason}); set REMEND_HOME to another place") from error
    return folder


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process and thread alone.

    The lock sits on the folder itself: no file to leave behind, and the kernel frees it when the process is killed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that a reader, or a crash at any moment, sees the old bytes or the new ones and nothing else.

    Hold `exclusive` on the folder: the temporary file has a fixed name, so that a crash leaves at most one behind.
    """
    draft = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)  # a draft left by a crash keeps its own mode otherwise
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
