"""A borrowed world gives the bits of a fresh one, whoever had it before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controllers.artefact import Artefact
from core.robot import Robot
from sim.effect import NO_EFFECT, Effect
from sim.faults.course import FaultCourse
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.rollout import make_runtime, rollout, run
from sim.scenario import Scenario
from sim.worlds import borrow


def scenario(robot: Robot, effect: Effect, seed: int = 3) -> Scenario:
    return Scenario(
        name="x",
        physics=hidden_physics(robot, 2),
        effect=effect,
        task_kind="weave",
        task_seed=seed,
        noise_seed=seed,
        duration_s=0.3,
    )


def test_a_world_used_before_gives_the_bits_of_a_fresh_one(iiwa: Robot, computed_torque: Artefact) -> None:
    asked = scenario(iiwa, Effect(payload_kg=2.0, offset=(0.0, 0.01) + (0.0,) * 5))
    task = asked.task(iiwa)
    with open_plant(iiwa, asked.physics, FaultCourse.constant(asked.effect), asked.noise_seed) as plant:
        plant.reset(task.q[0])
        fresh = run(plant, make_runtime(iiwa, computed_torque), task.references())
    spoilers = (
        NO_EFFECT,
        Effect(payload_kg=8.0, moment_kgm=(0.2, 0.0, 0.1), viscous=(3.0,) * 7, delay_s=0.006, drop_share=0.2),
        Effect(gain_loss=(0.3,) * 7, backlash=(0.02,) * 7, dropout=(0.5,) * 7, coulomb=(2.0,) * 7, sag=0.4),
    )
    for spoiler in spoilers:
        rollout(iiwa, computed_torque, scenario(iiwa, spoiler, seed=9))
        again = rollout(iiwa, computed_torque, asked)
        assert again.q_true.tobytes() == fresh.q_true.tobytes()
        assert again.command.tobytes() == fresh.command.tobytes()
        assert again.measured_error.tobytes() == fresh.measured_error.tobytes()


def test_the_same_robot_of_the_same_make_is_the_same_world(iiwa: Robot) -> None:
    physics = nominal_physics(iiwa)
    plant = borrow(iiwa, physics)
    assert borrow(iiwa, nominal_physics(iiwa)) is plant
    assert borrow(iiwa, hidden_physics(iiwa, 1)) is not plant
    edited = replace(iiwa, home=tuple(np.array(iiwa.home) + 0.1))
    assert borrow(edited, physics) is not plant
    assert borrow(iiwa, physics).robot == iiwa


def test_old_worlds_are_closed_when_there_are_too_many(iiwa: Robot) -> None:
    first = borrow(iiwa, hidden_physics(iiwa, 1000))
    for seed in range(1001, 1025):
        borrow(iiwa, hidden_physics(iiwa, seed))
    assert first.client == -1
