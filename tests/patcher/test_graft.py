"""A skill that is put into a law keeps the law, until its parameters say otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.library import find_law
from controllers.slot import Slot
from core.errors import BadInput
from core.frames import Frame, Reference
from core.robot import Robot
from patcher.graft import graft, neutral
from patcher.skill import Skill, load_skill, shipped_skills
from sim.catalogue import find_robot, shipped_robots
from sim.effect import NO_EFFECT, Effect
from sim.faults.catalogue import CATALOGUE
from tests.made_up import COMPUTED_TORQUE, IIWA, JOINT_PD

SKILLS = {skill.name: skill for skill in shipped_skills()}
UNFIT = {  # law -> skills that are made for its robot and do not fit it, with the reason
    "computed_torque": {"offset": "corrects the model's position already", "computed_torque": "already"},
    "base_brake": {"offset": "does not read", "scale": "does not read"},
    "pole_balance": {"observer": "inertia is an argument", "computed_torque": "1 actuators"},
    "pole_hold": {"computed_torque": "1 actuators"},
    "carry": {"lead": "has lead already"},
    "hold": dict.fromkeys(("lead", "offset", "rate_filter", "rate_offset", "scale"), "does not read"),
}


def laws() -> list[tuple[str, str, str]]:
    found = []
    for name in sorted(shipped_robots()):
        robot = find_robot(name)
        for law in (robot.controller, robot.safety_controller):
            found += [(name, law, skill.name) for skill in SKILLS.values() if skill.suits(robot)]
    return found


def commands(robot: Robot, law: Artefact, ticks: int = 40) -> np.ndarray:
    """What a law commands for the same made-up frames."""
    slot, rng = Slot(robot, law), np.random.default_rng(3)
    n, m = robot.dof, len(robot.actuators)
    found = []
    for tick in range(ticks):
        near = np.array(robot.home) + 0.05 * rng.standard_normal(n)
        frame = Frame(
            tick,
            round(1e9 * tick * robot.dt_s),
            near.tolist(),
            (0.3 * rng.standard_normal(n)).tolist(),
            (0.1 * rng.standard_normal(m)).tolist(),
            [0.0] * m,
        )
        reference = Reference(list(robot.home), (0.2 * rng.standard_normal(n)).tolist(), [0.0] * n)
        found.append(slot.compute(frame, reference))
    return np.array(found)


@pytest.mark.parametrize(("name", "law_name", "skill"), laws())
def test_at_its_neutral_values_a_skill_changes_nothing(name: str, law_name: str, skill: str) -> None:
    robot = find_robot(name)
    law = find_law(robot, law_name)
    if skill in UNFIT.get(law_name, {}):
        with pytest.raises(BadInput, match=UNFIT[law_name][skill]):
            graft(law, robot, SKILLS[skill], NO_EFFECT)
        return
    grafted = graft(law, robot, SKILLS[skill], NO_EFFECT)
    if SKILLS[skill].replace is not None:
        assert grafted == find_law(robot, "computed_torque")
        return
    still = with_params(grafted, neutral(SKILLS[skill], robot))
    before, after = commands(robot, law), commands(robot, still)
    assert np.ptp(before, axis=0).max() > 0.0
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-12)
    with pytest.raises(BadInput, match=r"already|does not read"):
        graft(grafted, robot, SKILLS[skill], NO_EFFECT)


@pytest.mark.parametrize(
    ("skill", "effect", "healthy"),
    [
        ("offset", Effect(offset=(0.1,) * 7), lambda frame: replace_q(frame, -0.1)),
        ("rate_offset", Effect(rate_offset=(0.2,) * 7), lambda frame: replace_v(frame, -0.2)),
    ],
)
def test_a_corrected_sensor_is_as_good_as_a_healthy_one(skill: str, effect: Effect, healthy: object) -> None:
    grafted = graft(JOINT_PD, IIWA, SKILLS[skill], effect)
    frame = Frame(0, 0, [0.3] * 7, [0.1] * 7, [0.0] * 7, [0.0] * 7)
    reference = Reference([0.2] * 7, [0.0] * 7, [0.0] * 7)
    expected = Slot(IIWA, JOINT_PD).compute(healthy(frame), reference)  # type: ignore[operator]
    np.testing.assert_allclose(Slot(IIWA, grafted).compute(frame, reference), expected, rtol=1e-9)


def replace_q(frame: Frame, by: float) -> Frame:
    return Frame(0, 0, [q + by for q in frame.q], frame.qd, frame.tau_meas, frame.tau_cmd)


def replace_v(frame: Frame, by: float) -> Frame:
    return Frame(0, 0, frame.q, [v + by for v in frame.qd], frame.tau_meas, frame.tau_cmd)


def test_amounts_go_where_the_fault_is() -> None:
    wheels = find_robot("diffdrive")
    law = graft(
        find_law(wheels, wheels.controller), wheels, SKILLS["friction"], Effect(viscous=(0.0, 0.0, 0.0, 0.1, 0.2))
    )
    assert Controller.from_artefact(law, wheels.ports).params["viscous_drag"] == [0.1, 0.2]
    assert "viscous_drag[i] * qd_ref[3 + i]" in law.files["law.py"].decode()
    weak = graft(JOINT_PD, IIWA, SKILLS["gain_inversion"], Effect(gain_loss=(0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.9)))
    assert Controller.from_artefact(weak, IIWA.ports).params["given"] == [1.0, 0.6, 1.0, 1.0, 1.0, 1.0, 0.3]


def test_comments_and_names_of_the_law_stay() -> None:
    law = COMPUTED_TORQUE.files["law.py"].decode()
    grafted = graft(COMPUTED_TORQUE, IIWA, SKILLS["lead"], NO_EFFECT).files["law.py"].decode()
    assert all(line in grafted for line in law.splitlines() if line.lstrip().startswith("#"))
    assert "error = q_ref[i] - ((q[i] + lead * qd[i]) - encoder_offset[i])" in grafted
    assert max(map(len, grafted.splitlines())) <= 120
    behind = graft(COMPUTED_TORQUE, IIWA, SKILLS["deadband"], NO_EFFECT).files["law.py"].decode()
    assert behind.endswith(
        "    # inverse of a dead band: add the effort that is lost before anything moves.\n"
        "    for i in range(7):\n"
        "        tau[i] += dead_effort[i] * tanh(10.0 * tau[i] / max(dead_effort[i], 0.000001))\n"
    )


def test_drives_in_no_order_get_lines_of_their_own() -> None:
    swapped = replace(IIWA, actuators=(IIWA.actuators[1], IIWA.actuators[0], *IIWA.actuators[2:]))
    text = graft(JOINT_PD, swapped, SKILLS["friction"], NO_EFFECT).files["law.py"].decode()
    assert "tau[0] += viscous_drag[0] * qd_ref[1]" in text
    assert "tau[1] += viscous_drag[1] * qd_ref[0]" in text


def test_a_skill_is_not_for_every_robot() -> None:
    rotors = find_robot("quadrotor")
    with pytest.raises(BadInput, match="friction is not for quadrotor"):
        graft(find_law(rotors, rotors.controller), rotors, SKILLS["friction"], NO_EFFECT)
    pushy = replace_modes(SKILLS["friction"])
    with pytest.raises(BadInput, match="drive no coordinate of their own"):
        graft(find_law(rotors, rotors.controller), rotors, pushy, NO_EFFECT)


def replace_modes(skill: Skill) -> Skill:
    return replace(skill, modes=())


def test_readings_of_a_whole_signal_cannot_be_corrected() -> None:
    whole = JOINT_PD.files["law.py"].decode().replace("(q_ref[i] - q[i])", "(q_ref[i] - dot(q, q))").encode()
    law = Artefact(name="whole", files={**JOINT_PD.files, "law.py": whole})
    Controller.from_artefact(law, IIWA.ports)
    with pytest.raises(BadInput, match="as a whole"):
        graft(law, IIWA, SKILLS["scale"], NO_EFFECT)


def test_every_skill_answers_faults_of_the_catalogue() -> None:
    for skill in SKILLS.values():
        assert skill.answers
        assert set(skill.answers) <= set(CATALOGUE), skill.name
        assert skill.sentence.endswith(".")
        assert {param.answers for param in skill.params} <= {None, *skill.answers}
    assert "spring" not in {cause for skill in SKILLS.values() for cause in skill.answers}


GOOD = (Path(__file__).parents[2] / "patcher" / "skills" / "offset.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('title = "position offset"', "", "title: give a str"),
        ('answers = ["sensor_bias"]\nreads', 'answers = "sensor_bias"\nreads', "answers: give a list"),
        ('size = "n"', 'size = "7"', "position_offset.size: '7'; write n"),
        ('from = "offset"', 'from = "charm"', "from: 'charm' is no part of an effect"),
        ('from = "offset"', 'from = "offset"\nrule = "guess"', "rule: 'guess'; use one of add, lose, grow"),
        ('from = "offset"', "", "give one of them"),
        ('from = "offset"', 'from = "offset"\nstart = 1.0', "give one of them"),
        ("low = -0.3", 'low = "deep"', "low: give a float"),
        ("low = -0.3", "low = -0.3\nlower = 1.0", "lower: no skill has this key"),
        ("reads = {", "reeds = {", "reeds: no skill has this key"),
        ("[params.position_offset]", "[params]\nposition_offset = 1.0\n[other]", "position_offset: must be a table"),
    ],
)
def test_a_skill_with_a_mistake_is_refused_in_one_sentence(old: str, new: str, why: str, tmp_path: Path) -> None:
    assert old in GOOD
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(BadInput) as refusal:
        load_skill(file)
    assert str(refusal.value).startswith("mine.toml: ")
    assert why in str(refusal.value)
