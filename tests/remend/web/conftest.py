"""The web application of a service whose robots nobody looks after, with somebody of each role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from core.clock import ManualClock
from core.status import PatchStatus
from remend.ledger import Patch
from remend.service import accounts
from remend.service.accounts import Role
from remend.service.pulse import Condition, Doing, FalseAlarms, Intake, Layout, Ratio, Sample
from remend.service.robots import RobotEntry
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.versions import Versions
from remend.web.app import create_app

PASSWORD = "correct horse battery"  # noqa: S105 of a test
NAMES = {Role.VIEWER: "vera", Role.OPERATOR: "otto", Role.ADMIN: "anna"}
As = Callable[[Role | None], TestClient]


@pytest.fixture
def service(home: Path, clock: ManualClock) -> Iterator[Service]:
    entry = RobotEntry(robot_id="iiwa", model="iiwa", link="sim", fault="none", seed=1, at_ns=1)
    opened = Service(home, ServiceSettings(), (entry,), clock=clock)
    with opened.store.journal("test") as journal:
        for role, name in NAMES.items():
            accounts.add_user(journal, name, role, PASSWORD)
    board = opened.care("iiwa").board
    board.take(Layout(title="an arm", joints=("j1",), units=("rad",), actuators=("j1",), command_unit="N*m"))
    board.take(Sample(t_s=(0.9, 1.0), error=((0.01,), (0.02,)), command=((1.0,), (2.0,))))
    board.take(Ratio(t_s=1.0, ratio=0.4))
    board.take(FalseAlarms(count=2, healthy_h=12.5, admitted_per_hour=0.1, basis="measured"))
    board.take(Intake(behind_s=2.5, lost_rows=12))
    board.take(Doing(what="watching"))
    board.take(Condition(stage="committed", share=0.0, active_sha="b" * 64, missed_deadlines=0, notes=()))
    yield opened
    opened.store.close()


@pytest.fixture
def tokens(service: Service, clock: ManualClock) -> dict[Role, str]:
    made = {}
    with service.store.journal("test") as journal:
        for role, name in NAMES.items():
            user = accounts.user(journal.connection, name)
            assert user is not None
            made[role] = accounts.issue(journal, user, kind="token", role=role, label="test", hours=24.0, clock=clock)
    return made


@pytest.fixture
def signed(service: Service, tokens: dict[Role, str]) -> Iterator[As]:
    """A program with the token of a role; None has no token."""
    app = create_app(service)
    clients: list[TestClient] = []

    def client(role: Role | None) -> TestClient:
        headers = {} if role is None else {"Authorization": f"Bearer {tokens[role]}"}
        clients.append(TestClient(app, headers=headers, follow_redirects=False, raise_server_exceptions=False))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


@pytest.fixture
def patch(service: Service, samples: ModuleType) -> Patch:
    """A patch that waits for a decision, with its artefacts."""
    versions = Versions.open(service.home, service.clock)
    base, result = versions.keep(samples.BASE), versions.keep(samples.artefact(2))
    service.store.add_incident(samples.incident("inc_1", base))
    service.store.add_diagnosis(samples.diagnosis())
    candidate = samples.candidate("pat_1", "inc_1", base, result)
    samples.await_approval(service.store, candidate, samples.report(candidate))
    return service.store.patch("pat_1")


@pytest.fixture
def shown(patch: Patch) -> dict[str, Any]:
    """What a decision on the patch has to name."""
    assert patch.report is not None
    assert patch.status is PatchStatus.AWAITING_APPROVAL
    return {
        "base_sha": patch.candidate.base_sha,
        "result_sha": patch.candidate.result_sha,
        "report_sha": patch.report.sha256,
        "reason": "agreed with the shift",
    }
