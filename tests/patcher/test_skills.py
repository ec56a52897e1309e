"""Known remedies: the right parameter, by the twin's amount, inside its bounds; nothing where none is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim
from controllers.artefact import Artefact, artefact_from_files, with_params
from controllers.controller import Controller
from controllers.library import find_law
from core.robot_toml import load_robot
from patcher.propose.base import Proposal, Situation, params_proposal
from patcher.propose.skills import Skills
from patcher.remedies import REMEDIES
from sim.effect import Effect
from sim.faults.catalogue import CATALOGUE
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, JOINT_PD, FakeWorkers, N

ROBOTS = Path(str(sim.__file__)).parent / "robots"


def propose(situation: Situation) -> list[Proposal]:
    """What skills propose, having spent no rollout."""
    workers: Any = FakeWorkers(made_up.load_cancelled)
    found = Skills().propose(situation, workers)
    assert workers.rollouts == 0
    return found


def on(joint: int, value: float, other: float = 0.0) -> list[float]:
    return [value if i == joint else other for i in range(N)]


@pytest.mark.parametrize(
    ("cause", "value", "parameter", "expected"),
    [
        ("payload", 4.9, "mass", 4.9),
        ("friction", 3.5, "viscous", on(1, 3.5)),
        ("actuator_loss", 0.25, "gain", on(2, 0.75, 1.0)),
        ("sensor_bias", -0.04, "encoder_offset", on(3, -0.04)),
    ],
)
def test_each_cause_changes_the_parameter_that_answers_it(
    cause: str, value: float, parameter: str, expected: float | list[float]
) -> None:
    (proposal,) = propose(made_up.situation(made_up.cause(cause, value)))
    before, after = made_up.params(COMPUTED_TORQUE), made_up.params(proposal.artefact)
    assert after == {**before, parameter: expected}
    assert proposal.candidate.rationale == REMEDIES[cause].sentence


def test_a_remedy_comes_on_top_of_one_that_is_there() -> None:
    loaded = with_params(COMPUTED_TORQUE, {"mass": 2.0, "gain": on(2, 0.8, 1.0)})
    (proposal,) = propose(made_up.situation(made_up.cause("payload", 3.0), incumbent=loaded))
    assert made_up.params(proposal.artefact)["mass"] == 5.0
    (proposal,) = propose(made_up.situation(made_up.cause("actuator_loss", 0.25), incumbent=loaded))
    assert made_up.params(proposal.artefact)["gain"][2] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("cause", "value", "parameter", "expected"),
    [
        ("payload", 12.0, "mass", 10.0),
        ("friction", 90.0, "viscous", on(1, 20.0)),
        ("sensor_bias", 0.5, "encoder_offset", on(3, 0.2)),
        ("sensor_bias", -0.5, "encoder_offset", on(3, -0.2)),
    ],
)
def test_a_remedy_stops_at_the_bounds(cause: str, value: float, parameter: str, expected: object) -> None:
    (proposal,) = propose(made_up.situation(made_up.cause(cause, value)))
    assert made_up.params(proposal.artefact)[parameter] == expected


def test_no_fault_gets_no_proposal() -> None:
    assert propose(made_up.situation(made_up.cause("none"))) == []


@pytest.mark.parametrize(
    ("cause", "value", "parameter", "expected"),
    [
        ("delay", 0.006, "lead", 0.004),
        ("friction", 0.3, "viscous_drag", on(1, 0.3)),
        ("actuator_loss", 0.3, "given", on(2, 0.7, 1.0)),
        ("sensor_bias", 0.03, "position_offset", on(3, 0.03)),
    ],
)
def test_a_law_that_has_no_term_for_the_cause_gets_one(cause: str, value: float, parameter: str, expected: Any) -> None:
    found = propose(made_up.situation(made_up.cause(cause, value), incumbent=JOINT_PD))
    by_params = {name: each for each in found for name in made_up.params(each.artefact)}
    assert made_up.params(by_params[parameter].artefact)[parameter] == expected
    candidate = by_params[parameter].candidate
    assert (candidate.kind, candidate.proposer) == ("code", "skills")
    assert {change.name.partition("[")[0] for change in candidate.changes} == {parameter}


def test_a_law_that_only_pushes_back_may_be_replaced_and_knows_the_load_then() -> None:
    found = propose(made_up.situation(made_up.cause("payload", 3.0), incumbent=JOINT_PD))
    (replaced,) = [each for each in found if each.artefact.files["law.py"] == COMPUTED_TORQUE.files["law.py"]]
    assert made_up.params(replaced.artefact) == {**made_up.params(COMPUTED_TORQUE), "mass": 3.0}
    assert replaced.candidate.kind == "code"


def test_of_two_faults_one_gets_a_value_and_the_other_structure() -> None:
    load, late = made_up.cause("payload", 3.0), made_up.cause("delay", 0.006)
    both = replace(
        load,
        cause="payload+delay",
        theta=np.array([3.0, 0.006]),
        covariance=np.zeros((2, 2)),
        effect=lambda theta: replace(load.effect(theta[:1]), delay_s=late.effect(theta[1:]).delay_s),
    )
    own, grafted = propose(made_up.situation(both))
    assert [change.name for change in own.candidate.changes] == ["mass"]
    assert {change.name for change in grafted.candidate.changes} == {"mass", "lead"}
    assert made_up.params(grafted.artefact)["mass"] == 3.0
    assert grafted.candidate.rationale.startswith("Add the load's weight")


def test_an_amount_of_nothing_is_no_patch() -> None:
    assert propose(made_up.situation(made_up.cause("payload", 0.0))) == []


def test_a_step_that_one_patch_may_not_take_is_no_proposal() -> None:
    careful = made_up.law("careful", gains=1, remedy=True, max_step=0.2)
    assert propose(made_up.situation(made_up.cause("payload", 5.0), incumbent=careful)) == []
    (proposal,) = propose(made_up.situation(made_up.cause("payload", 1.5), incumbent=careful))
    assert made_up.params(proposal.artefact)["mass"] == 1.5


def test_only_the_first_cause_is_remedied() -> None:
    (proposal,) = propose(made_up.situation(made_up.cause("payload", 5.0), made_up.cause("friction", 3.0, 0.05)))
    assert [change.name for change in proposal.candidate.changes] == ["mass"]


def test_a_proposal_names_its_parents_and_every_number_that_changed() -> None:
    (proposal,) = propose(made_up.situation(made_up.cause("friction", 3.5)))
    candidate = proposal.candidate
    assert candidate.id.startswith("pat_")
    assert (candidate.incident_id, candidate.proposer, candidate.kind) == ("inc_made_up", "skills", "params")
    assert candidate.base_sha == COMPUTED_TORQUE.sha256
    assert candidate.result_sha == proposal.artefact.sha256 != candidate.base_sha
    assert candidate.search_rollouts == 0
    (change,) = candidate.changes
    assert (change.name, change.unit, change.old, change.new) == ("viscous[1]", "N*m*s/rad", 0.0, 3.5)
    assert (change.low, change.high) == (0.0, 20.0)
    assert set(proposal.artefact.files) == set(COMPUTED_TORQUE.files)
    assert all(proposal.artefact.files[name] == COMPUTED_TORQUE.files[name] for name in ("law.py", "manifest.toml"))


def test_bounds_of_a_vector_are_those_of_its_entry() -> None:
    gains = [1.25 * kp for kp in made_up.params(JOINT_PD)["kp"]]
    proposal = params_proposal(made_up.situation(incumbent=JOINT_PD), "test", {"kp": gains}, "stiffer", 7)
    assert proposal is not None
    changes = {change.name: change for change in proposal.candidate.changes}
    assert list(changes) == [f"kp[{i}]" for i in range(N)]
    assert (changes["kp[0]"].low, changes["kp[0]"].high) == (150.0, 2400.0)
    assert (changes["kp[6]"].low, changes["kp[6]"].high) == (15.0, 240.0)
    assert proposal.candidate.search_rollouts == 7


@pytest.mark.parametrize("values", [{"mass": 11.0}, {"mass": float("nan")}, {"no_such": 1.0}, {"mass": 0.0}])
def test_values_that_are_no_legal_change_are_no_proposal(values: dict[str, float]) -> None:
    changes: Any = values
    assert params_proposal(made_up.situation(), "test", changes, "", 0) is None


def test_every_remedy_answers_a_fault_and_a_shipped_law_has_a_term_for_it() -> None:
    assert set(REMEDIES) <= set(CATALOGUE)
    manifests = [COMPUTED_TORQUE.files["manifest.toml"].decode()]
    manifests += [file.read_text(encoding="utf-8") for file in ROBOTS.glob("*/*/manifest.toml")]
    for cause in REMEDIES:
        assert any(f'answers = "{cause}"' in manifest for manifest in manifests), cause
    for cause in ("payload", "friction", "coulomb", "actuator_loss", "sensor_bias"):
        assert f'answers = "{cause}"' in manifests[0]


@pytest.mark.parametrize(
    ("cause", "effect", "parameter", "expected"),
    [
        ("payload", Effect(payload_kg=4.0), "mass", 4.0),
        ("friction", Effect(viscous=(0.0, 0.0, 0.0, 0.18, 0.0)), "viscous", [0.2, 0.02]),
        ("coulomb", Effect(coulomb=(0.0, 0.0, 0.0, 0.1, 0.2)), "coulomb", [0.2, 0.3]),
        ("wheel_radius", Effect(wheel_radius=(0.0, -0.1)), "wheel_radius", [0.0975, 0.08775]),
        ("slip", Effect(slip=(0.15, 0.0)), "slip", [0.15, 0.0]),
        ("imu_bias", Effect(rate_offset=(0.0, 0.0, 0.1, 0.0, 0.0)), "rate_offset", [0.0, 0.0, 0.1, 0.0, 0.0]),
    ],
)
def test_a_base_gets_entries_for_its_wheels(
    cause: str, effect: Effect, parameter: str, expected: float | list[float]
) -> None:
    robot = load_robot(ROBOTS / "diffdrive" / "robot.toml")
    law = find_law(robot, robot.controller)
    found = replace(made_up.cause("none"), cause=cause, theta=np.zeros(1), effect=lambda _: effect)
    twin = replace(made_up.twin(found), robot=robot)
    (proposal,) = propose(replace(made_up.situation(), twin=twin, incumbent=law))
    before, after = (Controller.from_artefact(each, robot.ports).params for each in (law, proposal.artefact))
    changed = {name: value for name, value in after.items() if value != before[name]}
    assert changed == {parameter: pytest.approx(expected)}


@pytest.mark.parametrize(
    ("cause", "effect", "expected"),
    [
        ("payload", Effect(payload_kg=0.004), {"mass": 0.004}),
        (
            "com",
            Effect(payload_kg=0.003, moment_kgm=(1e-4, -5e-5, 0.0)),
            {"mass": 0.003, "moment": [1e-4, -5e-5, 0.0]},
        ),
        ("thrust_loss", Effect(gain_loss=(0.0, 0.2, 0.0, 0.0)), {"gain": [1.0, 0.8, 1.0, 1.0]}),
        ("wind", Effect(wind_n=(0.05, -0.02, 0.0)), {"wind": [0.05, -0.02, 0.0]}),
        ("motor_lag", Effect(motor_lag_s=(0.0, 0.0, 0.015, 0.0)), {"motor_lag": [0.0375, 0.0375, 0.0525, 0.0375]}),
        (
            "imu_bias",
            Effect(rate_offset=(0.0, 0.0, 0.0, 0.1, 0.0, 0.0)),
            {"rate_offset": [0.0, 0.0, 0.0, 0.1, 0.0, 0.0]},
        ),
    ],
)
def test_a_quadrotor_gets_terms_for_load_rotors_and_air(
    cause: str, effect: Effect, expected: dict[str, float | list[float]]
) -> None:
    robot = load_robot(ROBOTS / "quadrotor" / "robot.toml")
    law = find_law(robot, robot.controller)
    found = replace(made_up.cause("none"), cause=cause, theta=np.zeros(1), effect=lambda _: effect)
    (proposal,) = propose(replace(made_up.situation(), twin=replace(made_up.twin(found), robot=robot), incumbent=law))
    before, after = (Controller.from_artefact(each, robot.ports).params for each in (law, proposal.artefact))
    changed = {name: value for name, value in after.items() if value != before[name]}
    assert changed == {name: pytest.approx(value) for name, value in expected.items()}


def test_the_name_of_the_law_stays() -> None:
    (proposal,) = propose(made_up.situation(incumbent=_renamed(COMPUTED_TORQUE, "my_arm")))
    assert proposal.artefact.name == "my_arm"


def _renamed(artefact: Artefact, name: str) -> Artefact:
    return artefact_from_files(name, artefact.files)
