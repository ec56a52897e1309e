"""Homes for the tests, and the sample records."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from argon2 import PasswordHasher

from core.clock import ManualClock
from remend.service import accounts
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


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """argon2id as cheap as it gets: many tests make users, and none tries to break in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield
