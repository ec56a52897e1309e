"""The twin of a quadruped: the balance on its trunk holds, and faults of legs, load and sensors are told apart."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import sim
from controllers.library import find_law
from core.block import Block, flat_row
from core.errors import BadInput
from core.legs import Legs
from core.robot_toml import load_robot
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.physics import Physics
from sim.rollout import make_runtime
from sim.tasks.catalogue import endless_tasks
from sim.twin.balance import LegCalibration, calibrate_legs, leg_rates, legs_physics
from sim.twin.parts import Stretch
from sim.twin.stance import StanceRows
from sim.twin.traction import Traction
from sim.twin.tread import Tread
from sim.twin.twin import fit_twin
from telemetry.drive import learn_drive

ROBOT = load_robot(Path(str(sim.__file__)).parent / "robots" / "quadruped" / "robot.toml")
ONSET_S = 3.0


def record(physics: Physics, seconds: float, spec: str = "none", day: int = 1) -> Block:
    """Telemetry of a working day under the nominal law."""
    rows = []
    runtime = make_runtime(ROBOT, find_law(ROBOT, ROBOT.controller))
    course = FaultCourse(faults=parse_faults(spec, ROBOT), onset_s=ONSET_S)
    with open_plant(ROBOT, physics, course, seed=day) as plant:
        for reference in islice(endless_tasks(ROBOT, day, segment_s=4.0), round(seconds * ROBOT.control_rate_hz)):
            frame = plant.measure()
            rows.append(flat_row(frame, reference))
            plant.apply(runtime.tick(frame, reference, frame.stamp_ns).tau)
    return Block(data=np.array(rows), actuators=len(ROBOT.actuators))


@pytest.fixture(scope="module")
def physics() -> Physics:
    return hidden_physics(ROBOT, 1)


@pytest.fixture(scope="module")
def head(physics: Physics) -> Block:
    return record(physics, 30.0)


@pytest.fixture(scope="module")
def calibration(head: Block) -> LegCalibration:
    return calibrate_legs(ROBOT, head)


def rows_of(head: Block, after: Block, calibration: LegCalibration) -> StanceRows:
    drive = learn_drive(ROBOT, leg_rates(head))
    return StanceRows(Stretch(robot=ROBOT, head=head, after=after, around=None, drive=drive), calibration)


def test_a_healthy_robot_is_in_balance(head: Block, physics: Physics, calibration: LegCalibration) -> None:
    rows = rows_of(head, record(physics, 4.0, day=7), calibration)
    assert np.all(calibration.noise[:3] < 2.5)  # N, of a robot that weighs 122 N
    assert np.all(calibration.noise[3:] < 0.4)  # N*m
    assert np.all(np.sqrt(np.mean(np.square(rows.residual), axis=0)) < 2.0 * calibration.noise)


@pytest.mark.parametrize(
    ("spec", "effect", "signal"),
    [
        ("payload:mass=3", Effect(payload_kg=3.0), 2),
        ("com:mass=3,x=0.06,y=-0.04", Effect(payload_kg=3.0, moment_kgm=(0.18, -0.12, 0.0)), 4),
        ("actuator_loss:joint=RL_calf,gain=0.6", Effect(gain_loss=(0.0,) * 8 + (0.4,) + (0.0,) * 3), 2),
        ("friction:joint=FR_calf,scale=20", Effect(viscous=(0.0,) * 5 + (1.9,) + (0.0,) * 9), 2),
    ],
)
def test_a_fault_shifts_the_balance_as_it_is_said_to(
    head: Block, physics: Physics, calibration: LegCalibration, spec: str, effect: Effect, signal: int
) -> None:
    after = record(physics, ONSET_S + 4.0, spec, day=7).between(ONSET_S + 0.3, ONSET_S + 4.0)
    rows = rows_of(head, after, calibration)
    shift = rows.shift(effect)
    before, left = (np.sqrt(np.mean(np.square(x[:, signal]))) for x in (rows.residual, rows.residual - shift))
    assert left < 0.5 * before
    assert left < 3.0 * calibration.noise[signal]


def test_what_resting_joints_hold_is_no_noise_that_lasts(
    head: Block, physics: Physics, calibration: LegCalibration
) -> None:
    """Without it the balance errs for seconds on end, and a healthy robot that stands looks like a faulty one."""
    assert np.all(calibration.inflation < 3.0)  # the filter alone makes 2.3
    dry = physics.coulomb[: len(calibration.held_nm)]
    assert np.median(calibration.held_nm / dry) == pytest.approx(1.0, abs=0.4)


def test_a_healthy_robot_has_no_fault(head: Block, physics: Physics, calibration: LegCalibration) -> None:
    day = record(physics, 9.0, day=9)
    for start_s in (1.0, 3.5, 6.0):
        around, after = day.between(start_s - 1.0, start_s), day.between(start_s, start_s + 2.0)
        top = fit_twin(ROBOT, head, after, calibration, around).causes[0]
        assert top.cause == "none"
        assert top.probability > 0.5


def test_corrections_become_the_robot_that_taught_them(physics: Physics, calibration: LegCalibration) -> None:
    twin = legs_physics(ROBOT, calibration.correction)
    mass, learnt = (each.inertials.reshape(-1, 10)[:, 0].sum() for each in (physics, twin))
    assert learnt == pytest.approx(mass, rel=0.02)
    assert twin.substeps == nominal_physics(ROBOT).substeps
    assert np.all(twin.viscous >= 0.0)
    assert not np.any(twin.coulomb[12:])


def test_a_head_too_short_to_learn_from_is_refused(head: Block) -> None:
    with pytest.raises(BadInput, match=r"5\.0 s of healthy motion are too few"):
        calibrate_legs(ROBOT, head[:500])


@pytest.mark.parametrize(
    ("spec", "estimate"),
    [
        ("payload", ("mass", 5.0, 0.3)),
        ("actuator_loss:joint=FL_calf", ("gain", 0.6, 0.05)),
        ("sensor_bias:joint=RR_thigh", ("rad", 0.05, 0.01)),
        ("stuck:joint=RL_calf", None),
        ("stuck:joint=FR_calf", None),
        ("stuck:joint=FL_thigh", None),
        ("coulomb:joint=RL_thigh", ("share", 0.05, 0.005)),
        ("freeze:joint=FL_calf", None),
        ("coulomb:joint=FR_hip", ("share", 0.05, 0.01)),
        ("stiction:joint=FR_hip", ("share", 0.05, 0.03)),
    ],
)
def test_the_first_cause_is_the_fault_that_was_there(
    head: Block, physics: Physics, calibration: LegCalibration, spec: str, estimate: tuple[str, float, float] | None
) -> None:
    telemetry = record(physics, ONSET_S + 3.1, spec, day=9)
    after, around = telemetry.between(ONSET_S + 0.05, ONSET_S + 3.05), telemetry.between(1.0, ONSET_S + 0.05)
    top = fit_twin(ROBOT, head, after, calibration, around).causes[0]
    assert top.cause == spec.partition(":")[0]
    found = top.describe(top.theta)
    if ":" in spec:
        assert ROBOT.joints[round(found["joint"]) - 1] == spec.partition("=")[2]
    if estimate is not None:
        name, value, tolerance = estimate
        assert found[name] == pytest.approx(value, abs=tolerance)


def test_feet_that_push_sideways_rule_out_slippery_ground(head: Block, physics: Physics) -> None:
    """A stand far from home uses more than half of what healthy ground holds."""
    stretch = Stretch(robot=ROBOT, head=head, after=head[-400:], around=None, drive=learn_drive(ROBOT, leg_rates(head)))
    grip = Traction(stretch)
    gains = [grip.gain(Effect(ground_loss=loss)) for loss in (0.0, 0.2, 0.9, 0.95)]
    assert gains[0] == 0.0
    assert gains[0] >= gains[1] > gains[2] > gains[3]
    assert gains[3] < -50.0


def test_a_fault_beside_a_stuck_joint_is_found(head: Block, physics: Physics, calibration: LegCalibration) -> None:
    telemetry = record(physics, ONSET_S + 3.1, "stuck:joint=FR_calf+spring:joint=RL_thigh", day=9)
    after, around = telemetry.between(ONSET_S + 0.05, ONSET_S + 3.05), telemetry.between(1.0, ONSET_S + 0.05)
    assert fit_twin(ROBOT, head, after, calibration, around).causes[0].cause == "spring+stuck"


def test_feet_that_slide_are_seen_in_the_angles_of_the_legs(head: Block) -> None:
    """Three feet stand and one is pulled away by turning its hip at rest, which no foot on firm ground does."""
    legs = Legs(ROBOT)
    still = Block(data=np.repeat(head.data[-1:], 100, axis=0), actuators=head.actuators)
    still.data[:, 1] = np.arange(100) * round(1e9 * ROBOT.dt_s)
    rest = Tread(legs, still)
    assert np.abs(rest.slides()[0]).max() < 1e-9
    pulled = Block(data=still.data.copy(), actuators=still.actuators)
    pulled.group("q")[50:, 0] += np.linspace(0.0, 0.05, 50)
    by_angle, _ = Tread(legs, pulled).slides()
    ways = np.abs(by_angle).max(axis=0)
    assert np.sum(ways > 1e-5) == 3  # the pairs that the first foot is in
    assert np.abs(by_angle[: len(by_angle) // 3]).max() < 1e-5  # not before


def test_faults_that_leave_no_trace_are_called_unobservable(
    head: Block, physics: Physics, calibration: LegCalibration
) -> None:
    telemetry = record(physics, ONSET_S + 2.2, "none", day=9)
    twin = fit_twin(ROBOT, head, telemetry.between(ONSET_S + 0.2, ONSET_S + 2.2), calibration)
    words = " ".join(twin.unobservable)
    for sentence in ("Torque limit of joint", "Ground friction cannot be judged: feet or wheels hardly use"):
        assert sentence in words
    assert "Backlash of joint" in words
