"""The tests of the safety-critical modules notice nearly every small wrong edit of them."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from controllers import canary, envelope
from core import status

HERE = Path(__file__).parent


def _load(path: Path) -> ModuleType:
    """A module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(f"remend_tests_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


rules = _load(HERE / "safety_rules.py")
mutation = _load(HERE.parent / "mutation.py")

# What no test can tell from the shipped module: the edited lines and why it makes no difference.
_NAMED_LATER = "the joint is read only after a bad tick, and a bad tick has set it"
_ON_THE_BORDER = "on the border both are the same number"
_TO_ITS_RATE = "allowed = slowest if value < slowest else fastest if value > fastest else value"
_TO_ITS_RANGE = "allowed = low if allowed < low else high if allowed > high else allowed"
EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "controllers.envelope": {
        (_TO_ITS_RATE, "value < slowest -> value <= slowest"): _ON_THE_BORDER,
        (_TO_ITS_RATE, "value > fastest -> value >= fastest"): _ON_THE_BORDER,
        (_TO_ITS_RANGE, "allowed < low -> allowed <= low"): _ON_THE_BORDER,
        (_TO_ITS_RANGE, "allowed > high -> allowed >= high"): _ON_THE_BORDER,
    },
    "controllers.canary": {
        ("worst, joint = 0.0, 0", "0.0 -> 1.0"): "up to 1.0 a tick is not bad and its joint is not named",
        ("worst, joint = 0.0, 0", "0.0 -> -1.0"): "ratios are never negative",
        ("worst, joint = 0.0, 0", "0 -> 1"): _NAMED_LATER,
        ("worst, joint = 0.0, 0", "0 -> -1"): _NAMED_LATER,
    },
}


def _source_line(module: ModuleType, line: int) -> str:
    return Path(str(module.__file__)).read_text(encoding="utf-8").splitlines()[line - 1].strip()


def _survives(mutant: Any, promises: tuple[Any, ...]) -> bool:
    """Whether the altered module keeps every promise."""
    try:
        altered = mutant.load("remend_tests_mutant")
        for promise in promises:
            promise(altered)
    except (Exception, pytest.fail.Exception):
        return False
    return True


@pytest.mark.parametrize(
    ("module", "only", "promises", "at_least"),
    [
        pytest.param(envelope, None, rules.ENVELOPE_RULES, 90, id="envelope"),
        pytest.param(canary, None, rules.CANARY_RULES, 60, id="canary"),
        pytest.param(status, "require_transition", rules.STATUS_RULES, 3, id="transitions"),
    ],
)
def test_small_wrong_edits_of_a_safety_module_are_noticed(
    module: ModuleType, only: str | None, promises: tuple[Any, ...], at_least: int
) -> None:
    equivalent = EQUIVALENT.get(module.__name__, {})
    tried, survivors, excused = 0, [], set()
    for mutant in mutation.mutants(Path(str(module.__file__)), only):
        line = _source_line(module, mutant.line)
        if (line, mutant.what) in equivalent:
            excused.add((line, mutant.what))
            continue
        tried += 1
        if _survives(mutant, promises):
            survivors.append(str(mutant))
    score = 1.0 - len(survivors) / tried
    print(f"{module.__name__}: {tried - len(survivors)} of {tried} mutants killed", *survivors, sep="\n  ")
    assert tried >= at_least
    assert excused == set(equivalent), "an excuse without a mutant"
    assert score >= 0.95, survivors


@pytest.mark.parametrize("breach", [breach.name for breach in envelope.Breach])
def test_every_rule_of_the_envelope_is_missed_when_it_is_removed(breach: str) -> None:
    source = Path(str(envelope.__file__)).read_text(encoding="utf-8")
    places = list(re.finditer(rf"return (_reject\()?Breach\.{breach}\b.*", source))
    assert places
    for place in places:
        without = source[: place.start()] + "pass" + source[place.end() :]
        mutant = mutation.Mutant(line=0, what=f"no {breach}", tree=ast.parse(without))
        assert not _survives(mutant, rules.ENVELOPE_RULES)


@pytest.mark.parametrize(
    ("module", "promises"),
    [
        pytest.param(envelope, rules.ENVELOPE_RULES, id="envelope"),
        pytest.param(canary, rules.CANARY_RULES, id="canary"),
        pytest.param(status, rules.STATUS_RULES, id="transitions"),
    ],
)
def test_an_unaltered_copy_of_a_safety_module_passes(module: ModuleType, promises: tuple[Any, ...]) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    assert _survives(mutation.Mutant(line=0, what="nothing", tree=tree), promises)
