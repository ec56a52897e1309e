"""A quadruped with contacts: it stands by statics, its feet stay in place, and equal starts give equal bits."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

import sim
from controllers.library import find_law
from controllers.slot import Slot
from core.errors import BadInput
from core.frames import Reference
from core.legs import Legs
from core.rigid_body import Array
from core.robot import Robot
from core.robot_toml import load_robot
from sim.bullet import bullet
from sim.effect import NO_EFFECT, Effect
from sim.faults.course import FaultCourse
from sim.kinds import hidden_physics, nominal_physics
from sim.plants.legged import Legged
from sim.rollout import Trace, make_runtime, run
from sim.tasks.catalogue import draw_task
from sim.tasks.legged import walk
from sim.tasks.task import Task

FILE = Path(str(sim.__file__)).parent / "robots" / "quadruped" / "robot.toml"
LEANING = np.array([0.1, 0.8, -1.5, 0.0, 1.0, -1.8, 0.05, 0.9, -1.6, -0.1, 0.7, -1.4, 0.1, -0.15, 0.3])
KNEE = 2  # FL_calf


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot(FILE)


@pytest.fixture(scope="module")
def legs(robot: Robot) -> Legs:
    return Legs(robot)


@pytest.fixture(scope="module")
def world(robot: Robot) -> Iterator[Legged]:
    """One world for all tests: a restart forgets what the last one did to it."""
    with Legged(robot, nominal_physics(robot), FaultCourse(), seed=1) as plant:
        yield plant


def restarted(plant: Legged, effect: Effect = NO_EFFECT) -> Legged:
    plant.restart(FaultCourse.constant(effect), seed=1)
    return plant


def held(plant: Legged, seconds: float) -> Array:
    """The command that holds the healthy robot at home, after it has been in force for `seconds`."""
    command = plant._holding(np.array(plant.robot.home))
    for _ in range(round(seconds / plant.robot.dt_s)):
        plant.apply(command.tolist())
    return command


def ground_forces(plant: Legged) -> Array:
    """(contacts, 3) where the ground pushes, x and y [m], and how much [N]."""
    found = bullet.getContactPoints(plant._ground, plant._body, physicsClientId=plant._client)
    return np.array([[*point[6][:2], point[9]] for point in found])


def digest(plant: Legged, commands: Array) -> str:
    """Hash of everything the plant says and is, from home under `commands`."""
    hashed = hashlib.sha256()
    plant.restart(FaultCourse(), seed=4)
    for command in commands:
        frame = plant.measure()
        plant.apply(command.tolist())
        hashed.update(np.array([*frame.q, *frame.qd, *frame.tau_meas, *plant.trunk_position()]).tobytes())
    return hashed.hexdigest()


def steps(robot: Robot) -> Array:
    """(150, m) commands that lift feet and put them down: the references of a walk, without any feedback."""
    return walk(robot, np.array(robot.home), 300, 0.05)[0][:150, : len(robot.actuators)]


def configuration(legs: Legs, q: Array) -> Array:
    """(7 + m,) Pinocchio's configuration at coordinates `q` (n,), standing on the lowest foot."""
    position, rotation = legs.stand(q)
    return np.concatenate([position, pin.Quaternion(rotation).coeffs(), q[: legs.m]])


def feet_of(legs: Legs) -> list[int]:
    return [legs.model.getFrameId(f"{name}_foot", pin.FrameType.BODY) for name in ("FL", "FR", "RL", "RR")]


def test_foot_positions_are_those_of_the_urdf(robot: Robot, legs: Legs) -> None:
    pin.framesForwardKinematics(legs.model, legs.data, configuration(legs, LEANING))
    position, rotation = legs.stand(LEANING)
    for k, frame in enumerate(feet_of(legs)):
        here = position + rotation @ legs.foot_positions(LEANING[:12])[k]
        np.testing.assert_allclose(here, legs.data.oMf[frame].translation, atol=1e-12)


@pytest.mark.parametrize("lifted", [(), (1,), (0, 3), (0, 1), (0, 2, 3)])
def test_it_is_set_down_at_rest_and_held_as_rigid_bodies_want_it(
    robot: Robot, legs: Legs, world: Legged, lifted: tuple[int, ...]
) -> None:
    """Against Pinocchio's floating base, and forces of the feet by least squares about their middle."""
    m, attitude = legs.m, np.array([0.1, -0.15, 0.3])
    level = np.array([[0.2, 0.14, -0.3], [0.18, -0.13, -0.3], [-0.17, 0.15, -0.3], [-0.19, -0.13, -0.3]])
    level[list(lifted), 2] += 0.05
    turn = pin.rpy.rpyToMatrix(*attitude)
    q = np.concatenate([legs.leg_angles(level @ turn), attitude])
    v = np.random.default_rng(1).normal(0.0, 0.5, robot.dof)
    base, torque = world._stand(q, v)
    principal = pin.SE3(pin.Quaternion(world._frame[3:]), world._frame[:3])
    trunk = pin.SE3(pin.Quaternion(np.array(base[3:7])), np.array(base[:3])) * principal.inverse()
    np.testing.assert_allclose(trunk.rotation, turn, atol=1e-12)
    np.testing.assert_allclose(trunk.translation, legs.stand(q)[0], atol=1e-12)

    own_rates = turn.T @ base[10:]
    speed = turn.T @ base[7:10] - np.cross(own_rates, principal.translation)
    motion, at = np.concatenate([speed, own_rates, v[:m]]), configuration(legs, q)
    gravity = pin.computeGeneralizedGravity(legs.model, legs.data, at)
    pin.computeJointJacobians(legs.model, legs.data, at)
    pin.updateFramePlacements(legs.model, legs.data)
    below = np.array([0.0, 0.0, -legs.foot_radius[0]])
    contacts, points = [], []
    for k, frame in enumerate(feet_of(legs)):
        if k not in lifted:
            jacobian = pin.getFrameJacobian(legs.model, legs.data, frame, pin.LOCAL_WORLD_ALIGNED)
            contacts.append(jacobian[:3] - pin.skew(below) @ jacobian[3:])
            points.append(legs.data.oMf[frame].translation + below)
    np.testing.assert_allclose(own_rates, v[m:], atol=1e-12)
    np.testing.assert_allclose(np.mean([contact @ motion for contact in contacts], axis=0), 0.0, atol=1e-12)

    middle = np.mean(points, axis=0)
    wrench = np.concatenate([turn @ gravity[:3], turn @ gravity[3:6]])
    wrench[3:] -= np.cross(middle - trunk.translation, wrench[:3])
    held = np.hstack([np.vstack([np.eye(3), pin.skew(point - middle)]) for point in points])
    force = np.linalg.lstsq(held, wrench, rcond=1e-9)[0]
    np.testing.assert_allclose(torque, gravity[6:] - np.vstack(contacts)[:, 6:].T @ force, atol=1e-9)


def test_a_start_knows_of_no_contact_before_it(world: Legged, robot: Robot) -> None:
    plant = restarted(world)
    held(plant, 0.2)
    assert len(ground_forces(plant)) == 4
    plant.reset(np.array(robot.home))
    assert len(ground_forces(plant)) == 0


def test_leg_angles_are_the_inverse_of_foot_positions(robot: Robot, legs: Legs) -> None:
    rng = np.random.default_rng(0)
    angles = rng.uniform(robot.limits.lower[:12], robot.limits.upper[:12], (200, 12))
    angles[:, 1::3] = rng.uniform(0.5, 1.5, (200, 4))  # feet below the hips
    np.testing.assert_allclose(legs.leg_angles(legs.foot_positions(angles)), angles, atol=1e-9)
    with pytest.raises(BadInput, match="where no leg reaches"):
        legs.leg_angles(legs.foot_positions(angles[0]) + np.array([0.0, 0.0, -0.4]))


def test_a_body_that_is_no_such_robot_is_refused_in_one_sentence(robot: Robot, tmp_path: Path) -> None:
    text = FILE.with_name("quadruped.urdf").read_text(encoding="utf-8")
    for before, after, complaint in (
        ('<sphere radius="0.02"/>', '<box size="0.1 0.1 0.1"/>', "collision sphere"),
        ('<axis xyz="1 0 0"/>', '<axis xyz="0 0 1"/>', "hip about x"),
    ):
        (tmp_path / "quadruped.urdf").write_text(text.replace(before, after, 1), encoding="utf-8")
        (tmp_path / "robot.toml").write_text(FILE.read_text(encoding="utf-8"), encoding="utf-8")
        with pytest.raises(BadInput, match=complaint):
            Legs(load_robot(tmp_path / "robot.toml"))


def test_holding_torques_carry_the_weight_and_nothing_moves(world: Legged, robot: Robot) -> None:
    plant = restarted(world)
    held(plant, 1.0)
    q, v = plant.true_state()
    np.testing.assert_allclose(q, robot.home, atol=2e-4)
    np.testing.assert_allclose(v, 0.0, atol=2e-3)
    weight = 9.81 * sum(inertia.mass for inertia in plant._legs.model.inertias)
    assert ground_forces(plant)[:, 2].sum() == pytest.approx(weight, rel=1e-3)


def test_the_sag_of_the_drives_is_the_torque_over_their_stiffness(world: Legged, robot: Robot) -> None:
    plant = restarted(world)
    for _ in range(200):
        plant.apply(robot.home[:12])
    sag = np.array(robot.home[:12]) - plant.true_state()[0][:12]
    np.testing.assert_allclose(plant.stages.applied, 100.0 * sag, atol=0.05)
    assert 0.03 < sag[KNEE] < 0.06


def test_a_load_presses_where_it_hangs(world: Legged) -> None:
    plant = restarted(world)
    held(plant, 1.5)
    before = ground_forces(plant)
    plant = restarted(world, Effect(payload_kg=3.0, moment_kgm=(0.15, -0.06, 0.0)))
    held(plant, 1.5)
    after = ground_forces(plant)
    assert after[:, 2].sum() - before[:, 2].sum() == pytest.approx(3.0 * 9.81, rel=0.01)
    moments = [contact[:, 2] @ (contact[:, :2] - plant.trunk_position()[:2]) for contact in (before, after)]
    np.testing.assert_allclose((moments[1] - moments[0]) / 9.81, [0.15, -0.06], atol=0.03)  # it leans a little


def test_feet_and_ground_have_the_friction_that_was_asked_for(world: Legged) -> None:
    plant = restarted(world, Effect(ground_loss=0.75))
    assert bullet.getDynamicsInfo(plant._ground, -1, physicsClientId=plant._client)[1] == pytest.approx(0.15)
    for body in plant._legs.foot_bodies:
        link = plant._joints[body - 1]
        assert bullet.getDynamicsInfo(plant._body, link, physicsClientId=plant._client)[1] == 1.0
    restarted(world)
    assert bullet.getDynamicsInfo(plant._ground, -1, physicsClientId=plant._client)[1] == pytest.approx(0.6)


def test_a_stuck_joint_stays_and_the_others_move(world: Legged, robot: Robot) -> None:
    brake = [0.0] * robot.dof
    brake[KNEE] = 1.0
    plant = restarted(world, Effect(brake=tuple(brake)))
    target = np.array(robot.home[:12])
    target[2::3] -= 0.2
    for _ in range(100):
        plant.apply(target.tolist())
    moved = plant.true_state()[0][:12] - np.array(robot.home[:12])
    assert abs(moved[KNEE]) < 0.01  # Bullet's iterations leave a creep of some milliradians in a second
    assert np.all(moved[[5, 8, 11]] < -0.1)


def test_a_drive_follows_its_own_encoder(world: Legged, robot: Robot) -> None:
    offset = [0.0] * robot.dof
    offset[KNEE] = 0.05
    plant = restarted(world, Effect(offset=tuple(offset)))
    held(plant, 1.0)
    # the drive takes the reading for the truth, so the knee bends further while its reading barely changes
    assert plant.true_state()[0][KNEE] - robot.home[KNEE] < -0.03
    assert abs(plant.measure().q[KNEE] - robot.home[KNEE]) < 0.02


def test_dry_friction_holds_a_joint_that_is_pushed_less(world: Legged, robot: Robot) -> None:
    plant = restarted(world, Effect(coulomb=(8.0,) * 12 + (0.0,) * 3))
    for _ in range(100):
        plant.apply(robot.home[:12])  # no holding torque: 4 N*m of weight on each knee
    np.testing.assert_allclose(
        plant.true_state()[0][:12], robot.home[:12], atol=0.01
    )  # creep as above; the sag is 0.043


@pytest.mark.parametrize("kind", ["stand", "squat", "walk"])
def test_tasks_start_and_end_at_rest_inside_the_limits_and_can_be_chained(robot: Robot, kind: str) -> None:
    rng = np.random.default_rng(5)
    start = rng.uniform(robot.tasks.low, robot.tasks.high)
    for duration_s in (6.0, 3.0, 1.0):
        task = draw_task(robot, kind, start, duration_s, rng)
        assert len(task.q) == round(duration_s * robot.control_rate_hz)
        assert np.all((task.q >= robot.limits.lower) & (task.q <= robot.limits.upper))
        assert np.all(np.abs(task.qd) <= robot.tasks.speed_fraction * np.array(robot.limits.speed))
        np.testing.assert_allclose(task.qd[[0, -1]], 0.0, atol=0.05)
        follower = draw_task(robot, kind, task.q[-1], duration_s, rng)
        np.testing.assert_allclose(follower.q[0], task.q[-1], atol=1e-3)
        start = follower.q[-1]


def test_standing_feet_do_not_move_in_the_plan(robot: Robot, legs: Legs) -> None:
    q, _, _ = walk(robot, np.array(robot.home), 600, 0.05)
    rotation = np.array([pin.rpy.rpyToMatrix(*row) for row in q[:, 12:]])
    feet = np.einsum("nij,nkj->nki", rotation, legs.foot_positions(q[:, :12]))
    height = feet[:, :, 2] - feet[:, :, 2].min(axis=1, keepdims=True)
    lifted = height > 1e-6
    assert lifted.any(axis=0).all()  # every foot makes steps
    assert lifted.sum(axis=1).max() == 1  # one at a time
    # standing feet have the same velocity in the trunk's frame: the trunk's own
    velocity = np.diff(feet, axis=0)
    for k in range(0, 599, 7):
        standing = ~lifted[k] & ~lifted[k + 1]
        assert np.ptp(velocity[k][standing], axis=0).max() < 1e-9


def test_equal_starts_give_equal_bits_whatever_happened_in_between(robot: Robot) -> None:
    commands = steps(robot)
    fall = np.zeros((60, 12))
    with Legged(robot, hidden_physics(robot, 1), FaultCourse(), seed=1) as plant:
        first = digest(plant, commands)
        assert digest(plant, fall) != first
        assert digest(plant, commands) == first
        plant.restart(FaultCourse.constant(Effect(payload_kg=4.0, ground_loss=0.5)), seed=2)
        held(plant, 0.3)
        assert digest(plant, commands) == first
    with Legged(robot, hidden_physics(robot, 1), FaultCourse(), seed=1) as plant:
        assert digest(plant, commands) == first


def test_another_process_gives_the_same_bits(robot: Robot) -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests/sim'); import test_legged as t; r = t.load_robot(t.FILE)\n"
        "with t.Legged(r, t.hidden_physics(r, 1), t.FaultCourse(), seed=1) as p: print(t.digest(p, t.steps(r)))"
    )
    root = Path(__file__).parents[2]
    said = {
        subprocess.run([sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    with Legged(robot, hidden_physics(robot, 1), FaultCourse(), seed=1) as plant:
        said.add(digest(plant, steps(robot)) + "\n")
    assert len(said) == 1


def driven(plant: Legged, task: Task, effect: Effect = NO_EFFECT) -> tuple[Trace, Array]:
    """What the nominal law makes of `task` on a robot with `effect`, and how far the trunk went (3,) [m]."""
    runtime = make_runtime(plant.robot, find_law(plant.robot, plant.robot.controller))
    plant.restart(FaultCourse.constant(effect), seed=3)
    plant.reset(task.q[0])
    begin = plant.trunk_position()
    trace = run(plant, runtime, task.references())
    assert trace.clipped_share == 0.0 or trace.diverged
    return trace, plant.trunk_position() - begin


def still(robot: Robot, seconds: float) -> Task:
    """Home, and nothing else."""
    q = np.tile(robot.home, (round(seconds * robot.control_rate_hz), 1))
    return Task(kind="stand", q=q, qd=np.zeros_like(q), qdd=np.zeros_like(q))


@pytest.fixture(scope="module")
def hidden(robot: Robot) -> Iterator[Legged]:
    """A robot off the production line, which the law does not know."""
    with Legged(robot, hidden_physics(robot, 3), FaultCourse(), seed=1) as plant:
        yield plant


def test_it_stands_for_three_seconds(hidden: Legged, robot: Robot) -> None:
    trace, went = driven(hidden, still(robot, 3.0))
    assert not trace.diverged
    assert trace.safety_share == 0.0
    assert np.abs(trace.error[:, list(robot.tracked)]).max() < 0.01
    np.testing.assert_allclose(went, 0.0, atol=0.005)


@pytest.mark.parametrize("speed_m_s", [0.03, 0.05, -0.04])
def test_it_walks_at_the_speed_that_was_asked_for(hidden: Legged, robot: Robot, speed_m_s: float) -> None:
    q, qd, qdd = walk(robot, np.array(robot.home), 800, speed_m_s)
    trace, went = driven(hidden, Task(kind="walk", q=q, qd=qd, qdd=qdd))
    assert not trace.diverged
    # 8 s are half a cycle of sway, two cycles that start and stop in a quarter each, and again half a cycle of sway
    assert went[0] == pytest.approx((2.0 - 0.25) * 8.0 / 3.0 * speed_m_s, rel=0.15)
    assert abs(went[1]) < 0.02
    assert np.abs(trace.error[:, 12:14]).max() < 0.03


def test_a_law_that_knows_of_a_load_carries_it_as_if_it_were_not_there(hidden: Legged, robot: Robot) -> None:
    task = draw_task(robot, "squat", np.array(robot.home), 3.0, np.random.default_rng(2))
    healthy, _ = driven(hidden, task)
    loaded, _ = driven(hidden, task, Effect(payload_kg=2.0))
    assert not loaded.diverged
    assert loaded.safety_share == 0.0
    incumbent = find_law(robot, robot.controller)
    params = incumbent.files["params.toml"].replace(b"mass = 0.0", b"mass = 2.0")
    patched = replace(incumbent, files={**incumbent.files, "params.toml": params})
    hidden.restart(FaultCourse.constant(Effect(payload_kg=2.0)), seed=3)
    hidden.reset(task.q[0])
    knows = run(hidden, make_runtime(robot, patched), task.references())
    errors = [trace.metrics()["rms_tracking_error"] for trace in (healthy, loaded, knows)]
    assert errors[1] > 1.5 * errors[0]
    assert errors[2] < errors[0] + 0.3 * (errors[1] - errors[0])


def test_a_dead_knee_brings_it_down(hidden: Legged, robot: Robot) -> None:
    task = draw_task(robot, "stand", np.array(robot.home), 3.0, np.random.default_rng(2))
    dead = tuple(1.0 if k == KNEE else 0.0 for k in range(12))
    trace, _ = driven(hidden, task, Effect(gain_loss=dead))
    worst = np.abs(trace.error[:, list(robot.tracked)]).max()
    assert trace.diverged or worst > 0.3


def test_the_safety_law_holds_a_walking_robot_where_it_is(hidden: Legged, robot: Robot) -> None:
    q, _, _ = walk(robot, np.array(robot.home), 600, 0.05)
    safety = Slot(robot, find_law(robot, robot.safety_controller))
    for tick in (180, 230, 320):  # in sway, with a foot in the air, between two steps
        hidden.restart(FaultCourse(), seed=1)
        hidden.reset(q[tick])
        hold = Reference(q_ref=q[tick].tolist(), qd_ref=[0.0] * robot.dof, qdd_ref=[0.0] * robot.dof)
        for _ in range(300):
            hidden.apply(safety.compute(hidden.measure(), hold))
        found, speed = hidden.true_state()
        assert np.abs(found - q[tick])[:14].max() < 0.1
        assert np.abs(speed).max() < 0.05
