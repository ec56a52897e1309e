"""Homes for the tests, and the sample records."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from core.clock import ManualClock
from remend.store import Store


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """`samples.py` of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location("remend_samples", Path(__file__).with_name("samples.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000 * 10**9)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def store(home: Path, clock: ManualClock) -> Iterator[Store]:
    with Store.open(home, clock) as opened:
        yield opened
