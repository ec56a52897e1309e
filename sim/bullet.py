"""PyBullet, imported quietly: the extension prints its build time, which would spoil a JSON answer."""

from __future__ import annotations

import os


def _import_quietly() -> None:
    saved = [(fd, os.dup(fd)) for fd in (1, 2)]
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        for fd, _ in saved:
            os.dup2(null, fd)
        import pybullet  # noqa: F401, PLC0415 only for its side effect on the descriptors
    finally:
        for fd, copy in saved:
            os.dup2(copy, fd)
            os.close(copy)
        os.close(null)


_import_quietly()

import pybullet as bullet  # noqa: E402

__all__ = ["bullet"]
