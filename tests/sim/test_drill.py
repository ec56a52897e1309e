"""Drills: known bad and known lying candidates are refused on every robot, and if one were not, nobody would sign."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.library import find_law
from core.status import Verdict
from sim.catalogue import find_robot, robot_names
from sim.drill import after_drill, drill, weakened
from sim.gates.drill import NAME
from sim.judge import Judgement
from sim.policy_toml import shipped_policy
from sim.scenario import Scenario
from sim.twin.twin import fit_twin
from sim.validate import validate
from sim.workday import record
from sim.workers.pool import Pool
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, FakeWorkers, judged

POLICY = shipped_policy()
TWIN = made_up.twin()
REMEDY = with_params(COMPUTED_TORQUE, {"mass": 5.0})


@pytest.mark.parametrize("name", robot_names())
def test_a_weakened_law_is_a_law_that_commands_half(name: str) -> None:
    robot = find_robot(name)
    law = find_law(robot, robot.controller)
    weak = weakened(law, robot)
    assert weak.sha256 != law.sha256
    assert Controller.from_artefact(weak, robot.ports).cost > Controller.from_artefact(law, robot.ports).cost


@pytest.mark.parametrize("name", ["arm2", "quadrotor", "quadruped"])
def test_all_are_refused_in_real_workers(name: str) -> None:
    robot = find_robot(name)
    head = record(robot, 30.0, seed=1)
    twin = fit_twin(robot, head, record(robot, 33.0, fault="payload:onset=30", seed=1).between(30.2, 33.0))
    with Pool(robot) as workers:
        found = drill(workers, twin, find_law(robot, robot.controller), POLICY, 7)
        assert workers.rollouts <= 14
    assert [each.name for each in found] == [
        "half the commands",
        "commands that the law did not give",
        "answers to another run",
    ]
    assert all(each.refused for each in found)


def report(workers: FakeWorkers) -> Any:
    fake: Any = workers
    return validate(fake, TWIN, incumbent=COMPUTED_TORQUE, candidate=REMEDY, fidelity=0.9)


def after(workers: FakeWorkers, before: Any) -> Any:
    fake: Any = workers
    return after_drill(fake, before, TWIN, COMPUTED_TORQUE, POLICY)


def test_a_report_that_passes_says_who_was_refused() -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    before = report(workers)
    found = after(workers, before)
    assert found.verdict is Verdict.PASS
    assert found.gates[:-1] == before.gates
    assert found.gates[-1].name == NAME
    assert "half the commands, commands that the law did not give, answers to another run" in found.gates[-1].why
    assert after(workers, found) == found  # once


def test_a_report_that_does_not_pass_stays_as_it_is() -> None:
    workers = FakeWorkers(lambda artefact, scenario: judged(0.02))
    before = report(workers)
    rollouts = workers.rollouts
    assert after(workers, before) is before
    assert workers.rollouts == rollouts


def test_a_patch_is_held_where_a_weakened_law_passes() -> None:
    def blind(artefact: Artefact, scenario: Scenario) -> Judgement:
        return judged(0.02 if artefact.sha256 == COMPUTED_TORQUE.sha256 else 0.01)

    workers = FakeWorkers(blind)
    found = after(workers, report(workers))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.gates[-1].verdict is Verdict.INCONCLUSIVE
    assert found.gates[-1].why.startswith("let through: half the commands; ")


def test_a_patch_is_held_where_lies_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    before = report(workers)
    monkeypatch.setattr("sim.drill.confirm", lambda workers, law, claims: ())
    found = after(workers, before)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "let through: commands that the law did not give, answers to another run" in found.gates[-1].why


def test_a_drill_meets_the_scenarios_of_the_candidate() -> None:
    workers = FakeWorkers(made_up.load_cancelled)
    before = report(workers)
    sealed = {scenario.sha256 for _, scenario in workers.jobs}
    workers.jobs.clear()
    after(workers, before)
    assert {scenario.sha256 for _, scenario in workers.jobs} <= sealed
