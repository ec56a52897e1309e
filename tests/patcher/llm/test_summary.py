"""A model may put the facts into words, and may not add any."""

from __future__ import annotations

from typing import Any

import pytest

from patcher.diagnose import diagnose
from patcher.llm.settings import LlmSettings
from patcher.llm.summary import in_words_of_a_model
from tests import made_up
from tests.patcher.llm.test_llm import speaks

WANTED = LlmSettings(model="made-up", summary=True)
RULES = diagnose("inc_1", made_up.twin(made_up.cause("payload", 5.0)), 0.99)


def test_the_models_words_take_the_place_of_the_rules() -> None:
    words = "The tool carries about 5 kg that nobody told the controller of (90 % sure).\nTake the load off to check."
    found = in_words_of_a_model(RULES, WANTED, speaks(words))
    assert found.summary == " ".join(words.split())
    assert found.author == f"made-up on {RULES.author}"
    assert (found.causes, found.advice, found.fidelity) == (RULES.causes, RULES.advice, RULES.fidelity)


@pytest.mark.parametrize(
    "words",
    [
        "The tool carries 7.5 kg, which is 40 % too much for the second joint.",
        "Yes.",
        "It is the load. " * 60,
        "The load is \x07 new and nobody has told the controller.",
    ],
)
def test_inventions_and_chatter_are_not_used(words: str) -> None:
    assert in_words_of_a_model(RULES, WANTED, speaks(words)) == RULES


@pytest.mark.parametrize("settings", [LlmSettings(), LlmSettings(model="made-up"), LlmSettings(summary=True)])
def test_nobody_is_asked_unless_it_is_wanted(settings: LlmSettings) -> None:
    heard: list[str] = []
    assert in_words_of_a_model(RULES, settings, speaks("anything at all, really", heard=heard)) == RULES
    assert heard == []


def test_without_a_model_the_words_of_the_rules_stay() -> None:
    nobody: Any = speaks()
    assert in_words_of_a_model(RULES, WANTED, nobody) == RULES
