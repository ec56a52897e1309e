"""What the feedback has to add says which term is missing, and how large it is."""

from __future__ import annotations

import numpy as np
import pytest

from controllers.controller import Controller
from controllers.library import find_law
from patcher.curves import Curves
from patcher.terms import KINDS, columns, explain, law_with
from sim.catalogue import find_robot
from tests.made_up import COMPUTED_TORQUE, IIWA, N

T_S = np.arange(1000) / 500.0
PLACE = np.stack([0.5 * np.sin((1.0 + 0.3 * k) * T_S + k) for k in range(N)], axis=1)
RATE = np.gradient(PLACE, T_S, axis=0)
CURVES = Curves(
    t_s=T_S,
    q_ref=PLACE,
    qd_ref=RATE,
    qdd_ref=np.gradient(RATE, T_S, axis=0),
    q=PLACE,
    qd=RATE,
    command=np.zeros((1000, N)),
)


def added(joint: int, values: np.ndarray) -> np.ndarray:
    """Commands on top, at one joint; noise at all."""
    noise = 0.01 * np.random.default_rng(1).standard_normal((1000, N))
    noise[:, joint] += values
    return noise


@pytest.mark.parametrize(
    ("values", "kind", "size"),
    [
        (12.0 * PLACE[:, 2], "place", 12.0),
        (3.0 * RATE[:, 2], "rate", 3.0),
        (2.0 * np.tanh(RATE[:, 2] / 0.02), "direction", 2.0),
        (5.0 * np.ones(1000), "constant", 5.0),
    ],
)
def test_the_missing_term_comes_first_with_its_size_and_place(values: np.ndarray, kind: str, size: float) -> None:
    (first, *_) = explain(added(2, values), CURVES, IIWA, 5)
    (term,) = first
    assert term.kind.name == kind
    assert term.coefficients[2] == pytest.approx(size, rel=0.02)
    assert [k for k, value in enumerate(term.coefficients) if value] == [2]


def test_two_terms_are_found_where_one_is_not_enough() -> None:
    first = explain(added(1, 4.0 * PLACE[:, 1] + 2.0 * np.ones(1000)), CURVES, IIWA, 3)[0]
    assert {term.kind.name for term in first} == {"place", "constant"}


def test_where_nothing_is_added_nothing_is_missing() -> None:
    assert explain(np.zeros((1000, N)), CURVES, IIWA, 5) == []


def test_what_no_term_explains_is_left_alone() -> None:
    noise = np.random.default_rng(2).standard_normal((1000, N))
    assert explain(noise, CURVES, IIWA, 5) == []


def test_terms_in_a_law_vanish_at_zero_and_are_bounded() -> None:
    (first, *_) = explain(added(2, 12.0 * PLACE[:, 2]), CURVES, IIWA, 1)
    law, neutral = law_with(first, COMPUTED_TORQUE, IIWA)
    controller = Controller.from_artefact(law, IIWA.ports)
    spec = controller.manifest.params["on_place"]
    assert "tau[i] += on_place[i] * q_ref[i]" in law.files["law.py"].decode()
    assert neutral == {"on_place": [0.0] * N}
    assert controller.params["on_place"] == pytest.approx(list(first[0].coefficients))
    assert (spec.unit, spec.high[0]) == ("N*m/(rad)", pytest.approx(48.0, rel=0.02))


def test_rotors_that_drive_no_coordinate_get_terms_of_those_that_are_tracked() -> None:
    rotors = find_robot("quadrotor")
    n, m = rotors.dof, len(rotors.actuators)
    still = np.zeros((1000, n))
    curves = Curves(
        t_s=T_S, q_ref=still + 1.0, qd_ref=still, qdd_ref=still, q=still, qd=still, command=np.zeros((1000, m))
    )
    places = {(kind.name, place) for kind, place, _ in columns(curves, rotors)}
    assert len(places) == (len(KINDS) - 1) * len(rotors.tracked) + 1
    (first, *_) = explain(np.full((1000, m), 0.02), curves, rotors, 1)
    law, _ = law_with(first, find_law(rotors, rotors.controller), rotors)
    assert first[0].name in Controller.from_artefact(law, rotors.ports).params
