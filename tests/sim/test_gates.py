"""The gates let nothing through that is worse, unclear or no number, whatever the evidence looks like."""

from __future__ import annotations

import ast
import math
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
from sim import gates
from sim.evidence import Evidence, Pair
from sim.judge import Judgement
from tests import mutation
from tests.sim import gate_rules as rules
from tests.sim.gate_rules import FAIL, OPEN, PASS

METRICS = ("rms_tracking_error", "max_tracking_error", "rms_effort", "torque_variation")
MUTATION_S = 60.0

# What no test can tell from the shipped module: the edited lines and why it makes no difference.
EQUIVALENT: dict[tuple[str, str], str] = {}


@pytest.mark.parametrize("promise", rules.GATE_RULES, ids=lambda promise: promise.__name__)
def test_gates_keep(promise: rules.Rule) -> None:
    promise(gates)


# -- evidence of every kind -------------------------------------------------------------------------------------------

positive = st.floats(1e-3, 1e3)


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
    )


def answers(evidence: Evidence, fidelity: float = 1.0) -> list[Gate]:
    """All gates, as a validation asks them."""
    return [
        gates.superior_tracking(evidence.sealed),
        gates.non_inferior("rms_effort", "effort", gates.EFFORT_MARGIN, evidence.sealed),
        gates.non_inferior("torque_variation", "torque_variation", gates.VARIATION_MARGIN, evidence.sealed, free=0.5),
        gates.limits(evidence.sealed),
        gates.delay_margin(evidence),
        gates.healthy_plant(evidence)[0],
        gates.law_cost(100, 0.002),
        gates.twin_fidelity(fidelity),
    ]


def verdict(evidence: Evidence, fidelity: float = 1.0) -> Verdict:
    return gates.overall(gate.verdict for gate in answers(evidence, fidelity))


def changed(evidence: Evidence, change: Callable[[Judgement], Judgement]) -> Evidence:
    """The same evidence for another candidate."""

    def each(found: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(replace(pair, after=change(pair.after)) for pair in found)

    return replace(
        evidence,
        sealed=each(evidence.sealed),
        severities={key: each(found) for key, found in evidence.severities.items()},
        delays={key: each(found) for key, found in evidence.delays.items()},
    )


def scaled(judged: Judgement, factor: float) -> Judgement:
    return replace(judged, metrics={name: factor * value for name, value in judged.metrics.items()})


def spoilt(found: tuple[Pair, ...], place: int, metric: str, value: float) -> tuple[Pair, ...]:
    place %= len(found)
    bad = replace(found[place].after, metrics={**found[place].after.metrics, metric: value})
    return (*found[:place], replace(found[place], after=bad), *found[place + 1 :])


def test_a_candidate_that_is_better_in_everything_passes() -> None:
    better = rules.gathered(rules.tracked([2.0, 3.0, 2.5], [0.5, 0.75, 0.6]))
    assert verdict(better) is PASS


@given(evidences(), st.integers(0, 5), st.integers(0, 9), st.sampled_from(METRICS), st.sampled_from([1, 2]))
def test_one_metric_that_is_no_number_anywhere_never_passes(
    evidence: Evidence, group: int, place: int, metric: str, kind: int
) -> None:
    value = (math.nan, math.inf)[kind - 1]
    sealed, severities, delays = evidence.sealed, dict(evidence.severities), dict(evidence.delays)
    if group == 0:
        sealed = spoilt(sealed, place, metric, value)
    else:
        table: dict[float, tuple[Pair, ...]] = severities if group < 4 else delays
        key = sorted(table)[(group - 1) % len(table)]
        table[key] = spoilt(table[key], place, metric, value)
    bad = replace(evidence, sealed=sealed, severities=severities, delays=delays)
    assert verdict(bad) is FAIL


@given(evidences())
def test_the_incumbent_against_itself_is_never_better(evidence: Evidence) -> None:
    same = tuple(replace(pair, after=pair.before) for pair in evidence.sealed)
    assert gates.superior_tracking(same).verdict is FAIL
    assert verdict(replace(evidence, sealed=same)) is FAIL


@given(evidences(), st.lists(st.floats(1.0, 50.0), min_size=6, max_size=6))
def test_a_candidate_that_tracks_no_run_better_never_passes(evidence: Evidence, factors: list[float]) -> None:
    worse = tuple(
        replace(pair, after=scaled(pair.before, factor)) for pair, factor in zip(evidence.sealed, factors, strict=False)
    )
    assert gates.superior_tracking(worse).verdict is not PASS
    assert verdict(replace(evidence, sealed=worse)) is not PASS


@given(st.lists(st.sampled_from([PASS, FAIL, OPEN]), max_size=8))
def test_only_a_full_set_of_passes_is_a_pass(found: list[Verdict]) -> None:
    expected = PASS if found and set(found) == {PASS} else FAIL if FAIL in found else OPEN
    assert gates.overall(found) is expected


@given(evidences(), st.floats(0.0, 1.0))
def test_a_twin_that_repeats_too_little_never_promotes(evidence: Evidence, fidelity: float) -> None:
    assume(fidelity < gates.MIN_FIDELITY)
    assert verdict(evidence, fidelity) is not PASS


worsening = st.sampled_from([1.0, 1.001, 1.5, 4.0, 1000.0])


@given(pairs(), st.lists(worsening, min_size=6, max_size=6), st.integers(0, 6))
def test_worse_sealed_runs_never_turn_a_fail_into_a_pass(
    found: tuple[Pair, ...], factors: list[float], broken: int
) -> None:
    worse = tuple(
        replace(pair, after=replace(scaled(pair.after, factor), limit_broken=pair.after.limit_broken or k == broken))
        for k, (pair, factor) in enumerate(zip(found, factors, strict=False))
    )

    def judged(those: tuple[Pair, ...]) -> list[Verdict]:
        return [
            gates.superior_tracking(those).verdict,
            gates.non_inferior("rms_effort", "effort", gates.EFFORT_MARGIN, those).verdict,
            gates.non_inferior("torque_variation", "variation", gates.VARIATION_MARGIN, those, free=0.1).verdict,
            gates.limits(those).verdict,
        ]

    for before, after in zip(judged(found), judged(worse), strict=True):
        assert not (before is FAIL and after is PASS)


@given(evidences(), st.lists(worsening, min_size=3, max_size=3), st.booleans())
def test_worse_delayed_runs_never_turn_a_fail_into_a_pass(
    evidence: Evidence, factors: list[float], diverged: bool
) -> None:
    delays = {
        key: tuple(
            replace(pair, after=replace(scaled(pair.after, f), diverged=pair.after.diverged or diverged))
            for pair, f in zip(found, factors, strict=False)
        )
        for key, found in evidence.delays.items()
    }
    before, after = gates.delay_margin(evidence), gates.delay_margin(replace(evidence, delays=delays))
    assert not (before.verdict is FAIL and after.verdict is PASS)


@given(evidences(), worsening)
def test_a_candidate_worse_by_one_factor_everywhere_never_turns_a_fail_into_a_pass(
    evidence: Evidence, factor: float
) -> None:
    after = verdict(changed(evidence, lambda judged: scaled(judged, factor)))
    assert not (verdict(evidence) is FAIL and after is PASS)


@given(evidences())
def test_trigger_is_armed_when_the_patch_breaks_limits_or_tracks_the_healthy_plant_badly(evidence: Evidence) -> None:
    breaks = any(p.after.limit_broken or p.after.diverged for found in evidence.severities.values() for p in found)
    healthy = [p for p in evidence.severities[0.0] if not (p.before.diverged or p.after.diverged)]
    assume(healthy)
    after = sum(pair.after.metrics["rms_tracking_error"] for pair in healthy)
    before = sum(pair.before.metrics["rms_tracking_error"] for pair in healthy)
    assume(abs(after / before - 1.5) > 1e-9)  # on the border the order of summation decides
    gate, armed = gates.healthy_plant(evidence)
    assert armed == (breaks or after > 1.5 * before)
    assert ("revert trigger" in gate.why) == armed


@given(evidences())
def test_every_answer_gives_its_reason(evidence: Evidence) -> None:
    found = answers(evidence)
    assert len({gate.name for gate in found}) == len(found)
    assert all(gate.why for gate in found)


# -- small wrong edits ------------------------------------------------------------------------------------------------


def _survives(module: mutation.Mutant) -> bool:
    """Whether the altered module keeps every promise."""
    try:
        altered: ModuleType = module.load("remend_tests_mutant")
        for promise in rules.GATE_RULES:
            promise(altered)
    except (Exception, pytest.fail.Exception):
        return False
    return True


def test_small_wrong_edits_of_the_gates_are_noticed() -> None:
    file = Path(str(gates.__file__))
    lines = file.read_text(encoding="utf-8").splitlines()
    deadline = time.monotonic() + MUTATION_S
    tried, survivors, excused = 0, [], set()
    for mutant in mutation.mutants(file):
        key = (lines[mutant.line - 1].strip(), mutant.what)
        if key in EQUIVALENT:
            excused.add(key)
            continue
        assert time.monotonic() < deadline, f"only {tried} mutants in {MUTATION_S:.0f} s"
        tried += 1
        if _survives(mutant):
            survivors.append(f"{mutant}   [{key[0]}]")
    score = 1.0 - len(survivors) / tried
    print(f"sim.gates: {tried - len(survivors)} of {tried} mutants killed", *survivors, sep="\n  ")
    assert tried >= 150
    assert excused == set(EQUIVALENT), "an excuse without a mutant"
    assert score >= 0.95, survivors


def test_an_unaltered_copy_of_the_gates_passes() -> None:
    tree: Any = ast.parse(Path(str(gates.__file__)).read_text(encoding="utf-8"))
    assert _survives(mutation.Mutant(line=0, what="nothing", tree=tree))
