"""A disk that takes nothing more: recognised, and said in one sentence."""

from __future__ import annotations

import errno

from core.errors import Unavailable

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def no_room(error: OSError) -> Unavailable | None:
    """The complaint about a disk that is full, or that a file may not grow on; None if it is something else."""
    if error.errno not in _NO_ROOM:
        return None
    where = f"{error.filename} cannot be written" if error.filename else "a file cannot be written"
    return Unavailable(f"{where} ({error.strerror}); free the disk, then ask again: nothing was done")
