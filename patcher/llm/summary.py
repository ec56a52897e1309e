"""The diagnosis in a model's words, where that is wanted: the same facts, or else the words of the rules stay.

A number that is not among the facts is an invention, and so is a summary that is far too long. Cause, probabilities,
estimates and advice are never the model's.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from string import Template

from core.records import Diagnosis
from patcher.causes import words_of
from patcher.llm.settings import LlmSettings
from patcher.llm.writer import Charge, MakeModel, NoAnswer, say

_FILE = Path(__file__).parent / "prompts" / "summary.md"
_LONGEST = 700  # characters
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_log = logging.getLogger(__name__)


def in_words_of_a_model(
    diagnosis: Diagnosis,
    settings: LlmSettings,
    make_model: MakeModel | None = None,
    charge: Charge = lambda *_: None,
) -> Diagnosis:
    """The diagnosis with a summary by the model; as it was where the model is not asked, not there, or inventive."""
    if not (settings.wanted and settings.summary):
        return diagnosis
    facts = _facts(diagnosis)
    try:
        prompt = Template(_FILE.read_text()).substitute(facts=facts)
        said = " ".join(say(prompt, settings, make_model, charge).split())
    except NoAnswer as error:
        _log.warning("llm %s: %s", settings.model, error)
        return diagnosis
    invented = sorted(set(_NUMBER.findall(said)) - _known(facts))
    if invented or not 20 <= len(said) <= _LONGEST or not said.isprintable():
        _log.warning("llm %s: its summary is not used (%s)", settings.model, ", ".join(invented) or "wrong length")
        return diagnosis
    return replace(diagnosis, summary=said, author=f"{settings.model} on {diagnosis.author}")


def _facts(diagnosis: Diagnosis) -> str:
    top = diagnosis.causes[0]
    known = {
        "summary": diagnosis.summary,
        "probability_percent": round(100.0 * top.probability),
        "estimate": {name: float(f"{value:.3g}") for name, value in top.estimate.items()},
        "check_at_the_robot": words_of(top.cause.partition("+")[0]).check,
        "advice": diagnosis.advice,
    }
    return json.dumps(known, ensure_ascii=True)


def _known(facts: str) -> set[str]:
    """Numbers of the facts, also without decimals that are zero."""
    found = set(_NUMBER.findall(facts))
    return found | {number.rstrip("0").rstrip(".") for number in found if "." in number} | {"1", "2", "3"}
