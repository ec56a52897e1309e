"""The cartpole: textbook physics of cart and pole, its tasks, and a law that balances and one that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import sim
from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.controller import Controller
from controllers.library import find_law
from core.frames import Reference
from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from core.robot_toml import load_robot
from sim.drive import Drive
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import full_effect
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.physics import Physics
from sim.rollout import Trace, make_runtime, rollout, run
from sim.scenario import Scenario
from sim.tasks.catalogue import draw_task

# Quanser IP02 with its long pendulum: masses [kg], height of the pole's centre of mass [m], inertia about it, friction.
CART, ROTOR, CART_B = 0.57, 0.1331, 4.3
POLE, HEIGHT, POLE_I, POLE_B = 0.230, 0.3302, 7.88e-3, 0.0024
G = 9.81
TOTAL, MOMENT, INERTIA = CART + ROTOR + POLE, POLE * HEIGHT, POLE_I + POLE * HEIGHT**2


@pytest.fixture(scope="module")
def cartpole() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "cartpole" / "robot.toml")


@pytest.fixture(scope="module")
def law(cartpole: Robot) -> Artefact:
    return find_law(cartpole, cartpole.controller)


def textbook_effort(q: Array, v: Array, a: Array) -> Array:
    """(2,) force on the cart [N] and torque on the pole [N*m]; Florian 2007, eq. 1 and 2, with viscous friction."""
    sin, cos = np.sin(q[1]), np.cos(q[1])
    force = TOTAL * a[0] + MOMENT * (a[1] * cos - v[1] ** 2 * sin) + CART_B * v[0]
    torque = MOMENT * cos * a[0] + INERTIA * a[1] - MOMENT * G * sin + POLE_B * v[1]
    return np.array([force, torque])


def frictionless(robot: Robot) -> Physics:
    return replace(nominal_physics(robot), viscous=np.zeros(2))


def swing(robot: Robot, physics: Physics, angle: float, seconds: float, effect: Effect | None = None) -> Array:
    """(N, 4) true cart, pole and their speeds while nothing pushes the cart."""
    states = []
    with open_plant(robot, physics, FaultCourse.constant(effect or Effect()), seed=0) as plant:
        plant.reset(np.array([0.0, angle]), command=np.zeros(1))
        for _ in range(round(seconds * robot.control_rate_hz)):
            plant.apply([0.0])
            states.append(np.concatenate(plant.true_state()))
    return np.array(states)


def period(angle: Array, dt_s: float) -> float:
    """Mean time between rising zero crossings [s]."""
    rising = np.flatnonzero((angle[:-1] < 0) & (angle[1:] >= 0))
    times = (rising - angle[rising] / (angle[rising + 1] - angle[rising])) * dt_s
    return float(np.diff(times).mean())


def scenario(robot: Robot, kind: str, seed: int, fault: str = "none", duration_s: float = 5.0) -> Scenario:
    return Scenario(
        name=f"{kind} {seed}",
        physics=hidden_physics(robot, seed),
        effect=full_effect(fault, robot),
        task_kind=kind,
        task_seed=seed,
        noise_seed=seed,
        duration_s=duration_s,
    )


def stand_still(robot: Robot, seconds: float) -> list[Reference]:
    zero = [0.0] * robot.dof
    return [Reference(q_ref=zero, qd_ref=zero, qdd_ref=zero)] * round(seconds * robot.control_rate_hz)


def bits(trace: Trace) -> bytes:
    return trace.q_true.tobytes() + trace.measured_error.tobytes() + trace.command.tobytes()


# physics


def test_the_model_is_the_textbook_cart_and_pole(cartpole: Robot) -> None:
    model, rng = RigidBodyModel(cartpole), np.random.default_rng(1)
    for _ in range(50):
        q, v, a = rng.uniform(-3, 3, 2), rng.uniform(-2, 2, 2), rng.uniform(-9, 9, 2)
        np.testing.assert_allclose(model.inverse_dynamics(q, v, a), textbook_effort(q, v, a), atol=1e-12)


def test_a_hanging_pole_swings_with_the_period_of_a_physical_pendulum(cartpole: Robot) -> None:
    held = swing(cartpole, frictionless(cartpole), np.pi + 0.05, 8.0, Effect(brake=(1.0, 0.0)))
    expected = 2 * np.pi * np.sqrt(INERTIA / (MOMENT * G)) * (1 + 0.05**2 / 16)
    assert period(held[:, 1] - np.pi, cartpole.dt_s) == pytest.approx(expected, rel=1e-3)


def test_on_a_free_cart_the_pole_swings_faster_and_the_rotor_counts_as_mass(cartpole: Robot) -> None:
    free = swing(cartpole, frictionless(cartpole), np.pi + 0.05, 8.0)
    omega = np.sqrt(MOMENT * G * TOTAL / (INERTIA * TOTAL - MOMENT**2))
    assert period(free[:, 1] - np.pi, cartpole.dt_s) == pytest.approx(2 * np.pi / omega, rel=2e-3)
    assert omega > 1.05 * np.sqrt(MOMENT * G / INERTIA)


def test_without_friction_and_force_energy_and_momentum_stay(cartpole: Robot) -> None:
    path = swing(cartpole, frictionless(cartpole), 2.0, 5.0)
    angle, cart_v, pole_v = path[:, 1], path[:, 2], path[:, 3]
    kinetic = 0.5 * TOTAL * cart_v**2 + MOMENT * np.cos(angle) * cart_v * pole_v + 0.5 * INERTIA * pole_v**2
    energy = kinetic + MOMENT * G * np.cos(angle)
    assert np.ptp(energy) < 0.01 * MOMENT * G
    np.testing.assert_allclose(TOTAL * cart_v + MOMENT * np.cos(angle) * pole_v, 0.0, atol=0.005)


def test_one_tick_about_upright_is_the_linear_model_by_finite_differences(cartpole: Robot) -> None:
    mass = np.linalg.inv([[TOTAL, MOMENT], [MOMENT, INERTIA]])
    A, B = np.zeros((4, 4)), np.zeros((4, 1))
    A[:2, 2:] = np.eye(2)
    A[2:, 1], A[2:, 2:] = mass @ [0.0, MOMENT * G], -mass @ np.diag([CART_B, POLE_B])
    B[2:, 0] = mass[:, 0]
    exact = expm(np.block([[A, B], [np.zeros((1, 5))]]) * cartpole.dt_s)[:4]
    prompt = replace(cartpole, drive=replace(cartpole.drive, command_delay_s=0.0))
    found = np.zeros((4, 5))
    with open_plant(prompt, nominal_physics(prompt), FaultCourse(), seed=0) as plant:
        for k in range(5):
            step = 1e-4 * np.eye(5)[k]
            for sign in (1.0, -1.0):
                plant.reset(sign * step[:2], sign * step[2:4], command=sign * step[4:])
                plant.apply((sign * step[4:]).tolist())
                found[:, k] += sign * np.concatenate(plant.true_state()) / 2e-4
    # Half a physics step of the semi-implicit Euler rule, and friction of the tick's start.
    np.testing.assert_allclose(found, exact, atol=2e-3)


def test_steps_taken_together_are_the_steps_taken_one_by_one(cartpole: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    """One torque for five physics steps only shifts when friction and rotor are looked at."""

    def path() -> Array:
        with open_plant(cartpole, hidden_physics(cartpole, 1), FaultCourse(), seed=0) as plant:
            plant.reset(np.array([0.0, 0.02]), command=np.zeros(1))
            states = []
            for k in range(100):
                plant.apply([4.0 * np.sin(0.1 * k)])
                states.append(plant.true_state()[0])
            return np.array(states)

    together = path()
    monkeypatch.setattr(Drive, "is_prompt", property(lambda _: False))
    alone = path()
    assert np.ptp(alone[:, 0]) > 0.02
    assert np.all(np.abs(together - alone).max(axis=0) < 0.01 * np.ptp(alone, axis=0))


# tasks


@pytest.mark.parametrize("kind", ["balance", "step", "sway"])
def test_references_of_cart_and_pole_belong_together(cartpole: Robot, kind: str) -> None:
    for seed in range(4):
        start = np.array([0.05, 0.0])
        task = draw_task(cartpole, kind, start, 4.0, np.random.default_rng(seed))
        for rows, rates in ((task.q, task.qd), (task.qd, task.qdd)):
            np.testing.assert_allclose(np.diff(rows, axis=0), cartpole.dt_s * rates[1:], atol=5e-3)
        np.testing.assert_allclose(task.q[0], start, atol=1e-4)
        np.testing.assert_allclose(np.concatenate([task.q[-1, 1:], task.qd[-1], task.qdd[-1]]), 0.0, atol=1e-9)
        assert np.ptp(task.q[:, 0]) > 0.01
        # What the pole's reference asks of the pole's joint, which nothing drives, besides its own friction.
        torque = [textbook_effort(*row)[1] - POLE_B * row[1][1] for row in zip(task.q, task.qd, task.qdd, strict=True)]
        assert np.abs(torque).max() < 0.01 * MOMENT * G * np.abs(task.q[:, 1]).max()


# laws


def test_the_law_knows_the_robot_of_the_urdf(cartpole: Robot, law: Artefact) -> None:
    params = Controller.from_artefact(law, cartpole.ports).params
    model = RigidBodyModel(cartpole)
    inertia = model.link_inertia(np.zeros(2)) + np.diag(model.rotor_inertia)
    found = [params[name] for name in ("total_mass", "pole_moment", "pole_inertia", "damping", "load_height")]
    expected = [inertia[0, 0], inertia[0, 1], inertia[1, 1], cartpole.limits.damping[0], cartpole.payload_point_m[2]]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["pole_balance", "pole_hold"])
def test_both_laws_balance_for_10_s_with_noise(cartpole: Robot, name: str) -> None:
    with open_plant(cartpole, hidden_physics(cartpole, 3), FaultCourse(), seed=3) as plant:
        plant.reset(np.array([0.0, 0.05]))
        trace = run(plant, make_runtime(cartpole, find_law(cartpole, name)), stand_still(cartpole, 10.0))
    assert not trace.diverged
    assert not trace.safety_share
    assert np.abs(trace.q_true[-600:, 1]).max() < 0.01
    assert np.abs(trace.q_true[-600:, 0]).max() < 0.02


def test_with_an_inverted_gain_the_pole_falls(cartpole: Robot) -> None:
    hold = find_law(cartpole, cartpole.safety_controller)
    wrong = hold.files["law.py"].replace(b"tau[0] = pole_kp", b"tau[0] = -pole_kp")
    assert wrong != hold.files["law.py"]
    inverted = artefact_from_files("inverted", {**hold.files, "law.py": wrong})
    robot = replace(cartpole, envelope=replace(cartpole.envelope, speed_fraction=2.0))
    with open_plant(robot, nominal_physics(robot), FaultCourse(), seed=0) as plant:
        plant.reset(np.array([0.0, 0.01]))
        trace = run(plant, make_runtime(robot, inverted), stand_still(robot, 3.0))
    assert trace.diverged or trace.safety_share > 0.0


@pytest.mark.parametrize("kind", ["balance", "step", "sway"])
def test_the_law_tracks_every_task_within_4_mm(cartpole: Robot, law: Artefact, kind: str) -> None:
    for seed in (1, 2, 3):
        trace = rollout(cartpole, law, scenario(cartpole, kind, seed))
        assert trace.metrics()["rms_tracking_error"] < 4e-3
        assert np.abs(trace.error[:, 1]).max() < 0.02
        assert not trace.safety_share
        assert not trace.clipped_share


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("friction:joint=1,scale=4", {"viscous": [3 * CART_B, 0.0]}),
        ("coulomb:joint=1", {"coulomb": [0.05 * 17.9, 0.0]}),
        ("actuator_loss:gain=0.5", {"gain": [0.5]}),
        ("sensor_bias:joint=2,rad=0.05", {"encoder_offset": [0.0, 0.05]}),
    ],
)
def test_a_fault_hurts_and_the_term_that_answers_it_takes_most_of_it_back(
    cartpole: Robot, law: Artefact, fault: str, remedy: dict[str, float | list[float]]
) -> None:
    healthy, hurt, mended = (
        rollout(cartpole, artefact, scenario(cartpole, "sway", 4, spec)).metrics()["rms_tracking_error"]
        for artefact, spec in ((law, "none"), (law, fault), (with_params(law, remedy), fault))
    )
    assert hurt > 3 * healthy
    assert mended < healthy + 0.25 * (hurt - healthy)


def test_the_pole_stays_up_under_20_ms_more_delay(cartpole: Robot, law: Artefact) -> None:
    late, prompt = (
        rollout(cartpole, law, scenario(cartpole, "sway", 2, spec)).metrics()["rms_tracking_error"]
        for spec in ("delay:ms=20", "none")
    )
    assert late < 2 * prompt


@pytest.mark.parametrize(
    ("held_by", "creep"), [(Effect(brake=(0.0, 1.0)), 1e-3), (Effect(coulomb=(0.0, 3.6)), 2e-2)], ids=["brake", "dry"]
)
def test_a_pole_that_is_held_stays_where_it_is_while_the_cart_leans_on_its_stop(
    cartpole: Robot, held_by: Effect, creep: float
) -> None:
    stop = cartpole.limits.upper[0]
    course = FaultCourse.constant(held_by)
    with open_plant(cartpole, nominal_physics(cartpole), course, seed=1) as plant:
        plant.reset(np.array([stop, 0.5]))
        for _ in range(200):
            plant.apply([cartpole.limits.effort[0]])
        q, _ = plant.true_state()
    assert q[0] == pytest.approx(stop, abs=1e-4)
    assert q[1] == pytest.approx(0.5, abs=creep)


def test_the_same_seed_gives_the_same_bits(cartpole: Robot, law: Artefact) -> None:
    one, same, other = (rollout(cartpole, law, scenario(cartpole, "sway", seed)) for seed in (5, 5, 6))
    assert bits(one) == bits(same)
    assert bits(one) != bits(other)


def test_a_reset_robot_repeats_its_run_bit_for_bit(cartpole: Robot, law: Artefact) -> None:
    task = draw_task(cartpole, "step", np.zeros(2), 2.0, np.random.default_rng(1))
    course = FaultCourse.constant(Effect(delay_s=0.003, coulomb=(0.5, 0.0)))
    with open_plant(cartpole, hidden_physics(cartpole, 2), course, seed=3) as plant:
        runs = []
        for _ in range(2):
            plant.reset(task.q[0])
            runs.append(bits(run(plant, make_runtime(cartpole, law), task.references())))
    assert runs[0] == runs[1]
