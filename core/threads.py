"""One thread for linear algebra whose matrices are so small that threads would only wait for each other.

A BLAS library starts as many threads as there are cores. They share a product of a few hundred rows at a loss, burn CPU
time while they wait, and make the last bits of a result depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread, in the whole process, until the block ends. As a decorator: while the function runs."""
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401, PLC0415 scipy brings a BLAS of its own, which can only be limited once loaded

    return ThreadpoolController()
