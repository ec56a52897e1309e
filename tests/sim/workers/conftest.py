"""Zygotes for tests: with bubblewrap where it works, and without."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from core.clock import SystemClock
from sim.workers.dispatch import Dispatch, Request
from sim.workers.keeper import Keeper
from sim.workers.outcome import Lost

pytest.importorskip("fcntl", reason="workers are confined on Linux only")

SECRET = "not for workers"  # noqa: S105 it opens nothing
FREE = "tests.sim.workers.attacks.free:FREE"


@dataclass
class Cage:
    """Runs free Python in confined workers."""

    keeper: Keeper
    timeout_s: float = 120.0

    def run(self, *sources: str, most: int = 4096, count: int = 1, **variables: Any) -> list[bytes | Lost]:
        requests = [Request(work=0, data=pickle.dumps((source, variables)), most_answer=most) for source in sources]
        dispatch = Dispatch(self.keeper, requests, count=count, timeout_s=self.timeout_s, clock=SystemClock())
        return dispatch.run()[0]

    def one(self, source: str, **variables: Any) -> bytes | Lost:
        (answer,) = self.run(source, **variables)
        return answer


@pytest.fixture(scope="module", params=["with bubblewrap", "without bubblewrap"])
def cage(request: pytest.FixtureRequest) -> Iterator[Cage]:
    wanted = request.param == "with bubblewrap"
    if wanted and shutil.which("bwrap") is None:
        pytest.skip("layer bubblewrap: not installed")
    os.environ["REMEND_TEST_SECRET"] = SECRET
    keeper = Keeper(((FREE, b""),), memory=256 << 20, cpu_s=60, with_bubblewrap=wanted)
    try:
        if wanted and not keeper.layers().is_active("bubblewrap"):
            pytest.skip("layer bubblewrap: it does not work here")
        yield Cage(keeper)
    finally:
        del os.environ["REMEND_TEST_SECRET"]
        keeper.close()
