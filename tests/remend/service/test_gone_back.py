"""A patch that the robot took back by itself runs no more, and the records say so before anything else is done."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from core.clock import ManualClock
from core.status import PatchStatus
from remend.service.gone_back import follow_back
from remend.store import Store
from remend.versions import Versions

P = PatchStatus
WHY = "revert trigger: tracking error of joint 2"


@pytest.fixture
def committed(store: Store, home: Path, clock: ManualClock, stored: Any, samples: ModuleType) -> tuple[Versions, Any]:
    """A robot whose second controller is the patch that the records call active; and a status that says otherwise."""
    versions = Versions.open(home, clock)
    base, result = versions.keep(samples.BASE), versions.keep(samples.artefact(2))
    versions.commit("iiwa", samples.BASE, None, "baseline", "service")
    versions.commit("iiwa", samples.artefact(2), base, "a patch", "ada")
    stored(store, P.ACTIVE, base=base, result=result)
    return versions, SimpleNamespace(active_sha=base, rollback_reason=WHY, killed=None)


def test_a_patch_that_the_robot_took_back_is_rolled_back_in_the_records_and_in_git(
    store: Store, committed: tuple[Versions, Any], samples: ModuleType
) -> None:
    versions, status = committed
    assert follow_back(store, versions, "iiwa", cast(Any, status), samples.BASE) == ("pat_1",)
    patch = store.patch("pat_1")
    assert (patch.status, patch.moves[-1].actor, patch.moves[-1].why) == (P.ROLLED_BACK, "robot", WHY)
    assert versions.history("iiwa")[0].artefact_sha == status.active_sha
    assert follow_back(store, versions, "iiwa", cast(Any, status), samples.BASE) == ()


def test_a_killed_robot_has_killed_its_patch(
    store: Store, committed: tuple[Versions, Any], samples: ModuleType
) -> None:
    versions, status = committed
    status.killed, status.rollback_reason = "smoke", "killed: smoke"
    assert follow_back(store, versions, "iiwa", cast(Any, status), samples.BASE) == ("pat_1",)
    assert store.patch("pat_1").status is P.KILLED


def test_a_patch_that_runs_and_one_that_was_ordered_back_are_left_alone(
    store: Store, committed: tuple[Versions, Any], samples: ModuleType
) -> None:
    versions, status = committed
    status.rollback_reason = "rolled back by otto: odd noise"
    assert follow_back(store, versions, "iiwa", cast(Any, status), samples.BASE) == ()
    status.rollback_reason, status.active_sha = None, store.patch("pat_1").candidate.result_sha
    assert follow_back(store, versions, "iiwa", cast(Any, status), samples.artefact(2)) == ()
    assert store.patch("pat_1").status is P.ACTIVE
