"""The simulated base with two wheels drives, turns, slips and repeats as documented."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim
from core.errors import BadInput
from core.rigid_body import Array
from core.robot import Robot
from core.robot_toml import load_robot
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.physics import Physics
from sim.plant import Plant
from sim.wheeled_base import Base

RADIUS, TRACK = 0.0975, 0.331
STILL = np.zeros(5)


@pytest.fixture(scope="session")
def pioneer() -> Robot:
    return load_robot(Path(str(sim.__file__)).parent / "robots" / "diffdrive" / "robot.toml")


@contextmanager
def plant_of(robot: Robot, spec: str = "none", physics: Physics | None = None, **changes: Any) -> Iterator[Plant]:
    course = FaultCourse.constant(Effect(**changes)) if changes else FaultCourse(faults=parse_faults(spec, robot))
    with open_plant(robot, physics or nominal_physics(robot), course, seed=1) as plant:
        plant.reset(STILL)
        yield plant


def frictionless(robot: Robot) -> Physics:
    return replace(nominal_physics(robot), viscous=STILL, coulomb=STILL, stiction=STILL)


def drive(plant: Plant, left: float, right: float, ticks: int) -> tuple[Array, Array]:
    """(ticks, 5) positions and velocities under constant torque."""
    rows = []
    for _ in range(ticks):
        plant.apply([left, right])
        rows.append(plant.true_state())
    return np.array([q for q, _ in rows]), np.array([v for _, v in rows])


def weave(tick: int) -> list[float]:
    """Torques that lead a base through bends, with both signs."""
    t = 0.01 * tick
    return [0.5 * np.sin(1.3 * t) + 0.2, 0.45 * np.sin(1.1 * t + 0.3) + 0.25]


def path(plant: Plant, ticks: int = 220, start: Array = STILL) -> Array:
    plant.reset(start)
    rows = []
    for tick in range(ticks):
        plant.apply(weave(tick))
        rows.append(plant.true_state()[0])
    return np.array(rows)


@pytest.mark.parametrize("yaw", [0.0, 2.5])
def test_equal_torques_drive_it_straight_ahead_as_fast_as_its_mass_lets_it(pioneer: Robot, yaw: float) -> None:
    base = Base.of(pioneer, nominal_physics(pioneer))
    with plant_of(pioneer, physics=frictionless(pioneer)) as plant:
        plant.reset(np.array([1.0, -2.0, yaw, 0.0, 0.0]), command=np.full(2, 0.3))
        q, v = drive(plant, 0.3, 0.3, 100)
    mass = base.mass_kg + base.spin.sum() / RADIUS**2
    away = q[-1, :2] - [1.0, -2.0]
    assert away @ [np.cos(yaw), np.sin(yaw)] == pytest.approx(0.5 * 0.6 / RADIUS / mass, rel=0.01)
    assert abs(away @ [-np.sin(yaw), np.cos(yaw)]) < 1e-3
    assert q[-1, 2] == pytest.approx(yaw, abs=1e-3)
    np.testing.assert_allclose(np.hypot(v[-1, 0], v[-1, 1]), v[-1, 3:] * RADIUS, rtol=1e-3)


def test_opposite_torques_turn_it_on_the_spot_by_the_angle_that_its_wheels_turned(pioneer: Robot) -> None:
    with plant_of(pioneer) as plant:
        q, _ = drive(plant, -0.35, 0.35, 150)
    turned = q[-1, 2]
    assert turned > 2.0
    assert turned == pytest.approx((q[-1, 4] - q[-1, 3]) * RADIUS / TRACK, rel=2e-3)
    assert np.hypot(q[-1, 0], q[-1, 1]) < 0.15  # its mass lies behind the axle and swings it out a little


@pytest.mark.parametrize("seed", [None, 3])
def test_its_motion_needs_the_torques_that_the_model_says(pioneer: Robot, seed: int | None) -> None:
    physics = nominal_physics(pioneer) if seed is None else hidden_physics(pioneer, seed)
    base = Base.of(pioneer, physics)
    with plant_of(pioneer, physics=physics) as plant:
        before = None
        missed = []
        for tick in range(220):  # then it slides
            plant.apply(weave(tick))
            q, v = plant.true_state()
            now = np.array([np.cos(q[2]) * v[0] + np.sin(q[2]) * v[1], v[2]])
            if before is not None and np.all(np.abs(v[3:]) > 0.5):
                (speed, rate), (a, alpha) = 0.5 * (now + before), (now - before) * pioneer.control_rate_hz
                model = base.wheel_torque(*(np.array([x]) for x in (speed, rate, a, alpha)))[0]
                missed.append(model - plant.stages.applied)
            before = now
    assert len(missed) > 100
    assert np.sqrt(np.mean(np.square(missed))) < 0.01  # N*m, of 0.4


def test_a_wheel_that_is_pushed_less_than_its_friction_stands_still(pioneer: Robot) -> None:
    with plant_of(pioneer) as plant:
        held, _ = drive(plant, 0.09, 0.09, 200)
        moved, _ = drive(plant, 0.2, 0.2, 100)
    assert np.abs(held[-1]).max() < 2e-3
    assert moved[-1, 0] > 0.05


def test_twenty_times_the_friction_brakes_it_and_never_drives_it_back(pioneer: Robot) -> None:
    with plant_of(pioneer, "friction:scale=20") as plant:
        plant.reset(STILL, np.array([0.3, 0.0, 0.0, 0.3 / RADIUS, 0.3 / RADIUS]))
        _, v = drive(plant, 0.0, 0.0, 300)
    assert v[:, 0].min() > -1e-3
    assert abs(v[-1, 0]) < 1e-3


def test_a_load_slows_its_acceleration_by_its_share_of_the_mass(pioneer: Robot) -> None:
    speeds = []
    for mass in (0.0, 5.0):
        with plant_of(pioneer, physics=frictionless(pioneer), payload_kg=mass) as plant:
            speeds.append(drive(plant, 0.4, 0.4, 100)[1][-1, 0])
    base = Base.of(pioneer, nominal_physics(pioneer))
    inertia = base.mass_kg + base.spin.sum() / RADIUS**2
    assert speeds[1] / speeds[0] == pytest.approx(inertia / (inertia + 5.0), rel=0.01)


def test_a_larger_left_wheel_turns_it_right(pioneer: Robot) -> None:
    yaw = []
    for spec in ("none", "wheel_radius:wheel=left,share=0.05"):
        with plant_of(pioneer, spec, physics=None) as plant:
            plant.reset(STILL, np.array([0.5, 0.0, 0.0, 0.5 / RADIUS, 0.5 / RADIUS]))
            q, _ = drive(plant, 0.3, 0.3, 100)
            yaw.append(q[-1, 2])
    assert abs(yaw[0]) < 1e-3
    assert yaw[1] < -0.02


@pytest.mark.parametrize("share", [(0.05, 0.0), (-0.05, 0.0), (-0.1, 0.1)])
def test_a_changed_radius_is_a_body_with_such_wheels(pioneer: Robot, share: tuple[float, float]) -> None:
    nominal = nominal_physics(pioneer)
    radius = tuple(RADIUS * (1.0 + part) for part in share)
    rebuilt = replace(nominal, constants={**nominal.constants, "wheel_radius": radius})
    with plant_of(pioneer, wheel_radius=share) as changed, plant_of(pioneer, physics=rebuilt) as other:
        ours, theirs = path(changed), path(other)
    with plant_of(pioneer) as healthy:
        effect = np.abs(path(healthy) - theirs).max(axis=0)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert effect.max() > 0.5


def test_a_slipping_wheel_turns_more_than_the_ground_sees(pioneer: Robot) -> None:
    with plant_of(pioneer, "slip:share=0.2") as plant:
        _, v = drive(plant, 0.4, 0.4, 100)
    np.testing.assert_allclose(v[-1, 0], 0.8 * RADIUS * v[-1, 3:], rtol=2e-3)


def test_on_slippery_ground_the_wheels_spin_when_it_accelerates(pioneer: Robot) -> None:
    lost = []
    for spec in ("none", "ground_friction:share=0.2"):
        with plant_of(pioneer, spec) as plant:
            _, v = drive(plant, 1.2, 1.2, 60)
            lost.append(1.0 - v[-1, 0] / (RADIUS * v[-1, 3]))
    assert abs(lost[0]) < 0.01
    assert lost[1] > 0.3


def test_a_stuck_wheel_turns_it_about_itself(pioneer: Robot) -> None:
    with plant_of(pioneer, "stuck:joint=left") as plant:
        q, _ = drive(plant, 0.0, 0.5, 100)
    assert abs(q[-1, 3]) < 1e-3
    assert q[-1, 2] == pytest.approx(q[-1, 4] * RADIUS / TRACK, rel=0.01)


@pytest.mark.parametrize("offset", [(0.08, 0.0, 0.0), (0.0, 0.08, 0.0), (-0.04, 0.05, 0.05)])
def test_a_load_off_its_place_is_a_load_at_another_place(pioneer: Robot, offset: tuple[float, float, float]) -> None:
    mass = 4.0
    moved = replace(pioneer, payload_point_m=tuple(np.add(pioneer.payload_point_m, offset)))
    moment = tuple(mass * part for part in offset)
    with plant_of(pioneer, payload_kg=mass, moment_kgm=moment) as shifted, plant_of(moved, payload_kg=mass) as other:
        ours, theirs = path(shifted), path(other)
    with plant_of(pioneer, payload_kg=mass) as centred:
        effect = np.abs(path(centred) - theirs).max(axis=0)
    assert np.all(np.abs(ours - theirs).max(axis=0) < 0.05 * effect)


def fingerprint(robot: Robot, seed: int) -> list[str]:
    """Hashes of three runs in one world with contacts: as loaded, after a run that tipped over, and that run."""
    course = FaultCourse(faults=parse_faults("payload:mass=4,onset=0.5+ground_friction:onset=1,ramp=1", robot))
    hashes = []
    with open_plant(robot, hidden_physics(robot, 7), course, seed=seed) as plant:
        for torque in (weave, lambda tick: [3.0 if tick % 60 < 30 else -3.0] * 2, weave):
            plant.reset(np.array([0.3, -0.2, 0.7, 1.0, 2.0]), np.array([0.1, 0.1, 0.0, 1.5, 1.5]))
            digest = hashlib.sha256()
            for tick in range(250):
                frame = plant.measure()
                digest.update(np.array([*frame.q, *frame.qd, *frame.tau_meas]).tobytes())
                plant.apply(torque(tick))
            digest.update(plant.true_state()[0].tobytes())
            hashes.append(digest.hexdigest())
    return hashes


def test_a_run_repeats_bit_by_bit_after_a_reset_and_in_another_process(pioneer: Robot) -> None:
    here = fingerprint(pioneer, 3)
    assert here[0] == here[2] != here[1]
    code = (
        "import importlib.util as u, pathlib, sys\n"
        "s = u.spec_from_file_location('there', sys.argv[1]); m = u.module_from_spec(s); s.loader.exec_module(m)\n"
        "print(*m.fingerprint(m.load_robot(pathlib.Path(sys.argv[2])), 3))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__)), str(pioneer.folder / "robot.toml")]
    for _ in range(2):
        there = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert there.stdout.split() == here
    assert fingerprint(pioneer, 4)[0] != here[0]


def test_it_starts_with_the_velocity_that_it_is_given(pioneer: Robot) -> None:
    v = np.array(
        [0.5 * np.cos(0.7), 0.5 * np.sin(0.7), 0.6, (0.5 - 0.1655 * 0.6) / RADIUS, (0.5 + 0.1655 * 0.6) / RADIUS]
    )
    with plant_of(pioneer, physics=frictionless(pioneer)) as plant:
        plant.reset(np.array([3.0, 1.0, 0.7, 0.0, 0.0]), v)
        assert plant.true_state()[1].tolist() == v.tolist()
        plant.apply([0.0, 0.0])
        q, after = plant.true_state()
    np.testing.assert_allclose(after, v, atol=0.05)
    np.testing.assert_allclose(q[:2], np.array([3.0, 1.0]) + 0.01 * v[:2], atol=5e-4)


def test_a_hidden_base_differs_from_its_data_sheet_within_what_is_documented(pioneer: Robot) -> None:
    sheet = Base.of(pioneer, nominal_physics(pioneer))
    for seed in range(5):
        physics = hidden_physics(pioneer, seed)
        made = Base.of(pioneer, physics)
        assert physics.substeps == 2 * pioneer.substeps
        assert 0.9 < made.mass_kg / sheet.mass_kg < 1.1
        assert 0.8 < made.yaw_inertia / sheet.yaw_inertia < 1.2
        assert np.all(np.abs(made.radius / sheet.radius - 1.0) <= 0.005)
        assert np.all(np.abs(made.wheel_y / sheet.wheel_y - 1.0) <= 0.01)
        assert np.all(np.abs(made.coulomb / sheet.coulomb - 1.0) <= 0.1)
        assert not np.allclose(made.radius, sheet.radius)


def test_a_base_without_its_constants_or_wheels_is_refused_in_one_sentence(pioneer: Robot) -> None:
    without = replace(pioneer, constants={key: pioneer.constants[key] for key in ("wheel_radius", "caster", "nose")})
    with pytest.raises(BadInput, match=r"constants\.ground_friction"):
        nominal_physics(without)
    renamed = replace(pioneer, joints=("x", "y", "yaw", "left", "front"), actuators=("left", "front"))
    with pytest.raises(BadInput, match="no wheel joint 'front'"):
        nominal_physics(renamed)
    swapped = replace(pioneer, joints=("x", "y", "yaw", "right", "left"))
    with pytest.raises(BadInput, match="one axle"):
        nominal_physics(swapped)
