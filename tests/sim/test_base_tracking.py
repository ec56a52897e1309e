"""The laws of the base track every task, answer each fault with the parameter that names it, and brake to a stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from controllers.artefact import Artefact
from controllers.check import check_folder
from controllers.library import find_law
from controllers.slot import Slot
from core.frames import Reference
from core.robot import Robot
from core.robot_toml import load_robot
from sim.effect import NO_EFFECT, Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.physics import Physics
from sim.rollout import Trace, rollout
from sim.scenario import Scenario

RADIUS = 0.0975


@pytest.fixture(scope="session")
def pioneer() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "diffdrive" / "robot.toml")


@pytest.fixture(scope="session")
def tracking(pioneer: Robot) -> Artefact:
    return find_law(pioneer, pioneer.controller)


def driven(
    robot: Robot, law: Artefact, kind: str, seed: int, physics: Physics | None = None, effect: Effect = NO_EFFECT
) -> Trace:
    scenario = Scenario(
        name="drive",
        physics=physics or nominal_physics(robot),
        effect=effect,
        task_kind=kind,
        task_seed=seed,
        noise_seed=seed,
        duration_s=6.0,
    )
    return rollout(robot, law, scenario)


@pytest.mark.parametrize("name", ["base_tracking", "base_brake"])
def test_the_laws_pass_the_static_check(pioneer: Robot, name: str) -> None:
    assert check_folder(pioneer.folder / name, pioneer.ports).call_us < 1e6 * pioneer.dt_s


@pytest.mark.parametrize("made", [None, 1, 2])
@pytest.mark.parametrize("kind", ["shuttle", "eight", "slalom"])
def test_every_task_is_tracked_to_some_millimetres(
    pioneer: Robot, tracking: Artefact, kind: str, made: int | None
) -> None:
    physics = None if made is None else hidden_physics(pioneer, made)
    for seed in (1, 2):
        trace = driven(pioneer, tracking, kind, seed, physics)
        assert not trace.diverged
        assert trace.clipped_share == trace.safety_share == 0.0
        metrics = trace.metrics()
        assert 2e-4 < metrics["rms_tracking_error"] < 3.5e-3  # m and rad
        assert metrics["max_tracking_error"] < 0.02
        assert metrics["torque_variation"] < 0.15  # N*m


ANSWERS = {
    "payload:mass=8": {"mass": 8.0},
    "wheel_radius:wheel=left,share=-0.08": {"wheel_radius": [0.92 * RADIUS, RADIUS]},
    "slip:wheel=right": {"slip": [0.0, 0.15]},
    "friction": {"viscous": [0.2, 0.2]},
    "coulomb:share=0.1": {"coulomb": [0.4, 0.4]},
    "actuator_loss:joint=left": {"gain": [0.6, 1.0]},
    "sensor_bias:joint=yaw": {"sensor_offset": [0.0, 0.0, 0.05, 0.0, 0.0]},
    "imu_bias:joint=yaw,rate=0.3": {"rate_offset": [0.0, 0.0, 0.3, 0.0, 0.0]},
}


@pytest.mark.parametrize("spec", ANSWERS)
def test_the_parameter_that_answers_a_fault_brings_back_what_it_cost(
    pioneer: Robot, tracking: Artefact, spec: str
) -> None:
    (fault,) = parse_faults(spec, pioneer)
    lines = tracking.files["params.toml"].decode().splitlines()
    for name, value in ANSWERS[spec].items():
        lines = [f"{name} = {value}" if line.startswith(f"{name} =") else line for line in lines]
    answer = replace(tracking, files={**tracking.files, "params.toml": "\n".join(lines).encode() + b"\n"})

    def cost(law: Artefact, effect: Effect) -> float:
        traces = [driven(pioneer, law, kind, 3, effect=effect) for kind in ("shuttle", "slalom")]
        return float(np.mean([trace.metrics()["rms_tracking_error"] for trace in traces]))

    nominal, faulty = cost(tracking, NO_EFFECT), cost(tracking, fault.effect)
    assert faulty > 1.5 * nominal
    assert cost(answer, fault.effect) < nominal + 0.2 * (faulty - nominal)


@pytest.mark.parametrize("load_kg", [0.0, 10.0])
@pytest.mark.parametrize("motion", ["ahead", "spinning"])
def test_the_safety_law_brings_it_to_a_standstill_without_tipping_it(
    pioneer: Robot, motion: str, load_kg: float
) -> None:
    law = Slot(pioneer, find_law(pioneer, pioneer.safety_controller))
    rates = np.array([0.8, 0.8]) / RADIUS if motion == "ahead" else np.array([-6.0, 6.0])
    v = np.array([0.8, 0.0, 0.0, *rates]) if motion == "ahead" else np.array([0.0, 0.0, 12.0 * RADIUS / 0.331, *rates])
    nowhere = Reference(q_ref=[9.0] * 5, qd_ref=[0.0] * 5, qdd_ref=[0.0] * 5)
    course = FaultCourse.constant(Effect(payload_kg=load_kg))
    with open_plant(pioneer, nominal_physics(pioneer), course, seed=1) as plant:
        plant.reset(np.zeros(5), v)
        slips = []
        for _ in range(200):
            plant.apply(law.compute(plant.measure(), nowhere))
            q, now = plant.true_state()
            ahead = np.cos(q[2]) * now[0] + np.sin(q[2]) * now[1]
            slips.append(abs(ahead - RADIUS * now[3:].mean()))
    assert np.abs(now).max() < 0.05
    assert max(slips) < 0.02
