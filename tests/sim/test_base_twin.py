"""The twin of a base with two wheels names faults of hidden robots and measures them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import sim
from controllers.library import find_law
from core.block import Block, flat_row
from core.errors import BadInput
from core.robot import Robot
from core.robot_toml import load_robot
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, nominal_physics, open_plant
from sim.physics import Physics
from sim.rollout import make_runtime
from sim.tasks.catalogue import endless_tasks
from sim.twin.breakaway import Breakaway
from sim.twin.grip import Grip
from sim.twin.parts import Stretch
from sim.twin.travel import WheelCalibration, base_physics, calibrate_base
from sim.twin.twin import Twin, fit_twin
from sim.twin.wheels import GroundRows, WheelTorqueRows, _lag_loss
from sim.wheeled_base import Base
from telemetry.drive import learn_drive

HEAD_S, ONSET_S, WINDOW_S = 40.0, 4.0, 6.0


class Garage:
    """Hidden bases, each learnt once."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self._learnt: dict[int, tuple[Block, WheelCalibration]] = {}

    def record(self, physics: Physics, day: int, seconds: float, course: FaultCourse) -> Block:
        robot, rows = self.robot, []
        runtime = make_runtime(robot, find_law(robot, robot.controller))
        with open_plant(robot, physics, course, seed=day) as plant:
            for reference in islice(endless_tasks(robot, day), round(seconds * robot.control_rate_hz)):
                frame = plant.measure()
                plant.apply(runtime.tick(frame, reference, frame.stamp_ns).tau)
                rows.append(flat_row(frame, reference))
        return Block(data=np.array(rows), actuators=2)

    def learn(self, seed: int) -> tuple[Block, WheelCalibration]:
        if seed not in self._learnt:
            head = self.record(hidden_physics(self.robot, seed), seed, HEAD_S, FaultCourse())
            self._learnt[seed] = head, calibrate_base(self.robot, head)
        return self._learnt[seed]

    def stretch(self, seed: int, spec: str) -> Stretch:
        head, _ = self.learn(seed)
        course = FaultCourse(faults=parse_faults(spec, self.robot), onset_s=ONSET_S)
        block = self.record(hidden_physics(self.robot, seed), 100 + seed, ONSET_S + WINDOW_S, course)
        return Stretch(
            robot=self.robot,
            head=head,
            after=block.between(ONSET_S + 0.2, np.inf),
            around=block.between(ONSET_S - 3.0, ONSET_S + 0.2),
            drive=learn_drive(self.robot, head),
        )

    def twin(self, seed: int, spec: str) -> Twin:
        stretch = self.stretch(seed, spec)
        return fit_twin(self.robot, stretch.head, stretch.after, self.learn(seed)[1], stretch.around)


@pytest.fixture(scope="session")
def garage() -> Garage:
    return Garage(load_robot(Path(str(sim.__file__)).parent / "robots" / "diffdrive" / "robot.toml"))


@pytest.mark.parametrize("seed", [1, 2])
def test_healthy_telemetry_tells_what_the_data_sheet_got_wrong(garage: Garage, seed: int) -> None:
    _, calibration = garage.learn(seed)
    truth = Base.of(garage.robot, hidden_physics(garage.robot, seed))
    found, sheet = calibration.base(garage.robot), Base.of(garage.robot, nominal_physics(garage.robot))
    np.testing.assert_allclose(found.radius, truth.radius, rtol=2e-3)
    np.testing.assert_allclose(found.wheel_y[0] - found.wheel_y[1], truth.wheel_y[0] - truth.wheel_y[1], rtol=3e-3)
    np.testing.assert_allclose(found.coulomb, truth.coulomb, atol=0.015)
    np.testing.assert_allclose(found.viscous, truth.viscous, atol=0.004)
    # Wheel spin and mass act alike when it drives, so it is their sum that shows.
    pushed = [base.mass_kg + np.sum(base.spin / base.radius**2) for base in (found, truth, sheet)]
    assert abs(pushed[0] / pushed[1] - 1.0) < 0.02
    assert abs(pushed[2] / pushed[1] - 1.0) > 0.02
    simulated = Base.of(garage.robot, base_physics(garage.robot, calibration.correction))
    assert simulated.mass_kg == pytest.approx(found.mass_kg)
    assert simulated.moment_kgm == pytest.approx(found.moment_kgm)
    assert simulated.yaw_inertia == pytest.approx(found.yaw_inertia)
    np.testing.assert_allclose(simulated.spin, found.spin)


CASES = {
    "payload:mass=4": ("payload", {"mass": (4.0, 0.15)}),
    "wheel_radius:wheel=left,share=0.04": ("wheel radius wheel 1", {"share": (0.04, 0.003)}),
    "slip:wheel=right,share=0.2": ("slip wheel 2", {"share": (0.2, 0.005)}),
    "friction:joint=left,scale=6": ("friction joint 4", {"viscous": (0.1, 0.006)}),
    "coulomb:joint=right": ("coulomb joint 5", {"share": (0.05, 0.006)}),
    "actuator_loss:joint=right,gain=0.7": ("actuator loss joint 2", {"gain": (0.7, 0.02)}),
    "ground_friction": ("ground friction", {"share": (0.3, 0.06)}),
    "stuck:joint=left": ("stuck joint 4", {}),
    "sensor_noise:joint=x": ("sensor noise joint 1", {}),
    "delay": ("delay", {}),
}


@pytest.mark.parametrize("spec", CASES)
def test_a_fault_is_named_and_measured(garage: Garage, spec: str) -> None:
    label, expected = CASES[spec]
    twin = garage.twin(1, spec)
    first = twin.causes[0]
    assert first.label == label
    assert first.probability > 0.5
    found = first.describe(first.theta)
    for name, (truth, tolerance) in expected.items():
        assert found[name] == pytest.approx(truth, abs=tolerance)


def test_a_gyroscope_with_an_offset_is_named_and_measured(garage: Garage) -> None:
    first = garage.twin(2, "imu_bias:joint=yaw").causes[0]
    assert first.cause == "imu_bias"
    assert first.describe(first.theta)["rate"] == pytest.approx(0.1, abs=0.005)


def test_two_faults_at_once_are_told_apart(garage: Garage) -> None:
    first = garage.twin(2, "payload:mass=4+wheel_radius:wheel=left").causes[0]
    assert sorted(first.label.split(" and ")) == ["payload", "wheel radius wheel 1"]


@pytest.mark.parametrize(
    ("spec", "effect", "rows"),
    [
        ("payload:mass=4", Effect(payload_kg=4.0), WheelTorqueRows),
        ("friction:joint=left", Effect(viscous=(0.0, 0.0, 0.0, 0.18, 0.0)), WheelTorqueRows),
        ("actuator_loss:joint=right", Effect(gain_loss=(0.0, 0.4)), WheelTorqueRows),
        ("coulomb:joint=left", Effect(coulomb=(0.0, 0.0, 0.0, 0.15, 0.0)), WheelTorqueRows),
        ("slip:wheel=left,share=0.3", Effect(slip=(0.3, 0.0)), GroundRows),
        ("imu_bias:joint=yaw", Effect(rate_offset=(0.0, 0.0, 0.1, 0.0, 0.0)), GroundRows),
        ("sensor_bias:joint=yaw", Effect(offset=(0.0, 0.0, 0.05, 0.0, 0.0)), GroundRows),
    ],
)
def test_the_shift_of_a_fault_is_what_it_leaves_in_the_telemetry(
    garage: Garage, spec: str, effect: Effect, rows: type[WheelTorqueRows] | type[GroundRows]
) -> None:
    part = rows(garage.stretch(1, spec), garage.learn(1)[1])

    def level(residual: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(residual / part.noise))))

    assert level(part.residual) > 1.5
    assert level(part.residual - part.shift(effect)) < 1.3
    assert not part.shift(Effect()).any()


@pytest.mark.parametrize("late", [0.0, 0.8])
def test_a_drive_that_lags_gives_its_average_over_a_tick(late: float) -> None:
    asked, lag, fine = np.sin(np.arange(60) / 3.0), 1.5, 1000
    due = np.concatenate([[asked[0]], asked[:-1]])
    effort, ends, averages = asked[0], [], []
    for now, last in zip(asked, due, strict=True):
        steps = []
        for step in range(fine):
            effort += (-np.expm1(-1.0 / (lag * fine))) * ((now if step >= late * fine else last) - effort)
            steps.append(effort)
        ends.append(effort)
        averages.append(np.mean(steps))
    change = np.diff(ends, prepend=asked[0])
    np.testing.assert_allclose(_lag_loss(asked, lag, late), ends - late * change - averages, atol=2e-3)


def test_ground_that_holds_is_not_blamed(garage: Garage) -> None:
    grip = Grip(garage.stretch(2, "slip:wheel=left"), garage.learn(2)[1])
    assert grip.gain(Effect()) == 0.0
    assert all(grip.gain(Effect(ground_loss=loss)) < 0.5 for loss in (0.2, 0.5, 0.8))


def test_too_short_a_head_is_refused(garage: Garage) -> None:
    head, _ = garage.learn(1)
    with pytest.raises(BadInput, match="too few to learn from"):
        calibrate_base(replace(garage.robot), head.between(0.0, 5.0))


def _gains(garage: Garage, seed: int, spec: str) -> list[float]:
    """Log likelihood of stiction of 0.15 N*m at the left and the right wheel."""
    part = Breakaway(garage.stretch(seed, spec), garage.learn(seed)[1])
    return [part.gain(Effect(stiction=tuple(0.15 * np.eye(5)[wheel]))) for wheel in (3, 4)]


def test_a_wheel_that_sticks_is_named_and_measured(garage: Garage) -> None:
    twin = garage.twin(1, "stiction:joint=5,share=0.06")
    assert twin.causes[0].label == "stiction joint 5"
    assert twin.causes[0].describe(twin.causes[0].theta)["share"] == pytest.approx(0.06, abs=0.03)


@pytest.mark.parametrize("spec", ["payload:mass=8", "friction:joint=4", "coulomb:joint=5", "deadband:joint=1"])
def test_a_base_that_is_heavier_or_weaker_does_not_pass_for_one_that_sticks(garage: Garage, spec: str) -> None:
    sticks = _gains(garage, 1, "stiction:joint=4,share=0.05")
    assert sticks[0] > 5.0
    assert max(_gains(garage, 1, spec)) < 0.5 * sticks[0]


@pytest.mark.parametrize("spec", ["freeze:joint=4", "stuck:joint=5", "ground_friction:share=0.3"])
def test_wheels_that_slide_or_are_not_read_say_nothing_of_stiction(garage: Garage, spec: str) -> None:
    assert max(_gains(garage, 1, spec)) < 4.0
