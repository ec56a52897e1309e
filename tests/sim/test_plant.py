"""The simulated arm obeys the equation it is documented to obey, and no trap of the engine under it springs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pinocchio as pin
import pytest

from controllers.artefact import Artefact
from core.frames import Frame
from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.body import NO_MASS_KG
from sim.bullet import bullet
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.physics import Physics
from sim.plant import Plant
from sim.plants.fixed_base import FixedBase
from sim.rollout import make_runtime, run
from sim.tasks.catalogue import draw_task

POSE = np.array([0.3, -0.4, 0.5, -1.3, 0.7, 0.6, -0.2])
SPEED = np.array([0.5, -0.7, 0.9, 0.4, -1.1, 0.8, 1.2])
TORQUE = np.array([20.0, -35.0, 10.0, 25.0, -3.0, 4.0, 1.5])

EXACT = 1e-9  # rad/s^2 or kg*m^2: two engines, one equation


@pytest.fixture(scope="session")
def iiwa(iiwa: Robot) -> Robot:
    """One physics step a tick, so that a tick is the documented equation."""
    return replace(iiwa, physics_rate_hz=iiwa.control_rate_hz)


@contextmanager
def plant_of(robot: Robot, spec: str = "none", physics: Physics | None = None, **changes: Any) -> Iterator[Plant]:
    course = FaultCourse.constant(Effect(**changes)) if changes else FaultCourse(faults=parse_faults(spec, robot))
    with open_plant(robot, physics or nominal_physics(robot), course, seed=1) as plant:
        yield plant


def acceleration(plant: Plant, torque: Array = TORQUE, q: Array = POSE, v: Array = SPEED) -> Array:
    """(7,) what one step makes of `torque` that the drives already give."""
    plant.reset(q, v, torque)
    plant.apply(torque.tolist())
    return (plant.true_state()[1] - v) / plant.robot.dt_s


def expected_acceleration(
    robot: Robot, physics: Physics, torque: Array, payload_kg: float = NO_MASS_KG, viscous: float = 0.0
) -> Array:
    """Linearly implicit Euler of M a + h + D v = tau, from Pinocchio alone."""
    model = RigidBodyModel(robot)
    model.set_inertial_parameters(physics.inertials)
    model.set_payload(payload_kg)
    slope = physics.viscous + viscous
    inertia = model.link_inertia(POSE).copy() + np.diag(model.rotor_inertia + robot.dt_s * slope)
    bias = pin.nonLinearEffects(model.model, model.data, POSE, SPEED)
    return np.asarray(np.linalg.solve(inertia, torque - bias - slope * SPEED))


def masses(plant: Plant) -> list[float]:
    joints = range(bullet.getNumJoints(plant._body, physicsClientId=plant._client))
    return [bullet.getDynamicsInfo(plant._body, k, physicsClientId=plant._client)[0] for k in joints]


def test_two_bodies_loaded_one_after_the_other_have_their_own_masses(iiwa: Robot) -> None:
    nominal = nominal_physics(iiwa)
    heavy = replace(nominal, inertials=2.0 * nominal.inertials)
    with plant_of(iiwa, physics=nominal) as first:
        light = masses(first)
    with plant_of(iiwa, physics=heavy) as second, plant_of(iiwa, physics=nominal) as third:
        np.testing.assert_allclose(masses(second)[:7], 2.0 * np.array(light[:7]), rtol=1e-12)
        assert masses(third) == light
        np.testing.assert_allclose(acceleration(second), expected_acceleration(iiwa, heavy, TORQUE), atol=EXACT)


def test_a_body_file_rewritten_under_the_same_name_is_read_again(
    iiwa: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.plants.fixed_base.tempfile.TemporaryDirectory", lambda **_: nullcontext(str(tmp_path)))
    nominal = nominal_physics(iiwa)
    found = []
    for factor in (1.0, 3.0, 1.0):
        with plant_of(iiwa, physics=replace(nominal, inertials=factor * nominal.inertials)) as plant:
            found.append(masses(plant)[0])
    np.testing.assert_allclose(np.array(found) / found[0], [1.0, 3.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize("seed", [None, 3])
def test_bullet_and_the_model_agree_on_the_mass_matrix(iiwa: Robot, seed: int | None) -> None:
    physics = nominal_physics(iiwa) if seed is None else hidden_physics(iiwa, seed)
    model = RigidBodyModel(iiwa)
    model.set_inertial_parameters(physics.inertials)
    model.set_payload(NO_MASS_KG)
    with plant_of(iiwa, physics=physics) as plant:
        for q in (POSE, np.zeros(7), -POSE):
            theirs = np.array(bullet.calculateMassMatrix(plant._body, q.tolist(), physicsClientId=plant._client))
            np.testing.assert_allclose(theirs, model.link_inertia(q), atol=EXACT)


def test_one_step_is_the_documented_equation(iiwa: Robot) -> None:
    physics = nominal_physics(iiwa)
    with plant_of(iiwa) as plant:
        found = acceleration(plant)
    np.testing.assert_allclose(found, expected_acceleration(iiwa, physics, TORQUE), atol=EXACT)


@pytest.mark.parametrize("mass_kg", [1.0, 5.0, 10.0])
def test_a_payload_is_seen_by_bullet_and_by_the_drivetrain(iiwa: Robot, mass_kg: float) -> None:
    physics = nominal_physics(iiwa)
    with plant_of(iiwa, f"payload:mass={mass_kg}") as plant:
        loaded = acceleration(plant)
    expected = expected_acceleration(iiwa, physics, TORQUE, payload_kg=mass_kg)
    np.testing.assert_allclose(loaded, expected, atol=EXACT)
    empty = expected_acceleration(iiwa, physics, TORQUE)
    assert np.abs(loaded - empty).max() > 1.0


@pytest.mark.parametrize("viscous", [0.0, 9.5, 400.0])
def test_friction_acts_with_the_speed_of_the_coming_step(iiwa: Robot, viscous: float) -> None:
    with plant_of(iiwa, viscous=(viscous,) * 7) as plant:
        found = acceleration(plant)
    expected = expected_acceleration(iiwa, nominal_physics(iiwa), TORQUE, viscous=viscous)
    np.testing.assert_allclose(found, expected, atol=EXACT)


def test_no_hidden_motor_or_damping_brakes_a_joint_that_nobody_drives(quiet: Robot) -> None:
    """Energy of a swinging arm without friction and gravity work is kept: kinetic plus potential energy is constant."""
    physics = replace(nominal_physics(quiet), substeps=8, viscous=np.zeros(7))
    model = RigidBodyModel(quiet)
    with plant_of(quiet, physics=physics) as plant:
        still = np.zeros(7)
        plant.reset(POSE, 0.2 * SPEED, still)

        def energy() -> float:
            q, v = plant.true_state()
            inertia = model.link_inertia(q) + np.diag(model.rotor_inertia)
            return 0.5 * float(v @ inertia @ v)

        work, start = 0.0, energy()
        for _ in range(100):
            q, v = plant.true_state()
            plant.apply([0.0] * 7)
            q_after, v_after = plant.true_state()
            work -= quiet.dt_s * 0.5 * float(model.gravity(q) @ v + model.gravity(q_after) @ v_after)
        assert work > 5.0  # the arm falls
        assert energy() - start == pytest.approx(work, rel=5e-3)


def test_bullet_was_told_of_no_damping_and_of_our_step(iiwa: Robot) -> None:
    with plant_of(iiwa) as plant:
        for joint in plant._joints:
            info = bullet.getJointInfo(plant._body, joint, physicsClientId=plant._client)
            assert info[6:8] == (0.0, 0.0)  # joint damping and friction
        engine = bullet.getPhysicsEngineParameters(plant._client)
        assert engine["fixedTimeStep"] == iiwa.dt_s
        assert engine["gravityAccelerationZ"] == -9.81


def test_an_arm_that_coasts_without_friction_and_gravity_torque_keeps_its_speed(quiet: Robot) -> None:
    physics = replace(nominal_physics(quiet), viscous=np.zeros(7))
    upright, spin = np.zeros(7), np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    with plant_of(quiet, physics=physics) as plant:
        plant.reset(upright, spin, np.zeros(7))
        for _ in range(500):
            plant.apply(RigidBodyModel(quiet).gravity(plant.true_state()[0]).tolist())
        assert plant.true_state()[1][0] == pytest.approx(1.0, abs=2e-2)


def test_twenty_times_the_friction_settles_instead_of_blowing_up(iiwa: Robot) -> None:
    """Explicit damping of 10 N*m*s/rad on a wrist of some 1e-3 kg*m^2 diverges at 500 Hz."""
    bare = replace(iiwa, drive=replace(iiwa.drive, rotor_inertia=(0.0,) * 7))
    for robot in (iiwa, bare):
        with plant_of(robot, "friction:scale=20") as plant:
            hold = RigidBodyModel(robot).gravity(POSE)
            plant.reset(POSE, 2.0 * SPEED, hold)
            peaks = []
            for _ in range(600):
                hold = RigidBodyModel(robot).gravity(plant.true_state()[0])
                plant.apply(hold.tolist())
                peaks.append(float(np.abs(plant.true_state()[1]).max()))
        assert max(peaks) < 2.5
        assert peaks[-1] < 0.05


def test_stiction_holds_a_joint_that_is_pushed_too_little(quiet: Robot) -> None:
    physics = replace(nominal_physics(quiet), viscous=np.zeros(7), coulomb=np.full(7, 2.0), stiction=np.full(7, 3.0))
    model = RigidBodyModel(quiet)
    moved = []
    for push in (1.0, 6.0):
        with plant_of(quiet, physics=physics) as plant:
            extra = np.zeros(7)
            extra[6] = push
            plant.reset(POSE, None, model.gravity(POSE) + extra)
            for _ in range(50):
                plant.apply((model.gravity(plant.true_state()[0]) + extra).tolist())
            moved.append(abs(plant.true_state()[0][6] - POSE[6]))
    assert moved[0] < 0.002
    assert moved[1] > 0.05


def fingerprint(robot: Robot, artefact: Artefact, spec: str, seed: int) -> str:
    """Hash of every bit of a run of a quarter of a second."""
    task = draw_task(robot, "weave", np.array(robot.home), 0.25, np.random.default_rng(1))
    course = FaultCourse(faults=parse_faults(spec, robot))
    with open_plant(robot, hidden_physics(robot, 7), course, seed=seed) as plant:
        trace = run(plant, make_runtime(robot, artefact), task.references())
    digest = hashlib.sha256()
    for part in (trace.q_true, trace.measured_error, trace.command):
        digest.update(part.tobytes())
    return digest.hexdigest()


FAULTY = "payload:mass=4,onset=0.1,ramp=0.1+friction:joint=3,scale=8"


def test_a_run_repeats_bit_by_bit_in_one_process_and_in_another(iiwa: Robot, computed_torque: Artefact) -> None:
    here = [fingerprint(iiwa, computed_torque, FAULTY, 3) for _ in range(2)]
    code = (
        "import importlib.util as u, pathlib, sys\n"
        "s = u.spec_from_file_location('there', sys.argv[1]); m = u.module_from_spec(s); s.loader.exec_module(m)\n"
        "from core.robot_toml import load_robot; from controllers.artefact import load_artefact, shipped_laws\n"
        "from dataclasses import replace\n"
        "r = replace(load_robot(pathlib.Path(sys.argv[2])), physics_rate_hz=500)\n"
        "print(m.fingerprint(r, load_artefact(shipped_laws()[r.controller]), m.FAULTY, 3))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__)), str(iiwa.folder / "robot.toml")]
    there = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert here == [there.stdout.strip()] * 2
    assert fingerprint(iiwa, computed_torque, FAULTY, 4) != here[0]


def test_no_run_leaves_a_trace_in_the_next(iiwa: Robot, computed_torque: Artefact) -> None:
    alone = fingerprint(iiwa, computed_torque, "none", 3)
    faulty = fingerprint(iiwa, computed_torque, FAULTY, 3)
    assert fingerprint(iiwa, computed_torque, "none", 3) == alone
    assert faulty != alone
    with plant_of(iiwa, "payload:mass=9+sensor_bias:rad=0.1+delay:ms=8"):
        assert fingerprint(iiwa, computed_torque, "none", 3) == alone


def test_a_reset_starts_the_course_of_faults_anew(quiet: Robot) -> None:
    course = FaultCourse(faults=parse_faults("payload:mass=6,onset=0.02+actuator_loss:joint=2,onset=0.02", quiet))
    with open_plant(quiet, nominal_physics(quiet), course, seed=1) as plant:
        paths = []
        for _ in range(2):
            plant.reset(POSE, SPEED, TORQUE)
            for _ in range(25):
                plant.apply(TORQUE.tolist())
            paths.append(np.concatenate(plant.true_state()).tobytes())
    assert paths[0] == paths[1]


def drive_torques(robot: Robot, physics: Physics, delay_ms: float, ticks: int = 12) -> Array:
    """(ticks * substeps,) torque of joint 1 per physics step after a command of 5 N*m in tick 1."""
    seen: list[float] = []

    class Watched(FixedBase):
        def _advance(self, command: list[float], steps: int) -> None:
            seen.extend([command[0]] * steps)
            super()._advance(command, steps)

    course = FaultCourse.constant(Effect(delay_s=delay_ms / 1000.0))
    with Watched(robot, physics, course, seed=1) as plant:
        plant.reset(POSE, None, np.zeros(7))
        for k in range(ticks):
            plant.apply([5.0 if k >= 1 else 0.0] + [0.0] * 6)
    return np.array(seen)


@pytest.mark.parametrize("own_ms", [0.0, 4.0])
@pytest.mark.parametrize(
    ("substeps", "added_ms", "steps"),
    [(1, 0.0, 0), (1, 2.0, 1), (1, 6.0, 3), (2, 0.0, 0), (2, 1.0, 1), (2, 2.0, 2), (2, 5.0, 5), (4, 1.5, 3)],
)
def test_a_delay_shifts_the_torque_by_exactly_so_many_physics_steps(
    quiet: Robot, own_ms: float, substeps: int, added_ms: float, steps: int
) -> None:
    robot = replace(quiet, drive=replace(quiet.drive, command_delay_s=own_ms / 1000.0))
    seen = drive_torques(robot, replace(nominal_physics(robot), substeps=substeps), added_ms)
    first = substeps + steps + round(own_ms / 2.0) * substeps
    assert len(seen) == 12 * substeps
    assert np.flatnonzero(seen).tolist() == list(range(first, len(seen)))
    assert set(seen[first:]) == {5.0}


def test_torque_is_reported_as_late_as_it_acts(quiet: Robot) -> None:
    with plant_of(quiet, "delay:ms=6") as plant:
        plant.reset(POSE, None, np.zeros(7))
        frames = []
        for k in range(12):
            frames.append(plant.measure())
            plant.apply([float(k)] + [0.0] * 6)
    assert [frame.tau_cmd[0] for frame in frames] == [0.0, *range(11)]
    late = 5  # 4 ms of the bus and 6 ms of the fault
    assert [frame.tau_meas[0] for frame in frames] == [0.0] * (late + 1) + [float(k) for k in range(11 - late)]


def test_torque_saturates_at_the_motors_limit(quiet: Robot) -> None:
    limit = np.array(quiet.limits.effort)
    with plant_of(quiet) as plant:
        for sign in (1.0, -1.0):
            wanted = sign * (limit + 500.0)
            np.testing.assert_array_equal(acceleration(plant, wanted), acceleration(plant, sign * limit))
            plant.reset(POSE, None, np.zeros(7))
            for _ in range(4):
                plant.apply(wanted.tolist())
            frame = plant.measure()
            assert frame.tau_meas == (sign * limit).tolist()
            assert frame.tau_cmd == wanted.tolist()


def test_a_weak_motor_gives_a_share_of_the_torque_that_its_current_shows(quiet: Robot) -> None:
    with plant_of(quiet, "actuator_loss:joint=2,gain=0.6") as weak, plant_of(quiet) as healthy:
        share = TORQUE.copy()
        share[1] *= 0.6
        np.testing.assert_allclose(acceleration(weak), acceleration(healthy, share), atol=EXACT)
        assert weak.measure().tau_meas == TORQUE.tolist()


def test_two_losses_of_one_motor_never_drive_it_backwards(quiet: Robot) -> None:
    both = "actuator_loss:joint=2,gain=0.3+actuator_loss:joint=2,gain=0.3"
    with plant_of(quiet, both) as dead, plant_of(quiet) as healthy:
        none = TORQUE.copy()
        none[1] = 0.0
        np.testing.assert_allclose(acceleration(dead), acceleration(healthy, none), atol=EXACT)


def test_a_biased_encoder_reads_beside_the_truth_and_changes_no_motion(quiet: Robot) -> None:
    with plant_of(quiet, "sensor_bias:joint=4,rad=0.05") as biased, plant_of(quiet) as healthy:
        assert acceleration(biased).tolist() == acceleration(healthy).tolist()
        offset = np.array(biased.measure().q) - biased.true_state()[0]
        np.testing.assert_allclose(offset, [0, 0, 0, 0.05, 0, 0, 0], atol=1e-15)
        assert healthy.measure().q == healthy.true_state()[0].tolist()
        assert biased.measure().qd == biased.true_state()[1].tolist()


def test_a_fault_starts_at_its_onset_and_grows_over_its_ramp(quiet: Robot) -> None:
    course = FaultCourse(faults=parse_faults("sensor_bias:joint=1,rad=0.1,onset=0.01,ramp=0.02", quiet))
    with open_plant(quiet, nominal_physics(quiet), course, seed=1) as plant:
        plant.reset(POSE)
        offsets = []
        for _ in range(20):
            offsets.append(plant.measure().q[0] - plant.true_state()[0][0])
            plant.apply(RigidBodyModel(quiet).gravity(POSE).tolist())
    expected = np.clip((np.arange(20) * 0.002 - 0.01) / 0.02, 0.0, 1.0) * 0.1
    np.testing.assert_allclose(offsets, expected, atol=1e-12)


def test_a_payload_that_grows_is_followed_by_bullet(quiet: Robot) -> None:
    course = FaultCourse(faults=parse_faults("payload:mass=8,onset=0.004,ramp=0.008", quiet))
    with open_plant(quiet, nominal_physics(quiet), course, seed=1) as plant:
        carried = []
        for _ in range(8):
            carried.append(masses(plant)[-1])
            plant.apply(TORQUE.tolist())
    np.testing.assert_allclose(carried, [NO_MASS_KG] * 3 + [2.0, 4.0, 6.0, 8.0, 8.0], rtol=1e-9)


def test_noise_has_the_size_that_the_robot_file_says(iiwa: Robot) -> None:
    with plant_of(iiwa) as plant:
        q, v = plant.true_state()
        frames = [plant.measure() for _ in range(3000)]
    noise: dict[str, Callable[[Frame], Array]] = {
        "position_noise": lambda f: f.q - q,
        "velocity_noise": lambda f: f.qd - v,
        "effort_noise": lambda f: f.tau_meas - plant._drive.measured,
    }
    for name, of in noise.items():
        found = np.array([of(frame) for frame in frames])
        np.testing.assert_allclose(found.std(axis=0), getattr(iiwa.sensors, name), rtol=0.06)
        assert np.abs(np.corrcoef(found.T) - np.eye(7)).max() < 0.1
        assert abs(np.corrcoef(found[1:, 0], found[:-1, 0])[0, 1]) < 0.08


def test_a_frame_has_no_field_for_the_truth(iiwa: Robot) -> None:
    assert set(Frame._fields) == {"seq", "stamp_ns", "q", "qd", "tau_meas", "tau_cmd"}
    with plant_of(iiwa, "sensor_bias:joint=2,rad=0.04") as plant:
        frame, (q, _) = plant.measure(), plant.true_state()
        assert abs(frame.q[1] - q[1]) > 0.03
        frame.q[1] = 99.0  # a frame is a copy: what a reader does to it stays with the reader
        frame.tau_meas[0] = 99.0
        assert plant.true_state()[0][1] == q[1]
        assert plant.measure().q[1] < 1.0


def test_ticks_are_counted_and_stamped_without_gaps(iiwa: Robot) -> None:
    with plant_of(iiwa) as plant:
        frames = []
        for _ in range(5):
            frames.append(plant.measure())
            plant.apply(frames[-1].tau_cmd)
    assert [frame.seq for frame in frames] == list(range(5))
    assert [frame.stamp_ns for frame in frames] == [0, 2_000_000, 4_000_000, 6_000_000, 8_000_000]


def test_an_arm_at_rest_under_its_holding_torque_stays(quiet: Robot) -> None:
    with plant_of(quiet) as plant:
        plant.reset(POSE)
        hold = plant.measure().tau_cmd
        for _ in range(50):
            plant.apply(hold)
        q, v = plant.true_state()
    np.testing.assert_allclose(q, POSE, atol=1e-6)
    np.testing.assert_allclose(v, 0.0, atol=1e-4)


def test_a_closed_plant_gives_its_world_back(iiwa: Robot) -> None:
    plant = open_plant(iiwa, nominal_physics(iiwa), FaultCourse(), seed=0)
    client = plant._client
    assert bullet.isConnected(client)
    plant.close()
    plant.close()
    assert not bullet.isConnected(client)


def test_a_hidden_robot_differs_from_its_data_sheet_within_what_is_documented(iiwa: Robot) -> None:
    nominal = nominal_physics(iiwa)
    for seed in range(5):
        hidden = hidden_physics(iiwa, seed)
        ratio = hidden.inertials.reshape(7, 10)[:, 0] / nominal.inertials.reshape(7, 10)[:, 0]
        assert np.all((ratio > 0.9) & (ratio < 1.1))
        assert np.abs(ratio - 1).max() > 0.01
        assert hidden.substeps == 2 * nominal.substeps
        assert np.all(hidden.stiction > hidden.coulomb)
        assert np.all(hidden.coulomb > 0)
        assert hidden_physics(iiwa, seed).inertials.tobytes() == hidden.inertials.tobytes()


def test_steps_taken_together_go_where_steps_one_by_one_go(quiet: Robot) -> None:
    """Four physics steps in one call of the engine, or in four: the same arm, but for friction's finer grid."""
    physics = replace(nominal_physics(quiet), substeps=4)
    with (
        open_plant(quiet, physics, FaultCourse(), seed=1) as one,
        open_plant(replace(quiet, physics_rate_hz=4 * quiet.control_rate_hz), physics, FaultCourse(), seed=1) as four,
    ):
        for plant in (one, four):
            plant.reset(POSE, SPEED, TORQUE)
            for _ in range(25):
                plant.apply(TORQUE.tolist())
        np.testing.assert_allclose(one.true_state()[0], four.true_state()[0], atol=2e-4)
        assert np.abs(one.true_state()[0] - POSE).max() > 0.02
