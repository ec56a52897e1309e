"""The two-link arm: its textbook equations, its tasks under its law, and runs that repeat to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from controllers.artefact import with_params
from controllers.library import find_law
from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from core.robot_toml import load_robot
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import full_effect
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.rollout import Trace, make_runtime, rollout, run
from sim.scenario import Scenario
from sim.tasks.catalogue import draw_task

# Reyes and Kelly 2001, table 1: length, mass, centre of mass, inertia about it, viscous friction.
L1, M1, LC1, I1, B1 = 0.45, 23.902, 0.091, 1.266, 2.288
M2, LC2, I2, B2 = 3.880, 0.048, 0.093, 0.175
G = 9.81


@pytest.fixture(scope="module")
def arm2() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "arm2" / "robot.toml")


def textbook_torque(q: Array, v: Array, a: Array) -> Array:
    """(2,) Spong, Hutchinson, Vidyasagar, Robot Modeling and Control (2006), eq. 7.80 to 7.88, angles from hanging."""
    coupling = M2 * L1 * LC2
    d22 = M2 * LC2**2 + I2
    d12 = d22 + coupling * np.cos(q[1])
    d11 = M1 * LC1**2 + I1 + M2 * L1**2 + d22 + 2 * coupling * np.cos(q[1])
    h = -coupling * np.sin(q[1])
    gravity_2 = M2 * LC2 * G * np.sin(q[0] + q[1])
    gravity_1 = (M1 * LC1 + M2 * L1) * G * np.sin(q[0]) + gravity_2
    return np.array(
        [
            d11 * a[0] + d12 * a[1] + h * v[1] * v[0] + h * (v[0] + v[1]) * v[1] + gravity_1 + B1 * v[0],
            d12 * a[0] + d22 * a[1] - h * v[0] * v[0] + gravity_2 + B2 * v[1],
        ]
    )


def scenario(robot: Robot, kind: str, seed: int, fault: str = "none") -> Scenario:
    return Scenario(
        name=f"{kind} {seed}",
        physics=hidden_physics(robot, seed),
        effect=full_effect(fault, robot),
        task_kind=kind,
        task_seed=seed,
        noise_seed=seed,
        duration_s=2.0,
    )


def bits(trace: Trace) -> bytes:
    return trace.q_true.tobytes() + trace.measured_error.tobytes() + trace.command.tobytes()


def test_the_model_is_the_textbook_arm_to_rounding(arm2: Robot) -> None:
    model, rng = RigidBodyModel(arm2), np.random.default_rng(2)
    for _ in range(50):
        q, v, a = rng.uniform(-3, 3, 2), rng.uniform(-5, 5, 2), rng.uniform(-20, 20, 2)
        np.testing.assert_allclose(model.inverse_dynamics(q, v, a), textbook_torque(q, v, a), rtol=1e-12, atol=1e-11)


def test_one_step_of_the_plant_is_the_textbook_arm(arm2: Robot) -> None:
    q, v, torque = np.array([0.7, 1.1]), np.array([1.5, -2.0]), np.array([40.0, -3.0])
    coarse = replace(arm2, physics_rate_hz=arm2.control_rate_hz)
    with open_plant(coarse, nominal_physics(coarse), FaultCourse(), seed=0) as plant:
        plant.reset(q, v, torque)
        plant.apply(torque.tolist())
        acceleration = (plant.true_state()[1] - v) / arm2.dt_s
    # Friction acts with the velocity at the end of the step (docs/decisions/0003).
    late = np.array([B1, B2]) * acceleration * arm2.dt_s
    np.testing.assert_allclose(
        textbook_torque(q, v, acceleration) + late, torque, atol=1e-5
    )  # an all but massless load hangs on


@pytest.mark.parametrize("kind", ["reach", "weave", "pick"])
def test_the_law_tracks_every_task_within_2_mrad(arm2: Robot, kind: str) -> None:
    law = find_law(arm2, arm2.controller)
    for seed in (1, 2, 3):
        trace = rollout(arm2, law, scenario(arm2, kind, seed))
        assert trace.metrics()["rms_tracking_error"] < 2e-3
        assert not trace.safety_share
        assert not trace.clipped_share


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("payload:mass=1", {"mass": 1.0}),
        ("friction:joint=1,scale=10", {"viscous": [9 * B1, 0.0]}),
        ("actuator_loss:joint=1,gain=0.6", {"gain": [0.6, 1.0]}),
        ("sensor_bias:joint=1,rad=0.05", {"encoder_offset": [0.05, 0.0]}),
    ],
)
def test_a_fault_hurts_and_the_term_that_answers_it_takes_most_of_it_back(
    arm2: Robot, fault: str, remedy: dict[str, float | list[float]]
) -> None:
    law = find_law(arm2, arm2.controller)
    healthy, hurt, mended = (
        rollout(arm2, artefact, scenario(arm2, "reach", 4, spec)).metrics()["rms_tracking_error"]
        for artefact, spec in ((law, "none"), (law, fault), (with_params(law, remedy), fault))
    )
    assert hurt > 5 * healthy
    assert mended < healthy + 0.1 * (hurt - healthy)


@pytest.mark.parametrize("kind", ["reach", "weave", "pick"])
def test_the_safety_law_follows_too_with_more_error(arm2: Robot, kind: str) -> None:
    trace = rollout(arm2, find_law(arm2, arm2.safety_controller), scenario(arm2, kind, 1))
    assert trace.metrics()["max_tracking_error"] < 0.1


def test_the_same_seed_gives_the_same_bits(arm2: Robot) -> None:
    law = find_law(arm2, arm2.controller)
    one, same, other = (rollout(arm2, law, scenario(arm2, "weave", seed)) for seed in (5, 5, 6))
    assert bits(one) == bits(same)
    assert bits(one) != bits(other)


def test_a_reset_robot_repeats_its_run_bit_for_bit(arm2: Robot) -> None:
    law = find_law(arm2, arm2.controller)
    task = draw_task(arm2, "pick", np.array(arm2.home), 1.0, np.random.default_rng(1))
    with open_plant(arm2, hidden_physics(arm2, 2), FaultCourse.constant(Effect(payload_kg=1.0)), seed=3) as plant:
        runs = []
        for _ in range(2):
            plant.reset(task.q[0])
            runs.append(bits(run(plant, make_runtime(arm2, law), task.references())))
    assert runs[0] == runs[1]
