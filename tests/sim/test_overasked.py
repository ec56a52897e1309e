"""What tasks ask of an arm's motors: within what they have where a patch is to be proven, and told where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controllers.artefact import with_params
from controllers.library import find_law
from core.records import Gate
from core.robot import Robot
from core.status import Verdict
from sim.catalogue import find_robot
from sim.effect import Effect
from sim.evidence import Pair
from sim.faults.notation import full_effect
from sim.judge import judge_trace
from sim.kinds import nominal_physics
from sim.overasked import demand, explained
from sim.rollout import rollout
from sim.scenario import Scenario
from tests.sim.gate_rules import judged

ARM = find_robot("arm2")


def run_of(robot: Robot, effect: Effect, seed: int, kind: str = "weave", duration_s: float | None = None) -> Scenario:
    return Scenario(
        name=f"{kind} {seed}",
        physics=nominal_physics(robot),
        effect=effect,
        task_kind=kind,
        task_seed=seed,
        noise_seed=seed,
        duration_s=duration_s or robot.tasks.run_s,
    )


def share(robot: Robot, scenario: Scenario) -> float:
    found = demand(robot, scenario)
    assert found is not None
    return found.share


@pytest.mark.parametrize("name", ["arm2", "iiwa", "cartpole"])
def test_the_load_of_the_catalogue_leaves_every_task_possible(name: str) -> None:
    """In tasks that the default was not sized by: a load that no controller can carry says nothing of a controller."""
    robot = find_robot(name)
    effect = full_effect("payload", robot)
    asked = [share(robot, run_of(robot, effect, 500 + k, kind)) for kind in robot.tasks.kinds for k in range(12)]
    assert max(asked) < 0.9


def test_the_arm_has_the_torque_for_the_tasks_that_a_load_of_a_kilogram_is_proven_in() -> None:
    """And the term that answers the load keeps every limit in the heaviest of them."""
    effect = Effect(payload_kg=1.0)
    runs = sorted((run_of(ARM, effect, seed) for seed in range(60)), key=lambda run: -share(ARM, run))
    assert share(ARM, runs[0]) < 0.95
    answered = with_params(find_law(ARM, ARM.controller), {"mass": 1.0})
    assert not any(judge_trace(ARM, rollout(ARM, answered, run)).limit_broken for run in runs[:4])


def test_what_a_motor_has_left_is_what_the_fault_leaves() -> None:
    whole, run = share(ARM, run_of(ARM, Effect(payload_kg=1.0), 3)), run_of(ARM, Effect(), 3)
    for field in ("limit_loss", "gain_loss"):
        weak = replace(run, effect=replace(Effect(payload_kg=1.0), **{field: (0.0, 0.5)}))
        found = demand(ARM, weak)
        assert found is not None
        assert (found.joint, found.share) == ("elbow", pytest.approx(2.0 * whole))
    assert share(ARM, replace(run, effect=Effect(limit_loss=(0.0, 1.0)))) > 1e6


def test_a_robot_without_motors_of_its_joints_has_no_such_demand() -> None:
    robot = find_robot("quadrotor")
    assert demand(robot, run_of(robot, Effect(payload_kg=1.0), 1, robot.tasks.kinds[0])) is None


def answer(verdict: Verdict, *pairs: tuple[Scenario, bool]) -> str:
    """What an operator reads after `what broke`."""
    gate = Gate(name="limits", verdict=verdict, why="what broke")
    met = [Pair(scenario=run, before=judged(), after=judged(broken=broken)) for run, broken in pairs]
    told = explained(gate, ARM, met)
    assert (told.name, told.verdict) == (gate.name, verdict)  # words alone
    return told.why.removeprefix("what broke")


def test_broken_limits_are_told_with_the_run_and_the_motor_that_was_asked_for_too_much() -> None:
    light, heavy = run_of(ARM, Effect(payload_kg=0.2), 1), run_of(ARM, Effect(payload_kg=2.5), 2)
    heavier = run_of(ARM, Effect(payload_kg=3.5), 2)
    assert share(ARM, light) < 1.0 < share(ARM, heavy)
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        assert answer(verdict, (heavy, False), (light, True)) == "; the first is 'weave 1'"
        said = answer(verdict, (light, True), (heavy, True), (heavier, True))
        assert said.startswith("; in 2 of these 3 the task asks a motor for more than it has")
        assert f"elbow for {100 * share(ARM, heavier):.0f} % in 'weave 2'" in said
    assert answer(Verdict.FAIL, (heavy, False)) == ""
    assert answer(Verdict.PASS, (heavy, True)) == ""
    other = Gate(name="superior_tracking", verdict=Verdict.FAIL, why="it does not")
    assert explained(other, ARM, [Pair(scenario=heavy, before=judged(), after=judged(broken=True))]) == other
