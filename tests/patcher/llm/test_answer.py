"""Whatever a model answers: a law that the checker has passed, or one sentence about what is wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.controller import Controller
from controllers.library import find_law
from controllers.slot import Slot
from core.errors import BadInput
from patcher.llm.answer import Answer, NewParam, law_of, normal_form, read_text
from sim.catalogue import find_robot
from tests.made_up import COMPUTED_TORQUE, IIWA, JOINT_PD

PD = JOINT_PD.files["law.py"].decode()
WITH_DRAG = PD + "    for i in range(7):\n        tau[i] += drag[i] * qd_ref[i]\n"
TABLE = """
comment = "Viscous friction has grown."
effect = "Feeds the drag forward."
[params.drag]
unit = "N*m*s/rad"
size = 7
low = 0.0
high = 10.0
start = 1.0
"""


NONSENSE = ("", "```", "    x = 1", "\ttau[0] = 9e999", "\x00", "\u00e9")


def said(law: str = WITH_DRAG, table: str = TABLE) -> str:
    return f"Sure! Here it is.\n```python\n{law}```\nand\n```toml\n{table}```\nHope it helps."


def test_a_function_and_a_table_become_a_law() -> None:
    answer = read_text(said())
    assert (answer.comment, answer.effect) == ("Viscous friction has grown.", "Feeds the drag forward.")
    law, neutral = law_of(answer, JOINT_PD, IIWA)
    controller = Controller.from_artefact(law, IIWA.ports)
    spec = controller.manifest.params["drag"]
    assert (spec.unit, spec.size, set(spec.low), set(spec.high), spec.max_step) == ("N*m*s/rad", 7, {0.0}, {10.0}, 1.0)
    assert controller.params == {**Controller.from_artefact(JOINT_PD, IIWA.ports).params, "drag": [1.0] * 7}
    assert neutral == {"drag": [0.0] * 7}
    assert law.files["law.py"].decode().startswith('"""PD control of every joint')
    assert "drag[i] * qd_ref[i]" in law.files["law.py"].decode()


def test_declarations_are_ours() -> None:
    """A signature with names left out and made up, a docstring and indentation: only the body counts."""
    text = 'def control(self, q: list, drag=3):\n    """Mine."""\n' + WITH_DRAG.partition("):\n")[2]
    law, _ = law_of(Answer(law=text, params=[NewParam("drag", size=7)]), JOINT_PD, IIWA)
    assert "def control(q, qd, q_ref, qd_ref, gravity, kp, kd, tau, drag):" in law.files["law.py"].decode()
    assert "Mine" not in law.files["law.py"].decode()


def test_a_signal_that_the_law_had_not_is_declared() -> None:
    text = PD + "    for i in range(7):\n        tau[i] += heavy * qdd_ref[i]\n"
    law, neutral = law_of(Answer(law=text), JOINT_PD, IIWA)
    manifest = Controller.from_artefact(law, IIWA.ports).manifest
    assert "qdd_ref" in manifest.signals
    assert neutral == {"heavy": 0.0}
    assert (manifest.params["heavy"].low, manifest.params["heavy"].high) == ((-10.0,), (10.0,))


def test_numbers_become_parameters() -> None:
    text = PD + "    for i in range(7):\n        tau[i] += 17.5 * (q_ref[i] - 0.25) * 2.0\n"
    law, neutral = law_of(Answer(law=text), JOINT_PD, IIWA)
    params = Controller.from_artefact(law, IIWA.ports)
    assert set(neutral) == {"number_1", "number_2"}
    assert {params.params[name] for name in neutral} == {17.5, 0.25}
    assert params.manifest.params["number_2"].high == (70.0,)
    assert "* 2.0" in law.files["law.py"].decode()


def test_numbers_of_the_incumbent_stay() -> None:
    ct = COMPUTED_TORQUE.files["law.py"].decode() + "    tau[0] += extra * tanh(qd_ref[0] / 0.02)\n"
    law, neutral = law_of(Answer(law=ct), COMPUTED_TORQUE, IIWA)
    assert set(neutral) == {"extra"}
    assert "/ 0.02" in law.files["law.py"].decode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I would add friction compensation.", "there is no law in it"),
        ("", "there is no law in it"),
        (said(table="drag = = 3"), "toml.? block cannot be read"),
    ],
)
def test_an_answer_without_form_is_no_answer(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_text(text)


@pytest.mark.parametrize(
    ("law", "why"),
    [
        (PD, "this is the law that the robot has"),
        (PD.replace("tau[i] =", "# it drags\n        tau[i] ="), "this is the law that the robot has"),
        ("def control(q):\n    tau[0] = q[0]\n", r"tau\[1\] is not written"),
        ("def control(q):\n    import os\n", "import"),
        ("def control(q):\n    tau[0] = q.sum()\n", "attribute"),
        ("def control(q:\n", "cannot be read"),
        ("def control(q):\n    pass\ndef control(q):\n    pass\n", "one function"),
        (PD + "    for i in range(9):\n        tau[i] += drag[i]\n", "outside"),
        (PD + "".join(f"    tau[0] += a{k}\n" for k in range(9)), "9 new parameters; keep to 8"),
        (PD + "    while 1:\n        pass\n", "while"),
        (PD + "    tau[0] += __import__[0]\n", "cannot be a name"),
    ],
)
def test_what_is_no_law_is_refused_with_the_checkers_words(law: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        law_of(Answer(law=law), JOINT_PD, IIWA)


def test_model_terms_are_for_arms() -> None:
    wheels = find_robot("diffdrive")
    law = find_law(wheels, wheels.controller)
    text = law.files["law.py"].decode() + "    tau[0] += more * bias[0]\n"
    made, _ = law_of(Answer(law=text), law, wheels)
    with pytest.raises(BadInput, match="known of arms only"):
        Slot(wheels, made)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*WITH_DRAG.splitlines(), "", "```", "    x = 1", "\ttau[0] = 9e999", "\x00", "é"]), max_size=12
    ),
    st.dictionaries(st.text(max_size=6), st.one_of(st.floats(), st.integers(), st.text(max_size=5)), max_size=4),
)
def test_rubbish_is_refused_and_nothing_else_happens(lines: list[str], entry: dict[str, object]) -> None:
    body = "\n".join(lines)
    try:
        answer = read_text(f"```python\ndef control(q):\n{body}\n```")
    except ValueError:
        return
    params = [NewParam(name="drag", low=float(entry["low"]) if isinstance(entry.get("low"), float) else 0.0)]
    try:
        law, _ = law_of(Answer(law=answer.law, params=params), JOINT_PD, IIWA)
    except BadInput:
        return
    assert Controller.from_artefact(law, IIWA.ports).cost > 0
    assert law.files["law.py"] != JOINT_PD.files["law.py"]


def test_laws_that_say_the_same_have_one_normal_form() -> None:
    renamed = re.sub(r"\btorque\b", "push", COMPUTED_TORQUE.files["law.py"].decode()).replace("# 0.02", "# so")
    other = type(COMPUTED_TORQUE)(name="x", files={**COMPUTED_TORQUE.files, "law.py": renamed.encode()})
    assert normal_form(other) == normal_form(COMPUTED_TORQUE)
    assert normal_form(JOINT_PD) != normal_form(COMPUTED_TORQUE)


def test_lines_come_behind_the_law_that_is_there() -> None:
    lines = "for i in range(7):\n    tau[i] += drag[i] * qd_ref[i]\n"
    law, neutral = law_of(read_text(said(lines)), JOINT_PD, IIWA)
    assert (
        law.files["law.py"]
        .decode()
        .endswith("+ gravity[i]\n    for i in range(7):\n        tau[i] += drag[i] * qd_ref[i]\n")
    )
    assert neutral == {"drag": [0.0] * 7}
    whole, _ = law_of(read_text(said()), JOINT_PD, IIWA)
    assert normal_form(law) == normal_form(whole)
