"""The twin names the fault of a robot it has not seen inside of, measures it, and repeats the incident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from controllers.artefact import Artefact
from core.block import Block
from core.robot import Robot
from sim.effect import NO_EFFECT
from sim.faults.catalogue import faults_of
from sim.kinds import hidden_physics, nominal_physics
from sim.physics import physical_inertials
from sim.twin.fidelity import fidelity
from sim.twin.twin import Twin, fit_twin
from telemetry.calibration import Calibration, calibrate

Recorder = Callable[..., Block]
HEAD_S, AFTER_S = 40.0, 5.0
IMPOSSIBLE = {"stuck", "freeze"}  # contradicted by joints that move and readings that change


@dataclass(frozen=True)
class Case:
    """A fault, and how well the twin has to measure it."""

    spec: str
    cause: str
    expected: dict[str, float]
    tolerance: dict[str, float]


CASES = (
    Case("payload:mass=4", "payload", {"mass": 4.0}, {"mass": 0.12}),
    Case(
        "friction:joint=2,scale=10",
        "friction",
        {"joint": 2.0, "scale": 10.0, "viscous": 4.5},
        {"joint": 0.0, "scale": 1.0, "viscous": 0.3},
    ),
    Case("friction:scale=8", "friction", {"scale": 8.0}, {"scale": 0.8}),
    Case("actuator_loss:joint=2,gain=0.7", "actuator_loss", {"joint": 2.0, "gain": 0.7}, {"joint": 0.0, "gain": 0.03}),
    Case("sensor_bias:joint=4,rad=0.05", "sensor_bias", {"joint": 4.0, "rad": 0.05}, {"joint": 0.0, "rad": 0.006}),
    Case("delay:ms=6", "delay", {"ms": 6.0}, {"ms": 2.0}),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.spec)
each_robot = pytest.mark.parametrize("seed", [1, 2])


class Shop:
    """Twins of two hidden robots, each fitted once."""

    def __init__(self, robot: Robot, record: Recorder) -> None:
        self.robot, self._record = robot, record
        self._calibrations: dict[int, Calibration] = {}
        self._twins: dict[tuple[int, str], Twin] = {}

    def head(self, seed: int) -> Block:
        return self._record(seed, HEAD_S)

    def calibration(self, seed: int) -> Calibration:
        if seed not in self._calibrations:
            self._calibrations[seed] = calibrate(self.robot, self.head(seed))
        return self._calibrations[seed]

    def after(self, seed: int, spec: str) -> Block:
        return self._record(seed, AFTER_S, spec, 100 + seed)

    def twin(self, seed: int, spec: str) -> Twin:
        key = (seed, spec)
        if key not in self._twins:
            self._twins[key] = fit_twin(self.robot, self.head(seed), self.after(*key), self.calibration(seed))
        return self._twins[key]


@pytest.fixture(scope="module")
def shop(iiwa: Robot, record_arm: Recorder) -> Shop:
    return Shop(iiwa, record_arm)


def healthy_of(twin: Twin) -> Twin:
    """The same twin, told that nothing is wrong."""
    return replace(twin, causes=tuple(sorted(twin.causes, key=lambda cause: cause.cause != "none")))


@each_robot
@each_case
def test_the_fault_is_named_and_measured(shop: Shop, case: Case, seed: int) -> None:
    twin = shop.twin(seed, case.spec)
    top = twin.causes[0]
    assert top.cause == case.cause
    assert top.probability > 0.9
    found = top.describe(top.theta)
    for name, value in case.expected.items():
        assert abs(found[name] - value) <= case.tolerance[name], (name, found[name])


@each_robot
def test_friction_of_all_joints_is_measured_joint_by_joint(shop: Shop, seed: int) -> None:
    top = shop.twin(seed, "friction:scale=8").causes[0]
    found = top.describe(top.theta)
    np.testing.assert_allclose([found[f"viscous_{j + 1}"] for j in range(7)], 3.5, atol=0.3)


@each_case
def test_the_twin_repeats_the_incident(shop: Shop, computed_torque: Artefact, case: Case) -> None:
    assert fidelity(shop.twin(1, case.spec), computed_torque, shop.after(1, case.spec)) > 0.8


@pytest.mark.parametrize("spec", ["payload:mass=4", "friction:scale=8", "actuator_loss:joint=2,gain=0.7"])
def test_a_twin_without_the_fault_does_not_repeat_the_incident(
    shop: Shop, computed_torque: Artefact, spec: str
) -> None:
    twin, after = shop.twin(1, spec), shop.after(1, spec)
    healthy = healthy_of(twin)
    assert healthy.effect == NO_EFFECT
    assert fidelity(healthy, computed_torque, after) < fidelity(twin, computed_torque, after) - 0.3


def test_a_twin_of_another_fault_does_not_repeat_the_incident(shop: Shop, computed_torque: Artefact) -> None:
    wrong = shop.twin(1, "payload:mass=4")
    assert fidelity(wrong, computed_torque, shop.after(1, "actuator_loss:joint=2,gain=0.7")) < 0.5


@each_robot
@each_case
def test_causes_are_ranked_and_leave_room_for_what_the_catalogue_lacks(shop: Shop, case: Case, seed: int) -> None:
    causes = shop.twin(seed, case.spec).causes
    probabilities = [cause.probability for cause in causes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(0.99)
    assert {cause.cause for cause in causes if len(cause.faults) < 2} == {"none", *faults_of(shop.robot)} - IMPOSSIBLE
    assert len({cause.label for cause in causes}) == len(causes)


@pytest.mark.parametrize("spec", ["payload:mass=4", "actuator_loss:joint=2,gain=0.7", "delay:ms=6"])
def test_an_interval_holds_its_estimate_and_is_narrow(shop: Shop, spec: str) -> None:
    top = shop.twin(1, spec).causes[0]
    found = top.describe(top.theta)
    intervals = top.interval()
    assert "joint" not in intervals
    for name, (low, high) in intervals.items():
        assert low < found[name] < high
        assert high - low < (0.1 if name != "ms" else 0.4) * abs(found[name])  # a tick is a third of this delay


def test_samples_are_robots_that_could_be_this_one(shop: Shop) -> None:
    twin = shop.twin(1, "payload:mass=4")
    draws = [twin.sample(np.random.default_rng(k)) for k in range(12)]
    again = [twin.sample(np.random.default_rng(k)) for k in range(12)]
    assert [physics.inertials.tobytes() for physics, _ in draws] == [p.inertials.tobytes() for p, _ in again]
    assert [effect for _, effect in draws] == [effect for _, effect in again]
    masses = [effect.payload_kg for _, effect in draws]
    spread = float(np.sqrt(twin.causes[0].covariance[0, 0]))
    assert len(set(masses)) == 12
    assert np.abs(np.array(masses) - twin.effect.payload_kg).max() < 5 * spread
    for physics, _ in draws:
        assert np.all(physics.viscous >= 0)
        assert np.all(physics.coulomb >= 0)
        np.testing.assert_allclose(physical_inertials(physics.inertials), physics.inertials, atol=1e-9)


def test_the_twin_is_calibrated_on_the_head_when_nobody_did_it(shop: Shop) -> None:
    key = (1, "payload:mass=4")
    head = shop.head(1)
    alone = fit_twin(shop.robot, head, shop.after(*key))
    assert [cause.label for cause in alone.causes] == [cause.label for cause in shop.twin(*key).causes]
    assert alone.effect == shop.twin(*key).effect


def test_the_twin_is_not_the_robot(shop: Shop) -> None:
    """Nothing hidden reaches the twin: its constants are estimates that are near and not equal."""
    twin, hidden = shop.twin(1, "payload:mass=4").physics(), hidden_physics(shop.robot, 1)
    assert twin.substeps != hidden.substeps
    assert not np.any(twin.viscous == hidden.viscous)
    assert not np.any(twin.coulomb == hidden.coulomb)
    assert np.array_equal(twin.coulomb, twin.stiction)


def test_parameters_that_no_body_can_have_become_the_nearest_that_one_can(iiwa: Robot) -> None:
    good = nominal_physics(iiwa).inertials
    np.testing.assert_allclose(physical_inertials(good), good, atol=1e-6)
    bad = good.copy()
    bad[0] = -3.0
    bad[14:20] = -0.01
    fixed = physical_inertials(bad)
    assert fixed[0] == pytest.approx(1e-3)
    np.testing.assert_allclose(physical_inertials(fixed), fixed, atol=1e-9)
    np.testing.assert_allclose(fixed[20:], good[20:], atol=1e-6)


def test_a_slip_that_gravity_does_not_show_is_named_by_its_onset(shop: Shop) -> None:
    """Joint 7 turns about its own load: no torque depends on where it is, only the jump at the onset tells."""
    spec, seed = "sensor_bias:joint=7,rad=0.05", 1
    after = shop.after(seed, spec)
    before = shop.head(seed).data[-500:].copy()
    around = Block(data=np.concatenate([before, after.data[:100]]), actuators=7)
    n = shop.robot.dof
    # one stretch of time: the second recording goes on where the first one stopped, but for the slip
    moved = around.data[500, 2 : 2 + n] - around.data[499, 2 : 2 + n]
    moved[6] -= 0.05
    around.data[500:, 2 : 2 + n] -= moved
    blind = fit_twin(shop.robot, shop.head(seed), after, shop.calibration(seed))
    seeing = fit_twin(shop.robot, shop.head(seed), after, shop.calibration(seed), around)
    assert seeing.causes[0].label == "sensor bias joint 7"
    assert seeing.causes[0].describe(seeing.causes[0].theta)["rad"] == pytest.approx(0.05, abs=0.003)
    assert blind.causes[0].label != "sensor bias joint 7" or blind.causes[0].covariance[0, 0] > 0.01**2


def test_where_nothing_but_noise_is_left_there_is_nothing_to_repeat(shop: Shop, computed_torque: Artefact) -> None:
    spec = "payload:mass=4"
    after = shop.after(1, spec)
    exact = Block(data=after.data.copy(), actuators=after.actuators)
    exact.group("q_ref")[:] = exact.group("q")
    assert fidelity(shop.twin(1, spec), computed_torque, exact) == 0.0
