"""Functions as machine code: what loops over every row of telemetry, of a law or of a simulation, is compiled by numba.

Arithmetic is neither fused nor reordered, so that loops in row order give a chunk of n rows the bits of n single rows.
The lock of the interpreter is released while they run. A division by zero gives what IEEE 754 says: a check before each
would keep loops from becoming vector instructions.

The machine code is cached beside the source. Where that folder is read-only numba falls back to the user's cache
folder; where there is none either (a container without a home) it would refuse to import, so the cache is then left out
and the first call compiles for some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """`function` as machine code, cached on disk where some folder can be written."""
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    except RuntimeError:  # "cannot cache function: no locator available"
        return njit(function, cache=False, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
