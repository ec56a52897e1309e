"""Compiled loops work where nothing can be cached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from telemetry import kernels


def test_install_without_a_writable_cache_compiles_instead_of_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit_on_a_read_only_disk(function: Callable[..., Any], *, cache: bool, **_: object) -> Callable[..., Any]:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return function

    monkeypatch.setattr(kernels, "njit", njit_on_a_read_only_disk)
    assert kernels.compiled(abs)(-1.0) == 1.0
    assert asked == [True, False]
