"""The simulated quadrotor falls, hovers, tilts and carries as Newton and Euler say, and repeats bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

import sim
from controllers.library import find_law
from controllers.runtime import Runtime
from controllers.slot import Slot
from core.errors import BadInput
from core.frames import Reference
from core.rigid_body import Array
from core.robot import Robot, Sensors
from core.robot_toml import load_robot
from sim.airframe import allocation, loaded
from sim.drive import Drive
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.physics import Physics
from sim.plant import Plant
from sim.plants.quadrotor import Quadrotor
from sim.rollout import make_runtime, run
from sim.rotors import Rotors
from sim.tasks.catalogue import draw_task
from sim.tasks.flight import thrust

HOME = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
MASS_KG, GRAVITY, ARM_M, LAG_S = 0.027, 9.81, 0.0325, 0.0375
HOVER_N = MASS_KG * GRAVITY / 4
OFF = np.zeros(4)


@pytest.fixture(scope="session")
def crazyflie() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "quadrotor" / "robot.toml")


@contextmanager
def plant_of(robot: Robot, spec: str = "none", physics: Physics | None = None, seed: int = 1) -> Iterator[Plant]:
    with open_plant(
        robot, physics or nominal_physics(robot), FaultCourse(faults=parse_faults(spec, robot)), seed
    ) as plant:
        yield plant


def fly(plant: Plant, command: Array, ticks: int) -> tuple[Array, Array]:
    """(ticks, 6) positions and velocities under constant thrust."""
    rows = []
    for _ in range(ticks):
        plant.apply(command.tolist())
        rows.append(plant.true_state())
    return np.array([q for q, _ in rows]), np.array([v for _, v in rows])


def calculated(robot: Robot, physics: Physics, effect: Effect, start: tuple[Array, Array], thrusts: Array) -> Array:
    """(N, 6) position and attitude by Newton and Euler about the body's origin, integrated by Runge and Kutta.

    `thrusts` (N, 4) holds for one millisecond each. Independent of Bullet: one rigid body whose origin is not its
    centre of mass, with 6 x 6 inertia (Featherstone 2008, section 2.13).
    """
    body = pin.Inertia.FromDynamicParameters(physics.inertials)
    at = np.array(robot.payload_point_m)
    if effect.payload_kg:
        at = at + effect.vector("moment_kgm", 3) / effect.payload_kg
        body = body + pin.Inertia(effect.payload_kg, at, np.zeros((3, 3)))
    spatial, lever, mass = body.matrix(), body.lever, body.mass
    gain = 1.0 - effect.vector("gain_loss", 4)
    x, y, spin = (np.array(robot.constants[name]) for name in ("rotor_x", "rotor_y", "rotor_spin"))
    wind, drag = effect.vector("wind_n", 3), physics.viscous[:3]

    def slope(turn: Array, speed: Array, rates: Array, given: Array) -> tuple[Array, Array, Array, Array]:
        weight, air = turn.T @ [0.0, 0.0, -mass * GRAVITY], turn.T @ wind - drag * (turn.T @ speed)
        force = weight + air + np.array([0.0, 0.0, given.sum()])
        own = [y @ given, -x @ given, float(robot.constants["drag_ratio"]) * (spin @ given)]  # type: ignore[arg-type]
        wrench = np.concatenate([force, np.cross(lever, weight) + own])
        motion = pin.Motion(turn.T @ speed, rates)
        bias = motion.cross(pin.Force(body * motion)).vector
        a = np.linalg.solve(spatial, wrench - bias)
        return turn @ pin.skew(rates), turn @ (a[:3] + np.cross(rates, turn.T @ speed)), a[3:], speed

    place, turn = start[0][:3], pin.rpy.rpyToMatrix(start[0][3:])
    speed, rates, rows = start[1][:3], start[1][3:], []
    h = 1e-3
    for said in thrusts:
        state, given = (turn, speed, rates, place), gain * said
        k1 = slope(*state[:3], given)
        k2 = slope(*(s + 0.5 * h * k for s, k in zip(state[:3], k1, strict=False)), given)
        k3 = slope(*(s + 0.5 * h * k for s, k in zip(state[:3], k2, strict=False)), given)
        k4 = slope(*(s + h * k for s, k in zip(state[:3], k3, strict=False)), given)
        turn, speed, rates, place = (
            s + h / 6 * (a + 2 * b + 2 * c + d) for s, a, b, c, d in zip(state, k1, k2, k3, k4, strict=True)
        )
        rows.append(np.concatenate([place, pin.rpy.matrixToRpy(turn)]))
    return np.array(rows)


def test_without_thrust_it_falls_as_fast_as_gravity_and_drag_let_it(crazyflie: Robot) -> None:
    with plant_of(crazyflie) as plant:
        plant.reset(HOME, command=OFF)
        _, v = fly(plant, OFF, 200)
    drag = crazyflie.limits.damping[2]
    t = 0.004 * np.arange(1, 201)
    assert v[:, 2] == pytest.approx(-MASS_KG * GRAVITY / drag * -np.expm1(-drag / MASS_KG * t), rel=2e-3)
    assert np.abs(np.delete(v, 2, axis=1)).max() < 1e-9


def test_the_holding_thrust_holds_it_where_it_is(crazyflie: Robot) -> None:
    for physics in (nominal_physics(crazyflie), hidden_physics(crazyflie, 3)):
        with plant_of(crazyflie, physics=physics) as plant:
            plant.reset(HOME)
            hold = np.array(plant.measure().tau_cmd)
            q, v = fly(plant, hold, 500)
        assert np.abs(q - HOME).max() < 1e-6
        assert np.abs(v).max() < 1e-6
    assert hold.sum() == pytest.approx(MASS_KG * GRAVITY, rel=0.25)


def test_thrust_follows_a_command_late_and_with_the_time_constant_of_the_motors(crazyflie: Robot) -> None:
    quiet = replace(crazyflie, sensors=Sensors(position_noise=(0.0,) * 6, velocity_noise=(0.0,) * 6, effort_noise=OFF))
    with plant_of(quiet) as plant:
        plant.reset(HOME, command=OFF)
        said = []
        for _ in range(40):
            plant.apply([0.1] * 4)
            said.append(plant.measure().tau_meas[2])
    t = 0.004 * np.arange(1, 41) - crazyflie.drive.command_delay_s
    assert said == pytest.approx(0.1 * -np.expm1(-t / LAG_S), rel=1e-9)
    with plant_of(quiet, "motor_lag:joint=rotor_3,ms=20") as plant:
        plant.reset(HOME, command=OFF)
        fly(plant, np.full(4, 0.1), 10)
        reading = plant.measure().tau_meas
    assert reading[2] == pytest.approx(0.1 * -np.expm1(-0.036 / (LAG_S + 0.02)), rel=1e-9)
    assert reading[0] == pytest.approx(0.1 * -np.expm1(-0.036 / LAG_S), rel=1e-9)


@pytest.mark.parametrize(("substeps", "limit_rad"), [(4, 0.03), (16, 0.01)])  # Bullet turns it with first order
@pytest.mark.parametrize(
    "spec",
    [
        "none",
        "payload:mass=0.008",
        "com:mass=0.005,x=0.02,y=-0.03,z=0.01",
        "wind:force=0.05,side=-0.03",
        "thrust_loss:rotor=2,gain=0.8",
        "com:mass=0.006,y=0.03+wind:force=0.04+thrust_loss:rotor=4,gain=0.9",
    ],
)
def test_it_flies_as_newton_and_euler_say(crazyflie: Robot, spec: str, substeps: int, limit_rad: float) -> None:
    faults = parse_faults(spec, crazyflie)
    effect = FaultCourse(faults=faults).at(1.0)
    physics = replace(nominal_physics(crazyflie), substeps=substeps)
    start = np.array([0.1, -0.2, 1.0, 0.2, -0.3, 1.0]), np.array([0.5, -0.4, 0.2, 1.0, -1.5, 2.0])
    command = np.array([0.070, 0.066, 0.068, 0.067])
    with plant_of(crazyflie, spec, physics) as plant:
        plant.reset(*start, command=command)
        flown, _ = fly(plant, command, 75)
    expected = calculated(crazyflie, physics, effect, start, np.tile(command, (300, 1)))[3::4]
    turned = (flown[:, 3:] - expected[:, 3:] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(flown[:, :3] - expected[:, :3]).max() < 1e-3
    assert np.abs(turned).max() < limit_rad


def test_a_weak_rotor_drops_its_corner_and_turns_the_robot_its_own_way(crazyflie: Robot) -> None:
    for rotor, (roll, pitch, yaw) in enumerate([(1, 1, 1), (1, -1, -1), (-1, -1, 1), (-1, 1, -1)]):
        with plant_of(crazyflie, f"thrust_loss:rotor={rotor + 1},gain=0.8") as plant:
            plant.reset(HOME)
            _, v = fly(plant, np.full(4, HOVER_N), 5)
            applied = plant.stages.applied
        assert np.sign(v[-1, 3:]).tolist() == [roll, pitch, yaw]
        assert applied[rotor] == pytest.approx(0.8 * HOVER_N)
        lost_nm = 0.2 * HOVER_N * ARM_M
        assert abs(v[-1, 3]) == pytest.approx(lost_nm / 1.657e-5 * 0.02, rel=0.02)
        assert v[-1, 2] == pytest.approx(-0.2 * HOVER_N / MASS_KG * 0.02, rel=0.05)


def test_a_load_sinks_it_and_goes_again_where_it_is_let_go(crazyflie: Robot) -> None:
    with plant_of(crazyflie, "payload:mass=0.009,onset=0.2,lasts=0.2") as plant:
        plant.reset(HOME)
        q, v = fly(plant, np.full(4, HOVER_N), 150)
    assert np.abs(q[:49] - HOME).max() < 1e-9
    assert v[99, 2] == pytest.approx(-0.009 / 0.036 * GRAVITY * 0.2, rel=0.03)
    assert v[149, 2] == pytest.approx(v[99, 2], rel=0.05)  # the drag of the air alone slows it
    assert np.abs(np.diff(q[:, 2])).max() < 1.1 * 0.004 * abs(v[99, 2])  # no jump when the mass changes


def test_the_body_does_not_jump_when_an_off_centre_load_comes(crazyflie: Robot) -> None:
    start = np.array([0.3, 0.1, 1.0, 0.3, -0.2, 2.0]), np.array([0.5, 0.2, -0.1, 2.0, -1.0, 3.0])
    paths = []
    for spec in ("none", "com:mass=0.005,x=0.05,y=0.03,onset=0.02"):
        with plant_of(crazyflie, spec) as plant:
            plant.reset(*start)
            fly(plant, np.full(4, HOVER_N), 5)
            before = plant.true_state()
            assert isinstance(plant, Quadrotor)
            plant._read()  # what Bullet holds now that the load has come
            assert np.abs(plant.true_state()[0] - before[0]).max() < 1e-12
            assert np.abs(plant.true_state()[1] - before[1]).max() < 1e-11
            paths.append(before)
    assert np.abs(paths[0][0] - paths[1][0]).max() < 1e-12


def test_heading_goes_on_beyond_half_a_turn(crazyflie: Robot) -> None:
    with plant_of(crazyflie) as plant:
        plant.reset(np.array([0.0, 0.0, 1.0, 0.0, 0.0, 3.0]), np.array([0.0, 0.0, 0.0, 0.0, 0.0, 4.0]))
        q, _ = fly(plant, np.full(4, HOVER_N), 500)
    assert q[-1, 5] == pytest.approx(3.0 + 4.0 * 2.0, rel=1e-3)


def test_a_simulation_that_comes_apart_says_so(crazyflie: Robot) -> None:
    with plant_of(crazyflie) as plant:
        plant.reset(HOME, np.array([2e3, 0.0, 0.0, 0.0, 0.0, 0.0]))
        with pytest.raises(FloatingPointError):
            fly(plant, OFF, 2)


def _bits(plant: Plant, ticks: int = 150) -> bytes:
    rows = []
    for tick in range(ticks):
        frame = plant.measure()
        rows += [*frame.q, *frame.qd, *frame.tau_meas]
        wave = 0.004 * np.sin(0.3 * tick + np.arange(4))
        plant.apply((HOVER_N + wave).tolist())
    return np.array(rows).tobytes()


@pytest.mark.parametrize(
    "spec", ["none", "com:mass=0.005,x=0.03,y=0.01+wind:side=0.05", "sag+deadband+motor_lag:joint=2,ms=20+delay:ms=6"]
)
def test_the_same_seed_gives_the_same_bits_in_a_fresh_world_and_in_a_used_one(crazyflie: Robot, spec: str) -> None:
    start = np.array([0.1, 0.2, 1.2, 0.2, -0.1, 0.5]), np.array([0.3, 0.0, 0.1, 1.0, 2.0, -1.0])
    course = FaultCourse(faults=parse_faults(spec, crazyflie))
    with plant_of(crazyflie, spec) as plant:
        plant.reset(*start)
        first = _bits(plant)
        plant.reset(*start)
        assert _bits(plant) == first
        other = FaultCourse(faults=parse_faults("payload:mass=0.003+wind", crazyflie))
        plant.restart(other, seed=5)
        _bits(plant)
        plant.restart(course, seed=1)
        plant.reset(*start)
        assert _bits(plant) == first
        plant.restart(course, seed=2)
        plant.reset(*start)
        assert _bits(plant) != first
    with plant_of(crazyflie, spec) as plant:
        plant.reset(*start)
        assert _bits(plant) == first


def test_rotors_are_the_drives_of_every_other_robot() -> None:
    limit, lag_s = np.full(4, 0.15), np.full(4, LAG_S)
    rng = np.random.default_rng(0)
    faults = [
        Effect(),
        Effect(sag=0.4),
        Effect(gain_loss=(0.2, 0.0, 0.4, 0.0), deadband=(0.002, 0.0, 0.0, 0.1)),
        Effect(limit_loss=(0.5, 0.0, 0.0, 0.6), motor_lag_s=(0.0, 0.03, 0.0, 0.0), sag=0.2),
    ]
    for effect in faults:
        drive = Drive(limit, OFF, lag_s, 1e-3 / 64, OFF, asks_rated=True)
        rotors = Rotors(limit, OFF, lag_s, 1e-3, OFF, asks_rated=True)
        for each in (drive, rotors):
            each.take(effect)
            each.restart(np.full(4, HOVER_N))
        for steps in [1, 4] * 20:
            asked = rng.uniform(0.0, 0.15, 4)
            mean = rotors.push(asked.tolist(), steps)
            given = np.array([drive.step(asked) for _ in range(64 * steps)])  # 64 steps for one
            assert rotors.said == pytest.approx(drive.measured, abs=1e-15)
            assert mean == pytest.approx(given.mean(axis=0), abs=3e-5)
            assert rotors.given == pytest.approx(given[-1], abs=1e-15)


def test_it_hovers_within_a_centimetre_on_noisy_sensors(crazyflie: Robot) -> None:
    rest = Reference(q_ref=HOME.tolist(), qd_ref=[0.0] * 6, qdd_ref=[0.0] * 6)
    with plant_of(crazyflie) as plant:
        plant.reset(HOME)
        trace = run(plant, make_runtime(crazyflie, find_law(crazyflie, crazyflie.controller)), [rest] * 1000)
    assert np.abs(trace.error[:, :3]).max() < 0.01
    assert np.abs(trace.error[:, 5]).max() < 0.02


@pytest.mark.parametrize("kind", ["hover", "waypoints", "lemniscate"])
def test_each_task_is_tracked(crazyflie: Robot, kind: str) -> None:
    """RMS below 5 mm for the robot of the data sheet, below 40 mm for one off the line, which starts untrimmed."""
    law = find_law(crazyflie, crazyflie.controller)
    for physics, limit_m in ((nominal_physics(crazyflie), 0.005), (hidden_physics(crazyflie, 11), 0.04)):
        task = draw_task(crazyflie, kind, HOME, 4.0, np.random.default_rng(5))
        with plant_of(crazyflie, physics=physics) as plant:
            plant.reset(task.q[0])
            trace = run(plant, make_runtime(crazyflie, law), task.references())
        assert not trace.diverged
        assert trace.safety_share == 0.0
        assert np.sqrt(np.mean(np.square(trace.error[:, :3]))) < limit_m


@pytest.mark.parametrize("kind", ["hover", "waypoints", "lemniscate"])
def test_a_task_starts_and_ends_at_rest_and_asks_for_what_the_robot_can_do(crazyflie: Robot, kind: str) -> None:
    tasks = crazyflie.tasks
    for seed in range(12):
        rng = np.random.default_rng(seed)
        start = rng.uniform(tasks.low, tasks.high)
        task = draw_task(crazyflie, kind, start, 4.0, rng)
        assert task.q.shape == (1000, 6)
        assert task.q[0, [0, 1, 2, 5]] == pytest.approx(start[[0, 1, 2, 5]], abs=1e-3)
        for rows in (task.qd, task.qdd):
            assert np.abs(rows[-1]).max() < 1e-9
        assert np.abs(task.qd[0]).max() < 0.05
        assert np.all(task.q >= np.array(tasks.low) - 1e-6)
        assert np.all(task.q <= np.array(tasks.high) + 1e-6)
        assert np.all(np.abs(task.qd) <= tasks.speed_fraction * np.array(crazyflie.limits.speed))
        asked = thrust(crazyflie, (task.q, task.qd, task.qdd))
        assert asked.max() <= 0.7 * 0.15 + 1e-9
        assert asked.min() >= 0.3 * 0.15 - 1e-9
        moved = np.ptp(task.q[:, :3], axis=0).max()
        assert moved > 0.02


def test_the_plan_is_what_a_thrust_along_the_body_needs(crazyflie: Robot) -> None:
    """Flatness: attitude points thrust along the acceleration, body rates turn it there."""
    task = draw_task(crazyflie, "lemniscate", HOME, 4.0, np.random.default_rng(2))
    for k in range(100, 900, 50):
        turn = pin.rpy.rpyToMatrix(task.q[k, 3:])
        push = task.qdd[k, :3] + np.array([0.0, 0.0, GRAVITY])
        assert turn[:, 2] == pytest.approx(push / np.linalg.norm(push), abs=1e-9)
        ahead = pin.rpy.rpyToMatrix(task.q[k + 1, 3:])
        behind = pin.rpy.rpyToMatrix(task.q[k - 1, 3:])
        rates = pin.log3(behind.T @ ahead) / 0.008
        assert rates == pytest.approx(task.qd[k, 3:], abs=0.02)


def test_the_safety_law_stops_the_robot_in_the_air(crazyflie: Robot) -> None:
    safety = find_law(crazyflie, crazyflie.safety_controller)
    for physics in (nominal_physics(crazyflie), hidden_physics(crazyflie, 4)):
        with plant_of(crazyflie, physics=physics) as plant:
            start = np.array([0.0, 0.0, 1.0, 0.3, -0.3, 0.5])
            plant.reset(start, np.array([1.0, -0.8, 0.3, 1.0, -1.0, 0.5]))
            runtime = Runtime(crazyflie, Slot(crazyflie, safety), Slot(crazyflie, safety))
            hold = Reference(q_ref=start.tolist(), qd_ref=[0.0] * 6, qdd_ref=[0.0] * 6)
            run(plant, runtime, [hold] * 1000)
            q, v = plant.true_state()
        assert np.abs(v[:3]).max() < 0.6
        assert abs(q[2] - 1.0) < 0.3
        assert np.abs(q[3:5]).max() < 0.2


def test_the_hidden_robot_is_off_by_ten_per_cent_at_most(crazyflie: Robot) -> None:
    sheet = nominal_physics(crazyflie)
    for seed in range(8):
        made = hidden_physics(crazyflie, seed)
        assert made.substeps == 2 * sheet.substeps
        for name in ("thrust_share", "drag_ratio", "motor_lag"):
            ratio = np.array(made.constants[name]) / np.array(sheet.constants[name])
            assert np.all(np.abs(ratio - 1.0) <= 0.1)
            assert np.all(ratio != 1.0)
        assert abs(made.inertials[0] / sheet.inertials[0] - 1.0) <= 0.1
        trim = allocation(crazyflie, made, loaded(crazyflie, made, Effect()))[:, 0]
        assert trim.sum() == pytest.approx(1.0, rel=0.12)


def test_a_robot_file_that_describes_no_quadrotor_is_refused(crazyflie: Robot) -> None:
    lame = replace(crazyflie, constants={**crazyflie.constants, "rotor_x": (0.03, -0.03, -0.03)})
    with pytest.raises(BadInput, match=r"constants\.rotor_x must have 4 numbers"):
        nominal_physics(lame)
    with pytest.raises(BadInput, match="a quadrotor has joints x, y, z, roll, pitch, yaw"):
        nominal_physics(replace(crazyflie, units=("m",) * 6))
