"""A store with patches in any status, and a service whose robots are there but not looked after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from core.clock import ManualClock
from core.status import PatchStatus
from remend.ledger import Patch
from remend.service.robots import RobotEntry
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.store import Store

S = PatchStatus
_WAY = (S.CHECKED, S.VALIDATING, S.AWAITING_APPROVAL, S.APPROVED, S.STAGED, S.SHADOW, S.CANARY, S.ACTIVE)
_LEAVES = {
    S.REJECTED: S.PROPOSED,
    S.EXPIRED: S.AWAITING_APPROVAL,
    S.INCONCLUSIVE: S.VALIDATING,
    S.SUPERSEDED: S.ACTIVE,
    S.ROLLING_BACK: S.ACTIVE,
    S.ROLLED_BACK: S.ROLLING_BACK,
    S.ROLLBACK_FAILED: S.ROLLING_BACK,
    S.KILLED: S.ACTIVE,
}

Stored = Callable[..., Patch]


def way_to(status: PatchStatus) -> tuple[PatchStatus, ...]:
    """The states from PROPOSED, which is left out, to `status`."""
    if status in _LEAVES:
        return (*way_to(_LEAVES[status]), status)
    return () if status is S.PROPOSED else _WAY[: _WAY.index(status) + 1]


@pytest.fixture
def stored(samples: ModuleType) -> Stored:
    """Puts a patch into a store, on its legal way into a status."""

    def put(
        store: Store, status: PatchStatus, number: int = 1, *, base: str = "b" * 64, result: str = "c" * 64
    ) -> Patch:
        name, incident = f"pat_{number}", f"inc_{number}"
        store.add_incident(samples.incident(incident))
        candidate = samples.candidate(name, incident, base, result)
        judged = samples.report(candidate, f"rep_{number}")
        store.add_candidate(candidate)
        before = S.PROPOSED
        for after in way_to(status):
            if after is S.AWAITING_APPROVAL:
                store.add_report(judged)
            if after is S.APPROVED:
                store.decide(samples.decision(judged, f"app_{number}"))
            else:
                store.move(name, before, after, "service", "a test")
            before = after
        return store.patch(name)

    return put


@pytest.fixture
def entry() -> RobotEntry:
    return RobotEntry(robot_id="iiwa", model="iiwa", link="sim", fault="none", seed=1, at_ns=1)


@pytest.fixture
def service(home: Path, clock: ManualClock, entry: RobotEntry) -> Iterator[Service]:
    """Nobody is started: what caretakers say, a test says."""
    settings = replace(ServiceSettings(), session_hours=12.0)
    opened = Service(home, settings, (entry,), clock=clock)
    yield opened
    opened.store.close()
