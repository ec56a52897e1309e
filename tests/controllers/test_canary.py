"""The canary's judgement: against what simulation promised, on what the robot can observe."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers import canary


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rules = _load(Path(__file__).with_name("safety_rules.py"))


@pytest.mark.parametrize("rule", rules.CANARY_RULES, ids=lambda rule: rule.__name__)
def test_the_canary_promises_that(rule: rules.Rule) -> None:  # type: ignore[name-defined]
    rule(canary)


@given(st.lists(st.booleans(), max_size=60))
def test_the_verdict_is_three_bad_ticks_among_the_last_ten(bad: list[bool]) -> None:
    watch = rules.monitor(canary)
    for k, is_bad in enumerate(bad):
        verdict = rules.judge(watch, (0.75 if is_bad else 0.0, 0.0))
        assert (verdict is not None) == (sum(bad[max(0, k - 9) : k + 1]) >= 3)
