"""The one folder where Remend keeps its database, keys, versions and audit head."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.errors import BadInput


def home_path(environ: Mapping[str, str]) -> Path:
    """Where the home folder is: `REMEND_HOME`, else `$XDG_DATA_HOME/remend`, by default `~/.local/share/remend`."""
    if chosen := environ.get("REMEND_HOME"):
        return Path(chosen).absolute()
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the XDG specification: ignore relative paths
        data = Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return data / "remend"


def home_folder(environ: Mapping[str, str]) -> Path:
    """The home folder, created with mode 0700 if it is not there.

    Raises:
        BadInput: the path is a file, or cannot be created.
    """
    return make_private(home_path(environ))


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
