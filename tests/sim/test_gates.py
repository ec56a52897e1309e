"""The gates let nothing through that is worse, unclear or no number, whatever the evidence looks like."""

from __future__ import annotations

import ast
import importlib
import math
import pkgutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.records import Gate
from core.status import Verdict
from sim import gates, validate
from sim.evidence import Evidence, Pair
from sim.gates.answer import overall
from sim.gates.elsewhere import elsewhere
from sim.gates.fidelity import twin_fidelity
from sim.judge import Judgement
from sim.policy import Policy
from sim.policy_toml import shipped_policy
from tests import mutation
from tests.made_up import IIWA
from tests.sim import gate_rules as rules
from tests.sim.gate_rules import FAIL, OPEN, PASS

METRICS = ("rms_tracking_error", "max_tracking_error", "rms_effort", "torque_variation")
MUTATION_S = 60.0

# What no test can tell from the shipped modules: the edited lines and why it makes no difference.
EQUIVALENT: dict[tuple[str, str], str] = {}


def shipped(name: str) -> ModuleType:
    return importlib.import_module(f"sim.gates.{name}")


def test_every_gate_has_rules() -> None:
    assert {module.name for module in pkgutil.iter_modules(gates.__path__)} == set(rules.RULES)


@pytest.mark.parametrize(
    ("name", "promise"),
    [(name, promise) for name, promises in rules.RULES.items() for promise in promises],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_gates_keep(name: str, promise: rules.Rule) -> None:
    promise(shipped(name))


# -- evidence of every kind -------------------------------------------------------------------------------------------

positive = st.floats(1e-3, 1e3)
SMALL: Policy = replace(shipped_policy(), sealed=replace(shipped_policy().sealed, scenarios=2), limits=rules.LIMITS)


def small(pairs: tuple[Pair, ...]) -> Policy:
    """The shipped policy, had it asked for just these pairs."""
    limits = replace(SMALL.limits, bound=0.95)
    return replace(SMALL, sealed=replace(SMALL.sealed, scenarios=len(pairs)), limits=limits)


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    judged = rules.judged(
        draw(positive),
        effort=draw(positive),
        variation=draw(positive),
        worst=draw(positive),
        diverged=draw(st.integers(0, 9)) == 0,
    )
    return replace(judged, limit_broken=judged.diverged or draw(st.integers(0, 9)) == 0)


@st.composite
def pairs(draw: st.DrawFn, most: int = 6) -> tuple[Pair, ...]:
    count = draw(st.integers(2, most))
    before = [draw(judgements()) for _ in range(count)]
    # often a candidate that is better in everything, so that a pass is no rarity
    factor = draw(st.sampled_from([0.2, 0.5, 1.0, None]))
    after = [
        draw(judgements())
        if factor is None
        else replace(
            judged,
            metrics={name: factor * value for name, value in judged.metrics.items()},
            diverged=False,
            limit_broken=False,
        )
        for judged in before
    ]
    return rules.paired(before, after)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    return rules.gathered(
        draw(pairs()),
        {severity: draw(pairs(3)) for severity in (0.0, 0.5, 1.5)},
        {delay_s: draw(pairs(3)) for delay_s in (0.004, 0.008)},
        {factor: draw(pairs(3)) for factor in (0.8, 2.0)},
    )


def answers(evidence: Evidence, fidelity: float = 1.0) -> list[Gate]:
    """All gates, as a validation asks them."""
    policy = small(evidence.sealed)
    return [
        *validate.sealed_gates(IIWA, evidence.sealed, policy),
        *validate.further_gates(IIWA, evidence, policy)[0],
        twin_fidelity(fidelity, policy.twin),
    ]


def verdict(evidence: Evidence, fidelity: float = 1.0) -> Verdict:
    return overall(gate.verdict for gate in answers(evidence, fidelity))


def groups(evidence: Evidence) -> dict[str, Any]:
    return {name: getattr(evidence, name) for name in ("severities", "delays", "gains")}


def changed(evidence: Evidence, change: Callable[[Judgement], Judgement]) -> Evidence:
    """The same evidence for another candidate."""

    def each(found: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(replace(pair, after=change(pair.after)) for pair in found)

    others = {name: {key: each(found) for key, found in group.items()} for name, group in groups(evidence).items()}
    return replace(evidence, sealed=each(evidence.sealed), **others)


def scaled(judged: Judgement, factor: float) -> Judgement:
    return replace(judged, metrics={name: factor * value for name, value in judged.metrics.items()})


def spoilt(found: tuple[Pair, ...], place: int, metric: str, value: float) -> tuple[Pair, ...]:
    place %= len(found)
    bad = replace(found[place].after, metrics={**found[place].after.metrics, metric: value})
    return (*found[:place], replace(found[place], after=bad), *found[place + 1 :])


def test_a_candidate_that_is_better_in_everything_passes() -> None:
    better = rules.gathered(rules.tracked([2.0, 3.0, 2.5], [0.5, 0.75, 0.6]), {0.0: rules.SOUND, 0.5: rules.SOUND})
    assert verdict(better) is PASS


@given(evidences(), st.integers(0, 7), st.integers(0, 9), st.sampled_from(METRICS), st.sampled_from([1, 2]))
def test_one_metric_that_is_no_number_anywhere_never_passes(
    evidence: Evidence, group: int, place: int, metric: str, kind: int
) -> None:
    value = (math.nan, math.inf)[kind - 1]
    if group == 0:
        bad = replace(evidence, sealed=spoilt(evidence.sealed, place, metric, value))
    else:
        name, key = [(name, key) for name, found in groups(evidence).items() for key in sorted(found)][group - 1]
        found = dict(getattr(evidence, name))
        found[key] = spoilt(found[key], place, metric, value)
        changes: dict[str, Any] = {name: found}
        bad = replace(evidence, **changes)
    assert verdict(bad) is FAIL


@given(evidences())
def test_the_incumbent_against_itself_is_never_better(evidence: Evidence) -> None:
    same = tuple(replace(pair, after=pair.before) for pair in evidence.sealed)
    assert verdict(replace(evidence, sealed=same)) is FAIL


@given(evidences(), st.lists(st.floats(1.0, 50.0), min_size=6, max_size=6))
def test_a_candidate_that_tracks_no_run_better_never_passes(evidence: Evidence, factors: list[float]) -> None:
    worse = tuple(
        replace(pair, after=scaled(pair.before, factor)) for pair, factor in zip(evidence.sealed, factors, strict=False)
    )
    assert verdict(replace(evidence, sealed=worse)) is not PASS


@given(evidences())
def test_fewer_sealed_runs_than_the_policy_asks_for_never_pass(evidence: Evidence) -> None:
    policy = small(evidence.sealed)
    fewer = validate.sealed_gates(IIWA, evidence.sealed[:-1], policy)
    assert overall(gate.verdict for gate in fewer) is not PASS


@given(evidences(), st.sampled_from(["severities", "delays", "gains"]))
def test_what_was_not_run_never_passes(evidence: Evidence, name: str) -> None:
    assert verdict(Evidence(sealed=evidence.sealed)) is not PASS
    nothing: dict[str, Any] = {name: {}}
    assert verdict(replace(evidence, **nothing)) is not PASS


@given(evidences(), st.floats(0.0, 1.0))
def test_a_twin_that_repeats_too_little_never_promotes(evidence: Evidence, fidelity: float) -> None:
    assume(fidelity < shipped_policy().twin.fidelity)
    assert verdict(evidence, fidelity) is not PASS


@given(st.lists(st.sampled_from([PASS, FAIL, OPEN]), max_size=8))
def test_only_a_full_set_of_passes_is_a_pass(found: list[Verdict]) -> None:
    expected = PASS if found and set(found) == {PASS} else FAIL if FAIL in found else OPEN
    assert overall(found) is expected


worsening = st.sampled_from([1.0, 1.001, 1.5, 4.0, 1000.0])


@given(pairs(), st.lists(worsening, min_size=6, max_size=6), st.integers(0, 6))
def test_worse_sealed_runs_never_turn_a_fail_into_a_pass(
    found: tuple[Pair, ...], factors: list[float], broken: int
) -> None:
    worse = tuple(
        replace(pair, after=replace(scaled(pair.after, factor), limit_broken=pair.after.limit_broken or k == broken))
        for k, (pair, factor) in enumerate(zip(found, factors, strict=False))
    )
    policy = small(found)
    before, after = (validate.sealed_gates(IIWA, those, policy) for those in (found, worse))
    for one, other in zip(before, after, strict=True):
        assert not (one.verdict is FAIL and other.verdict is PASS)


@given(evidences(), st.lists(worsening, min_size=3, max_size=3), st.booleans())
def test_worse_runs_under_other_conditions_never_turn_a_fail_into_a_pass(
    evidence: Evidence, factors: list[float], broken: bool
) -> None:
    def worse(found: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(
            replace(pair, after=replace(scaled(pair.after, f), limit_broken=pair.after.limit_broken or broken))
            for pair, f in zip(found, factors, strict=False)
        )

    others = {name: {key: worse(found) for key, found in group.items()} for name, group in groups(evidence).items()}
    policy = small(evidence.sealed)
    before, after = (
        validate.further_gates(IIWA, those, policy)[0] for those in (evidence, replace(evidence, **others))
    )
    for one, other in zip(before, after, strict=True):
        assert not (one.verdict is FAIL and other.verdict is PASS)


@given(evidences(), worsening)
def test_a_candidate_worse_by_one_factor_everywhere_never_turns_a_fail_into_a_pass(
    evidence: Evidence, factor: float
) -> None:
    after = verdict(changed(evidence, lambda judged: scaled(judged, factor)))
    assert not (verdict(evidence) is FAIL and after is PASS)


@given(evidences())
def test_trigger_is_armed_when_the_patch_breaks_limits_or_tracks_badly_elsewhere(evidence: Evidence) -> None:
    breaks = any(
        p.after.limit_broken and not p.before.limit_broken for found in evidence.severities.values() for p in found
    )
    ratios = []
    for found in evidence.severities.values():
        kept = [p for p in found if not (p.before.diverged or p.after.diverged)]
        if kept:
            after = math.fsum(pair.after.metrics["rms_tracking_error"] for pair in kept)
            ratios.append(after / math.fsum(pair.before.metrics["rms_tracking_error"] for pair in kept))
    assume(all(abs(ratio - 1.5) > 1e-9 for ratio in ratios))  # on the border the order of summation decides
    gate, armed = elsewhere("anywhere", evidence.severities, shipped_policy().elsewhere)
    assert armed == (breaks or any(ratio > 1.5 for ratio in ratios))
    assert ("revert trigger" in gate.why) == armed


@given(evidences())
def test_every_answer_gives_its_reason(evidence: Evidence) -> None:
    found = answers(evidence)
    assert len({gate.name for gate in found}) == len(found)
    assert all(gate.why for gate in found)


# -- small wrong edits ------------------------------------------------------------------------------------------------


def _survives(module: mutation.Mutant, name: str) -> bool:
    """Whether the altered module keeps every promise."""
    try:
        altered: ModuleType = module.load("remend_tests_mutant")
        for promise in rules.RULES[name]:
            promise(altered)
    except (Exception, pytest.fail.Exception):
        return False
    return True


def test_small_wrong_edits_of_the_gates_are_noticed() -> None:
    deadline = time.monotonic() + MUTATION_S
    tried, survivors, excused = 0, [], set()
    for name in rules.RULES:
        file = Path(str(shipped(name).__file__))
        lines = file.read_text(encoding="utf-8").splitlines()
        for mutant in mutation.mutants(file):
            key = (lines[mutant.line - 1].strip(), mutant.what)
            if key in EQUIVALENT:
                excused.add(key)
                continue
            assert time.monotonic() < deadline, f"only {tried} mutants in {MUTATION_S:.0f} s"
            tried += 1
            if _survives(mutant, name):
                survivors.append(f"{name} {mutant}   [{key[0]}]")
    score = 1.0 - len(survivors) / tried
    print(f"sim.gates: {tried - len(survivors)} of {tried} mutants killed", *survivors, sep="\n  ")
    assert tried >= 150
    assert excused == set(EQUIVALENT), "an excuse without a mutant"
    assert score >= 0.95, survivors


@pytest.mark.parametrize("name", rules.RULES)
def test_an_unaltered_copy_of_a_gate_passes(name: str) -> None:
    tree: Any = ast.parse(Path(str(shipped(name).__file__)).read_text(encoding="utf-8"))
    assert _survives(mutation.Mutant(line=0, what="nothing", tree=tree), name)
