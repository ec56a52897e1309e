"""The fault notation and what its words do to a robot."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.artefact import Artefact
from core.errors import BadInput
from core.rigid_body import RigidBodyModel, load_held_at_home
from core.robot import Robot
from sim.catalogue import find_robot, shipped_robots
from sim.effect import NO_EFFECT, Effect, combine, touched
from sim.faults.catalogue import CATALOGUE, faults_of
from sim.faults.course import Fault, FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import nominal_physics
from sim.rollout import rollout
from sim.scenario import Scenario
from sim.tasks.demand import load_through_tasks


def as_vector(effect: Effect) -> np.ndarray:  # type: ignore[type-arg]
    scalars = [np.atleast_1d(v) for f in fields(Effect) if isinstance(v := getattr(effect, f.name), float)]
    vectors = [effect.vector(f.name, 7) for f in fields(Effect) if isinstance(getattr(effect, f.name), tuple)]
    return np.concatenate([*scalars, *vectors])


def only(fault: tuple[Fault, ...]) -> Fault:
    assert len(fault) == 1
    return fault[0]


@pytest.mark.parametrize("spec", ["none", " none "])
def test_none_is_a_healthy_robot(iiwa: Robot, spec: str) -> None:
    assert parse_faults(spec, iiwa) == ()
    assert FaultCourse(faults=parse_faults(spec, iiwa)).at(5.0) == NO_EFFECT


@pytest.mark.parametrize(
    ("spec", "field", "value"),
    [
        ("payload:mass=5", "payload_kg", 5.0),
        ("payload", "payload_kg", 5.0),
        ("friction:joint=2,scale=10", "viscous", (0.0, 4.5, 0.0, 0.0, 0.0, 0.0, 0.0)),
        ("friction:scale=3", "viscous", (1.0,) * 7),
        ("actuator_loss:joint=3,gain=0.75", "gain_loss", (0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0)),
        ("actuator_loss:joint=joint_3,gain=0.75", "gain_loss", (0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0)),
        ("sensor_bias:joint=7,rad=-0.125", "offset", (0.0,) * 6 + (-0.125,)),
        ("delay:ms=8", "delay_s", 0.008),
    ],
)
def test_each_word_changes_one_thing(iiwa: Robot, spec: str, field: str, value: object) -> None:
    fault = only(parse_faults(spec, iiwa))
    assert fault.spec == spec
    assert fault.kind == spec.partition(":")[0]
    assert getattr(fault.effect, field) == value
    healthy = NO_EFFECT
    assert all(getattr(fault.effect, f.name) == getattr(healthy, f.name) for f in fields(Effect) if f.name != field)
    assert (fault.onset_s, fault.ramp_s, fault.severity) == (None, 0.0, 1.0)


def test_course_words_are_read(iiwa: Robot) -> None:
    fault = only(parse_faults("payload:severity=0.5,mass=2,onset=4,ramp=1.5", iiwa))
    assert (fault.onset_s, fault.ramp_s, fault.severity) == (4.0, 1.5, 0.5)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("gremlins", "'gremlins' is not in the catalogue; use one of payload, com, friction"),
        ("payload:mass=5+gremlins:x=1", "'gremlins' is not in the catalogue"),
        ("payload:mass=5+", "fault 'payload:mass=5+': a fault is missing beside +; name one of payload, com"),
        ("", "the fault is empty; name one of payload, com"),
        ("  ", "or none for a healthy robot"),
        ("payload:mass=0", "that is a healthy robot; give a value that changes something"),
        ("actuator_loss:joint=2,gain=1", "that is a healthy robot"),
        ("torque_limit:rotor=", "torque_limit sits in a joint, not in a rotor; write joint=1"),
        ("payload+none", "'none' is not in the catalogue"),
        (
            "payload:weight=5",
            "write KEY=VALUE with mass, onset, ramp, lasts, period, severity, duty",
        ),
        ("payload:mass", "'mass' is not understood; write KEY=VALUE"),
        ("payload:joint=1", "'joint=1' is not understood"),
        ("delay:joint=1", "'joint=1' is not understood"),
        ("payload:mass=4,mass=5", "mass is given twice; keep one"),
        ("payload:mass=heavy", "mass=heavy must be a number between 0 and 10"),
        ("payload:mass=", "mass= must be a number between 0 and 10"),
        ("payload:mass=nan", "mass=nan must be a number between 0 and 10"),
        ("payload:mass=10.1", "mass=10.1 must be a number between 0 and 10"),
        ("payload:mass=-1", "mass=-1 must be a number between 0 and 10"),
        ("friction:scale=0.5", "scale=0.5 must be a number between 1 and 20"),
        ("actuator_loss:gain=0", "gain=0 must be a number between 0.3 and 1"),
        ("sensor_bias:rad=1", "rad=1 must be a number between -0.2 and 0.2"),
        ("delay:ms=inf", "ms=inf must be a number between 0 and 20"),
        ("payload:severity=1.5", "severity=1.5 must be a number between 0 and 1"),
        ("payload:onset=-1", "onset=-1 must be a number between 0 and 86400"),
        ("payload:ramp=-1", "ramp=-1 must be a number between 0 and 86400"),
        ("friction:joint=0", "iiwa has no joint '0'; give 1 to 7 or one of joint_1"),
        ("friction:joint=8", "iiwa has no joint '8'"),
        ("friction:joint=elbow", "iiwa has no joint 'elbow'"),
        ("friction:joint=²", "iiwa has no joint '²'"),
        ("friction:joint=", "iiwa has no joint ''"),
        ("friction:joint=-1", "iiwa has no joint '-1'"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_sentence(iiwa: Robot, spec: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_faults(spec, iiwa)
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert not message.endswith(".")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(iiwa: Robot, spec: str) -> None:
    try:
        faults = parse_faults(spec, iiwa)
    except BadInput:
        return
    assert all(fault.kind in CATALOGUE for fault in faults)


@given(st.from_regex(r"(payload|friction|delay|sensor_bias):(joint|mass|scale|onset)=[0-9.e+²\-]{0,6}", fullmatch=True))
def test_text_that_looks_like_a_fault_is_read_or_refused(iiwa: Robot, spec: str) -> None:
    try:
        faults = parse_faults(spec, iiwa)
    except BadInput:
        return
    assert np.all(np.isfinite(as_vector(combine([(1.0, fault.effect) for fault in faults]))))


specs = st.lists(
    st.sampled_from(
        [
            "payload:mass=3",
            "friction:scale=4",
            "actuator_loss:joint=2",
            "sensor_bias:joint=5",
            "delay:ms=4",
            "friction:joint=1",
        ]
    ),
    min_size=1,
    max_size=4,
)


@given(specs=specs, severity=st.floats(0.0, 1.0))
def test_effects_add_up_and_are_linear_in_severity(iiwa: Robot, specs: list[str], severity: float) -> None:
    singles = [as_vector(only(parse_faults(spec, iiwa)).effect) for spec in specs]
    together = FaultCourse(faults=parse_faults("+".join(specs), iiwa)).at(0.0)
    np.testing.assert_allclose(as_vector(together), np.sum(singles, axis=0), atol=1e-15)
    kinds = [f"{spec},severity={severity!r}" for spec in specs]
    scaled = FaultCourse(faults=parse_faults("+".join(kinds), iiwa)).at(0.0)
    np.testing.assert_allclose(as_vector(scaled), severity * np.sum(singles, axis=0), atol=1e-12)


@given(onset=st.floats(0.0, 10.0), ramp=st.floats(0.0, 10.0), severity=st.floats(0.0, 1.0), t=st.floats(0.0, 30.0))
def test_a_fault_grows_linearly_from_its_onset(onset: float, ramp: float, severity: float, t: float) -> None:
    effect = Effect(payload_kg=2.0)
    fault = Fault(spec="x", kind="payload", effect=effect, onset_s=onset, ramp_s=ramp, severity=severity)
    at = fault.severity_at(t - onset)
    assert 0.0 <= at <= severity
    if t < onset:
        assert at == 0.0
    elif t >= onset + ramp and t - onset >= ramp:
        assert at == severity
    else:
        assert math.isclose(at, severity * (t - onset) / ramp, abs_tol=1e-12)
    assert FaultCourse(faults=(fault,)).at(t).payload_kg == pytest.approx(2.0 * at)


def test_the_run_decides_the_onset_of_a_fault_that_names_none(iiwa: Robot) -> None:
    faults = parse_faults("payload:mass=4,ramp=2+sensor_bias:joint=1,rad=0.1,onset=1", iiwa)
    course = FaultCourse(faults=faults, onset_s=3.0)
    assert course.settled_after_s == 5.0
    assert [course.at(t).payload_kg for t in (0.0, 2.9, 3.0, 4.0, 5.0, 99.0)] == [0.0, 0.0, 0.0, 2.0, 4.0, 4.0]
    assert [course.at(t).vector("offset", 7)[0] for t in (0.9, 1.0, 99.0, 0.5)] == [0.0, 0.1, 0.1, 0.0]
    assert FaultCourse().settled_after_s == 0.0


def test_an_effect_that_does_not_change_stays_the_same_object(iiwa: Robot) -> None:
    course = FaultCourse(faults=parse_faults("payload:mass=4,onset=1,ramp=1", iiwa))
    assert course.at(0.0) is course.at(0.5)
    assert course.at(2.0) is course.at(9.0)
    assert course.at(1.25) is not course.at(1.5)
    assert course.at(1.5).payload_kg == 2.0


def test_a_constant_effect_is_in_force_for_ever() -> None:
    effect = Effect(delay_s=0.004)
    course = FaultCourse.constant(effect)
    assert course.at(0.0) == course.at(1e6) == effect


def test_every_kind_can_be_used_without_any_parameter(iiwa: Robot) -> None:
    for name, kind in faults_of(iiwa).items():
        effect = only(parse_faults(name, iiwa)).effect
        assert effect != NO_EFFECT
        assert kind.name == name
        for p in kind.parameters:
            assert p.low <= p.default <= p.high


def test_a_fault_that_lasts_is_gone_afterwards(iiwa: Robot) -> None:
    course = FaultCourse(faults=parse_faults("payload:mass=4,onset=1,lasts=2", iiwa))
    assert [course.at(t).payload_kg for t in (0.9, 1.0, 2.9, 3.0, 50.0, 2.0)] == [0.0, 4.0, 4.0, 0.0, 0.0, 4.0]
    assert course.settled_after_s == 3.0
    assert course.grown_after_s == 1.0


def test_a_fault_comes_and_goes_with_its_period(iiwa: Robot) -> None:
    course = FaultCourse(faults=parse_faults("payload:mass=4,onset=1,period=2,duty=0.25", iiwa))
    times = (1.0, 1.4, 1.5, 2.9, 3.0, 3.4, 3.6, 1001.1)
    assert [course.at(t).payload_kg for t in times] == [4.0, 4.0, 0.0, 0.0, 4.0, 4.0, 0.0, 4.0]
    assert math.isinf(course.settled_after_s)


def test_a_duty_without_a_period_is_refused(iiwa: Robot) -> None:
    with pytest.raises(BadInput, match="duty needs a period; add period=SECONDS"):
        parse_faults("payload:duty=0.5", iiwa)


def test_a_fault_that_another_kind_of_robot_has_is_refused_by_name(iiwa: Robot) -> None:
    with pytest.raises(BadInput, match="iiwa cannot have it; use one of payload"):
        parse_faults("wheel_radius:wheel=1", iiwa)


def test_there_are_thirty_ways_to_degrade_and_each_applies_somewhere() -> None:
    assert len(CATALOGUE) >= 30
    assert all(kind.kinds for kind in CATALOGUE.values())


def test_every_fault_changes_what_an_arm_does_or_says(iiwa: Robot, computed_torque: Artefact) -> None:
    """A fault without any effect on a run would be a word in a list."""

    def run_of(effect: Effect) -> bytes:
        asked = Scenario(
            name="x",
            physics=nominal_physics(iiwa),
            effect=effect,
            task_kind="weave",
            task_seed=2,
            noise_seed=2,
            duration_s=0.5,
        )
        trace = rollout(iiwa, computed_torque, asked)
        return trace.q_true.tobytes() + trace.measured_error.tobytes()

    healthy = run_of(NO_EFFECT)
    specs = {name: name for name in faults_of(iiwa)} | {"torque_limit": "torque_limit:share=0.1"}
    for spec in specs.values():
        assert run_of(only(parse_faults(spec, iiwa)).effect) != healthy, spec


def test_a_small_arm_gets_a_load_that_it_can_lift_and_work_with() -> None:
    arm2 = find_robot("arm2")
    held_kg, moved_kg = load_held_at_home(arm2), load_through_tasks(arm2)
    load = only(parse_faults("payload", arm2)).effect.payload_kg
    assert load == pytest.approx(moved_kg, rel=0.02)
    assert load < 0.5 * held_kg
    model = RigidBodyModel(arm2, payload_kg=held_kg)
    torque = np.abs(model.gravity(np.array(arm2.home))) / np.array(arm2.limits.effort)
    assert torque.max() == pytest.approx(1.0)
    strong = replace(arm2, limits=replace(arm2.limits, effort=tuple(9.0 * each for each in arm2.limits.effort)))
    assert only(parse_faults("payload", strong)).effect.payload_kg == 5.0  # what the catalogue says
    assert only(parse_faults("payload:mass=9", arm2)).effect.payload_kg == 9.0  # who asks for more gets it


def test_a_fault_that_changes_nothing_on_this_robot_is_refused_with_what_would() -> None:
    arm2 = find_robot("arm2")
    smooth = replace(arm2, limits=replace(arm2.limits, damping=(0.0, 0.0)))
    for spec in ("friction", "friction:joint=2,scale=20"):
        with pytest.raises(BadInput, match=r"it changes nothing, however large; give .*viscous="):
            parse_faults(spec, smooth)
    assert only(parse_faults("friction:viscous=2", smooth)).effect.viscous == (2.0, 2.0)


def test_every_fault_of_every_shipped_robot_changes_something_by_default() -> None:
    for name in shipped_robots():
        robot = find_robot(name)
        for kind in faults_of(robot).values():
            for place in kind.targets(robot) or (None,):
                spec = kind.name if place is None else f"{kind.name}:{kind.key}={place + 1}"
                assert touched(only(parse_faults(spec, robot)).effect), (name, spec)


def test_units_on_a_robot_with_slides_say_which_joint_they_are_for() -> None:
    cartpole, iiwa = find_robot("cartpole"), find_robot("iiwa")

    def unit(robot: Robot, fault: str, name: str) -> str:
        kind = faults_of(robot)[fault]
        return kind.unit_of(next(p for p in kind.parameters if p.name == name), robot)

    assert unit(cartpole, "sensor_bias", "rad") == "rad; m for cart"
    assert unit(cartpole, "friction", "viscous") == "N*m*s/rad; N*s/m for cart"
    assert unit(cartpole, "backlash", "rad") == "m"  # the only drive slides
    assert unit(cartpole, "payload", "mass") == "kg"
    assert unit(iiwa, "sensor_bias", "rad") == "rad"
