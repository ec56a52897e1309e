"""Linear algebra of small matrices keeps to one thread, and gives the threads back."""

from __future__ import annotations

import pytest
import scipy.linalg  # noqa: F401 its BLAS is another one than numpy's
from threadpoolctl import threadpool_info, threadpool_limits

from core.threads import one_thread


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_blas_has_one_thread_inside_and_as_many_as_before_outside() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        with one_thread():
            assert threads() == {1}
        assert threads() == {2}


def test_a_function_that_raises_gives_the_threads_back() -> None:
    @one_thread()
    def fails() -> None:
        assert threads() == {1}
        raise ValueError("on purpose")

    with threadpool_limits(limits=2, user_api="blas"):
        with pytest.raises(ValueError, match="on purpose"):
            fails()
        assert threads() == {2}
