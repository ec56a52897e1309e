"""The diagnosis says what happened, how sure that is, and what would refute it, in words and in numbers."""

from __future__ import annotations

import pytest

from patcher.diagnose import AUTHOR, diagnose
from tests import made_up
from tests.made_up import cause


@pytest.mark.parametrize(
    ("name", "value", "words", "refuted"),
    [
        ("payload", 4.931, "an unknown load of 4.93 kg at the tool", "at rest"),
        ("friction", 4.5, "friction in joint 2 grown to 10.0 times its healthy value", "sign"),
        ("actuator_loss", 0.4, "a motor in joint 3 that gives 60 % of the effort", "torque"),
        ("sensor_bias", 0.0501, "an encoder in joint 4 that reads 50.1 mrad too much", "gravity"),
        ("delay", 0.006, "commands that arrive 6.0 ms later", "command"),
        ("none", 0.0, "no fault that the catalogue knows", "noise"),
    ],
)
def test_each_cause_is_told_in_words_with_what_would_refute_it(
    name: str, value: float, words: str, refuted: str
) -> None:
    summary = diagnose("inc_1", made_up.twin(cause(name, value, 0.973)), 0.9).summary
    assert words in summary
    assert "(97 %)" in summary
    assert refuted in summary.partition("refuted if ")[2]
    assert summary.endswith(".")
    assert len(summary) <= 300


def test_causes_keep_their_order_numbers_and_intervals() -> None:
    twin = made_up.twin(cause("payload", 5.0, 0.9, spread=0.1), cause("friction", 2.0, 0.09, spread=0.5))
    diagnosis = diagnose("inc_1", twin, 0.87)
    assert (diagnosis.incident_id, diagnosis.fidelity, diagnosis.author) == ("inc_1", 0.87, AUTHOR)
    first, second = diagnosis.causes
    assert (first.cause, first.probability, first.estimate) == ("payload", 0.9, {"mass": 5.0})
    assert first.interval["mass"] == pytest.approx((5.0 - 0.1645, 5.0 + 0.1645))
    assert first.remark == "payload, made up"
    assert second.cause == "friction"
    assert set(second.interval) == {"scale", "viscous"}  # a joint has no interval


def test_improbable_rivals_are_left_out() -> None:
    twin = made_up.twin(cause("payload", 5.0, 0.99), cause("friction", 2.0, 0.001), cause("none", 0.0, 0.0009))
    assert [found.cause for found in diagnose("inc_1", twin, 0.9).causes] == ["payload", "friction"]


def test_at_most_five_causes_are_shown() -> None:
    twin = made_up.twin(*(cause("payload", 1.0 + k, 0.14) for k in range(7)))
    assert [found.estimate["mass"] for found in diagnose("inc_1", twin, 0.9).causes] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_there_is_always_a_first_cause() -> None:
    twin = made_up.twin(cause("none", 0.0, 0.0005), cause("payload", 1.0, 0.0001))
    (found,) = diagnose("inc_1", twin, 0.1).causes
    assert found.cause == "none"
    assert found.estimate == found.interval == {}


def test_the_same_twin_gives_the_same_diagnosis() -> None:
    twin = made_up.twin(cause("sensor_bias", 0.05, 0.9, spread=0.001))
    assert diagnose("inc_1", twin, 0.9).sha256 == diagnose("inc_1", twin, 0.9).sha256
    assert diagnose("inc_1", twin, 0.9).sha256 != diagnose("inc_2", twin, 0.9).sha256
