"""The page of a deployment shows margins that are so now, and none that are not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.block import Block
from core.clock import ManualClock
from core.status import PatchStatus
from remend.service.accounts import Role
from remend.service.pulse import Condition, Pulse, Sample
from remend.service.service import Service
from remend.service.viewing import Viewing
from remend.web.views.deployment import deployment_page
from remend.web.views.plan import known_robot

S = PatchStatus
LIMITS = {
    **{f"offset_{k}": 0.1 if k == 2 else 0.0 for k in range(1, 8)},
    **{f"ramp_error_{k}": 0.05 for k in range(1, 8)},
    **{f"settled_error_{k}": 0.01 for k in range(1, 8)},
    "settle_s": 1.0,
    "variation_nm": 2.0,
}


def sample(t_s: float, error: float, second: float = -0.1, variation: float = 0.5) -> Sample:
    """A stretch in which joint 1 is `error` off; joint 2 has a sensor that is 0.1 rad off."""
    row = (error, second, *(0.0,) * 5)
    return Sample(t_s=(t_s,), error=(row,), command=((0.0,) * 7,), low=row, high=row, variation=variation)


@pytest.fixture
def trial(service: Service, samples: Any) -> str:
    """A patch on trial."""
    store = service.store
    store.add_incident(samples.incident("inc_1"))
    candidate = samples.candidate("pat_1", "inc_1")
    report = replace(samples.report(candidate), canary_limit=LIMITS)
    samples.await_approval(store, candidate, report)
    store.decide(samples.decision(report))
    before = S.APPROVED
    for after in (S.STAGED, S.SHADOW, S.CANARY):
        store.move("pat_1", before, after, "robot", "a test")
        before = after
    service.care("iiwa").board.take(
        Condition(stage="canary", share=0.3, active_sha="b" * 64, missed_deadlines=2, notes=())
    )
    return "pat_1"


def margins(service: Service, patch_id: str) -> Any:
    with service.store.reading() as connection:
        return deployment_page(service, connection, patch_id)


def test_margins_are_what_the_robot_judges(service: Service, clock: ManualClock, trial: str) -> None:
    board = service.care("iiwa").board
    clock.now_ns += 2 * 10**9  # since the trial began: not yet at full authority
    for t_s, error in ((20.0, 0.049), (20.9, 0.02), (21.4, 0.03)):
        board.take(sample(t_s, error))
    view = margins(service, trial)
    assert view.judged
    assert view.share == "30 %"
    first = view.rules[0]
    robot = known_robot("iiwa")
    assert robot is not None
    assert first.name == f"Tracking error of {robot.joints[0]}"
    assert (first.limit, first.now, first.worst, first.word) == ("50 mrad", "30 mrad", "49 mrad", "kept")
    assert first.used == pytest.approx(0.6)
    assert all((row.used or 0.0) <= 0.25 for row in view.rules[1:]), "the offset of joint 2 is the sensor's"
    board.take(sample(21.6, 0.045))
    assert margins(service, trial).rules[0].word == "close"
    board.take(sample(21.7, 0.02, variation=2.5))
    assert (margins(service, trial).rules[0].name, margins(service, trial).rules[0].word) == (
        "Change of the command per tick",
        "over the limit",
    )


def test_after_full_authority_the_patch_is_held_to_its_own_error(
    service: Service, clock: ManualClock, trial: str
) -> None:
    board = service.care("iiwa").board
    board.take(Condition(stage="canary", share=1.0, active_sha="b" * 64, missed_deadlines=2, notes=()))
    clock.now_ns += 60 * 10**9
    board.take(sample(60.0, 0.02))
    first = margins(service, trial).rules[0]
    assert (first.limit, first.word) == ("10 mrad", "over the limit")


def test_what_is_no_number_is_over_every_limit(service: Service, clock: ManualClock, trial: str) -> None:
    clock.now_ns += 10**9
    service.care("iiwa").board.take(sample(20.0, math.nan))
    assert margins(service, trial).rules[0].word == "over the limit"


def test_old_telemetry_has_no_margin(service: Service, signed: Any, clock: ManualClock, trial: str) -> None:
    service.care("iiwa").board.take(sample(20.0, 0.03))
    clock.now_ns += 38 * 10**9
    view = margins(service, trial)
    assert not view.judged
    assert {row.now for row in view.rules} == {""}
    assert view.share == ""
    html = signed(Role.VIEWER).get(f"/deployments/{trial}").text
    assert "No data from iiwa for 38 s" in html
    assert "It judges the patch by itself" in html


def test_a_screen_is_told_the_worst_of_what_was_thinned_out() -> None:
    robot = known_robot("iiwa")
    assert robot is not None
    said: list[Pulse] = []
    viewing = Viewing(robot, said.append, heard=True)
    n, m, rows = robot.dof, len(robot.actuators), 100
    data = np.zeros((rows, 2 + 5 * n + 2 * m))
    data[:, 1] = np.arange(rows) * robot.dt_s * 1e9
    block = Block(data=data, actuators=m)
    block.group("q")[37, 0] = -0.2  # no row that a screen gets
    block.group("tau_cmd")[::2, 0] = 1.0  # it chatters by 1 per tick
    viewing.hear(block[slice(0, 50)])
    viewing.hear(block[slice(50, 100)])
    first, second = (pulse for pulse in said if isinstance(pulse, Sample))
    assert (first.low[0], first.high[0]) == (0.0, pytest.approx(0.2))
    assert max(row[0] for row in first.error) == 0.0
    assert first.variation == second.variation == pytest.approx(1.0)
