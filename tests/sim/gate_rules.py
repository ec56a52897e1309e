"""What the gates promise, as plain functions that take the module to judge.

`test_gates.py` holds the shipped modules to them and checks that no altered copy passes. All numbers are made up so
that every border can be stood on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from core.records import Gate, Seal
from core.stats import paired_interval, rate_lower_bound, rate_upper_bound
from core.status import Verdict
from sim import policy
from sim.evidence import Evidence, Pair
from sim.judge import Judgement
from sim.lockstep import Exchange
from sim.visited import Stretch, Visited
from sim.workers.answer import Rolled
from sim.workers.forgery import Forgery

Rule = Callable[[ModuleType], None]
NOWHERE: Any = None  # the gates never look at the scenario
NO_COMMAND = np.zeros((1, 1))
PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE

ALPHA = 0.025
SUPERIORITY = policy.Superiority(margin=0.0625)  # exact in binary
HOPELESS = policy.Hopeless(worth=0.05, clip=0.15, drop_at=5.0)
LIMITS = policy.Limits(bound=0.5, confidence=0.95)
WORST = policy.WorstDecile(share=0.25, margin=0.25)
ELSEWHERE = policy.Elsewhere(scenarios=2, severities=(0.5, 1.5), worse=1.5, broken_limit="arm")
STRICT = policy.Elsewhere(scenarios=2, severities=(0.5, 1.5), worse=1.5, broken_limit="fail")
DELAY = policy.DelayMargin(scenarios=2, added_ms=(4.0, 8.0), growth=2.0)
GAIN = policy.GainMargin(scenarios=2, factors=(0.5, 2.0), growth=2.0)
LAW = policy.Law(load=0.25, ns_per_operation=10.0)
TWIN = policy.TwinQuality(fidelity=0.7)
NOVELTY = policy.Novelty(slack=0.25, share=0.25)
BUDGET = policy.Alpha(per_incident=0.05, attempts=2, incident_renews_h=1.0, per_day=0.1)


@dataclass(frozen=True)
class Named:
    """FAKE: a scenario of which only the name is asked."""

    name: str


def judged(
    error: float = 1.0,
    *,
    effort: float = 16.0,
    variation: float = 2.0,
    worst: float = 4.0,
    broken: bool = False,
    diverged: bool = False,
    visited: Visited | None = None,
) -> Judgement:
    """A made-up judgement."""
    return Judgement(
        metrics={
            "rms_tracking_error": error,
            "max_tracking_error": worst,
            "rms_effort": effort,
            "torque_variation": variation,
        },
        peak_error=(worst,),
        peak_variation_nm=variation,
        diverged=diverged,
        safety_share=0.0,
        clipped_share=0.0,
        limit_broken=broken or diverged,
        visited=visited or Visited(low=(), high=()),
    )


def paired(before: Sequence[Judgement], after: Sequence[Judgement]) -> tuple[Pair, ...]:
    return tuple(Pair(scenario=NOWHERE, before=b, after=a) for b, a in zip(before, after, strict=True))


def tracked(before: Sequence[float], after: Sequence[float]) -> tuple[Pair, ...]:
    """Pairs that differ in their tracking error alone."""
    return paired([judged(error) for error in before], [judged(error) for error in after])


def worked(before: Sequence[float], after: Sequence[float]) -> tuple[Pair, ...]:
    """Pairs that differ in their effort alone."""
    return paired([judged(effort=value) for value in before], [judged(effort=value) for value in after])


def varied(before: Sequence[float], after: Sequence[float]) -> tuple[Pair, ...]:
    """Pairs that differ in their torque variation alone."""
    return paired([judged(variation=value) for value in before], [judged(variation=value) for value in after])


def broke(before: Sequence[bool], after: Sequence[bool]) -> tuple[Pair, ...]:
    """Pairs that differ in the limits they break."""
    return paired([judged(broken=flag) for flag in before], [judged(broken=flag) for flag in after])


SOUND = tracked([2.0, 2.0], [1.0, 1.0])


def gathered(
    sealed: Sequence[Pair] = SOUND,
    severities: Mapping[float, Sequence[Pair]] | None = None,
    delays: Mapping[float, Sequence[Pair]] | None = None,
    gains: Mapping[float, Sequence[Pair]] | None = None,
) -> Evidence:
    def group(given: Mapping[float, Sequence[Pair]] | None, key: float) -> dict[float, tuple[Pair, ...]]:
        return {k: tuple(v) for k, v in (given if given is not None else {key: SOUND}).items()}

    return Evidence(
        sealed=tuple(sealed), severities=group(severities, 0.0), delays=group(delays, 0.004), gains=group(gains, 2.0)
    )


def says(gate: Gate, name: str, verdict: Verdict, *parts: str) -> None:
    """The answer, with the facts that its sentence must hold, in this order; the words between them are free."""
    assert gate.name == name
    assert gate.verdict is verdict, gate
    at = 0
    for part in parts:
        at = gate.why.find(part, at)
        assert at >= 0, (part, gate.why)
        at += len(part)


# -- one verdict from many --------------------------------------------------------------------------------------------


def one_verdict_comes_from_many(m: ModuleType) -> None:
    assert m.overall([PASS, PASS]) is PASS
    assert m.overall([PASS, OPEN]) is OPEN
    assert m.overall([OPEN, FAIL, PASS]) is FAIL
    assert m.overall(iter([PASS, FAIL])) is FAIL
    assert m.overall([]) is OPEN


def an_answer_is_what_was_said(m: ModuleType) -> None:
    gate = m.answer("delay", OPEN, "because")
    assert (gate.name, gate.verdict, gate.why) == ("delay", OPEN, "because")


def finite_means_every_metric_of_the_candidate(m: ModuleType) -> None:
    assert m.finite(tracked([math.nan], [1.0]))
    assert not m.finite(tracked([1.0, 1.0], [1.0, math.inf]))
    assert not m.finite(paired([judged()], [judged(worst=math.nan)]))
    assert m.finite([])


def complete_means_that_no_group_is_empty(m: ModuleType) -> None:
    assert m.complete({0.0: SOUND, 1.0: SOUND})
    assert not m.complete({0.0: SOUND, 1.0: ()})
    assert not m.complete({})


def only_limits_that_the_incumbent_keeps_are_newly_broken(m: ModuleType) -> None:
    assert m.newly_broken(broke([False, False, True, True], [True, True, True, False])) == 2
    assert m.newly_broken(broke([False, True], [False, True])) == 0


def means_are_over_all_pairs(m: ModuleType) -> None:
    assert m.mean_metric(tracked([1.0, 2.0, 6.0], [4.0, 5.0, 9.0]), "rms_tracking_error") == (3.0, 6.0)
    assert m.mean_metric(worked([2.0], [3.0]), "rms_effort") == (2.0, 3.0)


def units_and_names_are_spoken(m: ModuleType) -> None:
    assert (m.thousandths("rad"), m.thousandths("m"), m.thousandths("1")) == ("mrad", "mm", "thousandths")
    assert m.spoken("rms_tracking_error") == "RMS tracking error"
    assert m.NO_NUMBER.endswith("not a number")


# -- superiority ------------------------------------------------------------------------------------------------------


def _superior(m: ModuleType, pairs: Sequence[Pair], planned: int | None = None, alpha: float = ALPHA) -> Gate:
    found: Gate = m.superior_tracking(
        pairs, SUPERIORITY, alpha=alpha, planned=len(pairs) if planned is None else planned, hopeless=HOPELESS
    )
    return found


def tracking_must_fall_beyond_doubt(m: ModuleType) -> None:
    halved = ("by -50.0 %", "with 97.5 %", "-50.0 %", "3 pairs", "-6.25 %")
    says(_superior(m, tracked([2.0] * 3, [1.0] * 3)), "superior_tracking", PASS, *halved)
    ends = paired_interval(np.log([0.5, 0.25, 0.125]), 0.95)
    low, high = (100 * math.expm1(value) for value in (ends.low, ends.high))
    unclear = ("by -75.0 %", "97.5 %", f"{high:+.1f} %", "3 pairs", f"{low:+.1f} %")
    says(_superior(m, tracked([8.0] * 3, [4.0, 2.0, 1.0])), "superior_tracking", OPEN, *unclear)
    doubled = ("by +100.0 %", "+100.0 %", "2 pairs")
    says(_superior(m, tracked([1.0] * 2, [2.0] * 2)), "superior_tracking", FAIL, *doubled)
    says(_superior(m, tracked([2.0] * 3, [1.0] * 3), alpha=0.05), "superior_tracking", PASS, "95 %")


def tracking_must_fall_by_the_margin(m: ModuleType) -> None:
    assert _superior(m, tracked([1.0, 2.0], [0.93, 1.86])).verdict is PASS
    assert _superior(m, tracked([1.0, 2.0], [0.94, 1.88])).verdict is FAIL
    assert _superior(m, tracked([1.0, 1.0], [0.9375, 0.9375])).verdict is FAIL  # the margin itself is not beyond it
    assert _superior(m, tracked([1.0, 1.0], [0.93, 0.94])).verdict is OPEN
    assert _superior(m, tracked([1.0, 3.0], [1.0, 3.0])).verdict is FAIL


def the_test_is_one_sided_at_alpha(m: ModuleType) -> None:
    changes = [-0.3, -0.1, -0.2, -0.25]
    pairs = tracked([1.0] * 4, [math.exp(change) for change in changes])
    levels = [
        alpha for alpha in (0.4, 0.1, 0.05, 0.02, 0.01, 0.005) if _superior(m, pairs, alpha=alpha).verdict is PASS
    ]
    assert levels == [
        a for a in (0.4, 0.1, 0.05, 0.02, 0.01, 0.005) if paired_interval(changes, 1 - 2 * a).high < math.log(0.9375)
    ]
    assert 0 < len(levels) < 6


def fewer_pairs_than_planned_never_pass(m: ModuleType) -> None:
    says(_superior(m, tracked([2.0] * 3, [1.0] * 3), planned=4), "superior_tracking", OPEN, "only 3 of 4 pairs")
    says(_superior(m, (), planned=4), "superior_tracking", OPEN, "only 0 of 4 pairs")
    worthless = _superior(m, tracked([1.0] * 5, [3.0] * 5), planned=59)
    says(worthless, "superior_tracking", FAIL, "hopeless after 5 of 59", "+200.0 %")


def tracking_that_is_no_number_fails(m: ModuleType) -> None:
    for bad in (math.nan, math.inf, 0.0, -1.0):
        for pairs in (tracked([2.0, 2.0, 2.0], [1.0, bad, 1.0]), tracked([2.0, bad, 2.0], [1.0, 1.0, 1.0])):
            says(_superior(m, pairs), "superior_tracking", FAIL, "not a number")
    hidden = paired([judged(2.0)] * 2, [judged(1.0), judged(1.0, worst=math.nan)])
    says(_superior(m, hidden), "superior_tracking", FAIL, "not a number")


# -- non-inferiority --------------------------------------------------------------------------------------------------


def _effort(m: ModuleType, pairs: Sequence[Pair], margin: float, free: float = 0.0, alpha: float = ALPHA) -> Gate:
    return m.non_inferior("rms_effort", margin, pairs, alpha=alpha, free=free)  # type: ignore[no-any-return]


def effort_may_grow_by_its_margin_and_no_more(m: ModuleType) -> None:
    why = ("by +25.0 %", "with 97.5 %", "+25.0 %", "+25 %")
    says(_effort(m, worked([16.0, 16.0], [20.0, 20.0]), 0.25), "non_inferior_effort", PASS, *why)
    why = ("by +37.5 %", "+37.5 %", "+25 %")
    says(_effort(m, worked([16.0, 16.0], [22.0, 22.0]), 0.25), "non_inferior_effort", FAIL, *why)
    why = ("RMS effort", "by +1000.0 %", "+1000.0 %", "+200 %")
    says(_effort(m, worked([16.0, 16.0], [176.0, 176.0]), 2.0), "non_inferior_effort", FAIL, *why)
    assert _effort(m, worked([16.0, 16.0], [8.0, 8.0]), 0.0).verdict is PASS
    assert _effort(m, worked([0.5, 0.5], [0.5, 0.5]), 0.0).verdict is PASS


def effort_between_the_ends_of_its_interval_is_open(m: ModuleType) -> None:
    before, after = [16.0] * 3, [16.0, 18.0, 20.0]
    ends = paired_interval([0.0, 0.125, 0.25], 1 - 2 * ALPHA)
    why = ("by +12.5 %", f"{100 * ends.high:+.1f} %", "+25 %", f"{100 * ends.low:+.1f} %")
    says(_effort(m, worked(before, after), 0.25), "non_inferior_effort", OPEN, *why)
    border = paired_interval([1.0, 1.25, 1.5], 1 - 2 * ALPHA)
    assert _effort(m, worked(before, [32.0, 36.0, 40.0]), border.low).verdict is OPEN
    assert _effort(m, worked(before, [32.0, 36.0, 40.0]), math.nextafter(border.low, 0.0)).verdict is FAIL
    assert _effort(m, worked(before, [32.0, 36.0, 40.0]), border.high).verdict is PASS
    wider = paired_interval([1.0, 1.25, 1.5], 1 - 2 * 0.1)
    assert _effort(m, worked(before, [32.0, 36.0, 40.0]), wider.high, alpha=0.1).verdict is PASS
    assert "90 %" in _effort(m, worked(before, [32.0, 36.0, 40.0]), 1.0, alpha=0.1).why


def growth_is_a_share_of_the_incumbents_mean(m: ModuleType) -> None:
    assert "by +20.0 %" in _effort(m, worked([8.0, 32.0], [12.0, 36.0]), 0.1).why


def other_metrics_have_their_own_names_and_units(m: ModuleType) -> None:
    pairs = paired([judged(worst=2.0)] * 2, [judged(worst=1.0)] * 2)
    gate = m.non_inferior("max_tracking_error", 0.1, pairs, alpha=ALPHA, unit="rad")
    says(gate, "non_inferior_max_tracking_error", PASS, "max tracking error", "-50.0 %", "0.2 rad")
    says(m.non_inferior("torque_variation", 0.1, pairs, alpha=ALPHA), "non_inferior_torque_variation", PASS, "0.2 N*m")


def a_free_amount_widens_the_margin_and_never_narrows_it(m: ModuleType) -> None:
    grown = worked([16.0, 16.0], [24.0, 24.0])
    assert _effort(m, grown, 0.25).verdict is FAIL
    gate = _effort(m, grown, 0.25, free=8.0)
    assert gate.verdict is PASS
    assert "+50 %" in gate.why
    assert _effort(m, grown, 0.25, free=4.0).verdict is FAIL
    assert "+25 %, that is 4 N*m" in _effort(m, grown, 0.25, free=2.0).why
    assert "+25 %, that is 4 N*m" in m.non_inferior("rms_effort", 0.25, grown, alpha=ALPHA).why


def effort_that_is_no_number_fails(m: ModuleType) -> None:
    for bad in (math.nan, math.inf, -math.inf):
        says(_effort(m, worked([16.0, 16.0], [8.0, bad]), 0.25), "non_inferior_effort", FAIL, "not a number")
        open_answer = _effort(m, worked([16.0, bad], [8.0, 8.0]), 0.25)
        says(open_answer, "non_inferior_effort", OPEN, "lost in 1 of 2 runs")
    says(_effort(m, worked([0.0, 0.0], [0.0, 0.0]), 0.25), "non_inferior_effort", FAIL, "not a number")


def effort_is_compared_only_where_the_incumbent_is_not_lost(m: ModuleType) -> None:
    """A run that came apart carries a number that stands for no torque at all."""
    gone = judged(effort=10000.0, diverged=True)
    fair = [judged()] * 3
    doubled = paired([*fair, gone], [judged(effort=32.0)] * 4)
    says(_effort(m, doubled, 0.25), "non_inferior_effort", FAIL, "by +100.0 %", "over 3 pairs")
    same = paired([*fair, gone], [judged()] * 4)
    says(_effort(m, same, 0.25), "non_inferior_effort", PASS, "by +0.0 %", "over 3 pairs")
    half = paired([*fair[:2], gone, gone], [judged()] * 4)
    says(_effort(m, half, 0.25), "non_inferior_effort", PASS, "over 2 pairs")
    fewer = paired([*fair[:2], gone, gone, gone], [judged()] * 5)
    says(_effort(m, fewer, 0.25), "non_inferior_effort", OPEN, "lost in 3 of 5 runs")
    most = paired([fair[0], gone, gone], [judged()] * 3)
    says(_effort(m, most, 0.25), "non_inferior_effort", OPEN, "lost in 2 of 3 runs")


# -- limits -----------------------------------------------------------------------------------------------------------


def the_bound_on_broken_limits_decides(m: ModuleType) -> None:
    good = [False] * 5
    says(m.limits(broke(good, good), LIMITS), "limits", PASS, "0 of 5 runs", "0 with", "with 95 %", "45.1 %", " 50 %")
    short = broke([False] * 4, [False] * 4)
    says(m.limits(short, LIMITS), "limits", OPEN, "0 of 4 runs", "52.7 %")
    one = [True, *[False] * 9]
    says(m.limits(broke([False] * 10, one), LIMITS), "limits", PASS, "1 of 10 runs", "39.4 %")
    at = policy.Limits(bound=1.0 - 0.05**0.2, confidence=0.95)
    assert m.limits(broke(good, good), at).verdict is PASS
    surely = policy.Limits(bound=rate_lower_bound(3, 4), confidence=0.95)  # at the border nothing is sure
    assert m.limits(broke([True] * 4, [True] * 3 + [False]), surely).verdict is OPEN
    exact = policy.Limits(bound=rate_upper_bound(1, 8), confidence=0.95)
    assert m.limits(broke([False] * 8, [True] + [False] * 7), exact).verdict is PASS
    assert not m.out_of_reach(1, 8, exact)
    assert m.limits(broke(good, good), policy.Limits(bound=0.45, confidence=0.95)).verdict is OPEN
    assert m.limits(broke(good, good), policy.Limits(bound=0.45, confidence=0.9)).verdict is PASS
    assert m.limits((), LIMITS).verdict is OPEN


def broken_limits_that_may_be_too_many_fail_unless_they_are_fewer_than_before(m: ModuleType) -> None:
    good, bad, worse = [False] * 4, [True, False, False, False], [True, True, False, False]
    says(m.limits(broke(good, bad), LIMITS), "limits", FAIL, "1 of 4 runs", "0 with", "75.1 %")
    says(m.limits(broke(bad, bad), LIMITS), "limits", FAIL, "1 of 4 runs", "1 with")
    says(m.limits(broke(worse, bad), LIMITS), "limits", OPEN, "1 of 4 runs", "2 with")
    most = broke([True] * 8, [True] * 7 + [False])  # fewer, and yet surely above half
    says(m.limits(most, LIMITS), "limits", FAIL, "7 of 8 runs", "8 with")


def too_many_broken_limits_are_out_of_reach(m: ModuleType) -> None:
    half = policy.Limits(bound=0.05, confidence=0.95)
    assert [m.out_of_reach(k, 59, half) for k in (0, 1)] == [False, True]
    assert [m.out_of_reach(k, 93, half) for k in (1, 2)] == [False, True]
    assert m.out_of_reach(0, 58, half)


# -- the worst decile -------------------------------------------------------------------------------------------------


def the_worst_runs_keep_to_their_margin_on_average(m: ModuleType) -> None:
    good = tracked([1.0] * 8, [0.5] * 6 + [1.0, 1.5])
    says(m.worst_decile(good, WORST), "worst_decile", PASS, "worst 2 of 8", "1.25 times", "1.00 to 1.50", "1.25")
    bad = tracked([1.0] * 8, [0.5] * 6 + [1.25, 2.0])
    says(m.worst_decile(bad, WORST), "worst_decile", OPEN, "1.62 times", "1.25 to 2.00")
    worse = tracked([1.0] * 8, [1.5, 2.0, *[0.5] * 6])
    says(m.worst_decile(worse, WORST), "worst_decile", FAIL, "1.75 times", "1.50 to 2.00")


def one_bad_run_of_the_worst_is_no_failure_yet(m: ModuleType) -> None:
    odd = tracked([1.0] * 12, [0.5] * 9 + [1.0, 1.5, 4.0])
    says(m.worst_decile(odd, WORST), "worst_decile", OPEN, "worst 3 of 12", "2.17 times", "1.00 to 4.00")


def a_share_of_runs_is_rounded_up(m: ModuleType) -> None:
    says(m.worst_decile(tracked([1.0] * 5, [0.5] * 5), WORST), "worst_decile", PASS, "worst 2 of 5", "0.50 times")
    says(m.worst_decile(tracked([1.0], [1.25]), WORST), "worst_decile", PASS, "worst 1 of 1")


def worst_runs_without_numbers_fail_and_without_runs_are_open(m: ModuleType) -> None:
    for bad in (math.nan, 0.0, math.inf):
        says(m.worst_decile(tracked([1.0, 1.0], [0.5, bad]), WORST), "worst_decile", FAIL, "not a number")
    says(m.worst_decile((), WORST), "worst_decile", OPEN, "nothing was run")


# -- the delay margin -------------------------------------------------------------------------------------------------


def _delay(m: ModuleType, alone: float, after: float, before: float = 0.5, delay_s: float = 0.004) -> Gate:
    # the sealed runs beyond the first two are other tasks, and must not be compared with
    sealed = tracked([4.0] * 4, [alone - 0.25, alone + 0.25, 64.0, 64.0])
    delayed = tracked([before - 0.125, before + 0.125], [after - 0.25, after + 0.25])
    return m.delay_margin(gathered(sealed, delays={delay_s: delayed}), DELAY)  # type: ignore[no-any-return]


def error_may_double_under_more_delay(m: ModuleType) -> None:
    says(_delay(m, 1.0, 2.0), "delay_margin", PASS, "2.00 times with 4 ms")
    says(_delay(m, 1.0, 2.5), "delay_margin", FAIL, "2.5 times with 4 ms", "2 times")
    says(_delay(m, 2.0, 3.0), "delay_margin", PASS, "1.50 times with 4 ms")


def error_may_grow_to_what_the_incumbent_has(m: ModuleType) -> None:
    assert _delay(m, 1.0, 3.0, before=3.0).verdict is PASS
    assert _delay(m, 1.0, 3.0, before=2.75).verdict is FAIL


def every_delay_counts_in_order(m: ModuleType) -> None:
    sealed = tracked([4.0, 4.0], [1.0, 1.0])
    slow, slower = tracked([2.0, 2.0], [1.25, 1.25]), tracked([2.0, 2.0], [1.5, 1.5])
    gate = m.delay_margin(gathered(sealed, delays={0.008: slower, 0.004: slow}), DELAY)
    says(gate, "delay_margin", PASS, "1.25 times with 4 ms", "1.50 times with 8 ms")
    lost = tracked([2.0, 2.0], [9.0, 9.0])
    assert m.delay_margin(gathered(sealed, delays={0.004: slow, 0.008: lost}), DELAY).verdict is FAIL


def limits_that_the_delay_breaks_fail(m: ModuleType) -> None:
    sealed = tracked([4.0, 4.0], [1.0, 1.0])

    def with_delay(before: tuple[bool, bool], after: tuple[bool, bool]) -> Gate:
        pairs = paired([judged(9.0, broken=d) for d in before], [judged(1.0, broken=d) for d in after])
        return m.delay_margin(gathered(sealed, delays={0.008: pairs}), DELAY)  # type: ignore[no-any-return]

    why = ("1 of 2 runs", "with 8 ms")
    says(with_delay((False, False), (True, False)), "delay_margin", FAIL, *why)
    says(with_delay((True, False), (True, True)), "delay_margin", FAIL, *why)
    assert with_delay((True, False), (True, False)).verdict is PASS
    assert with_delay((True, True), (False, False)).verdict is PASS


def delay_without_an_answer_is_open_and_without_a_number_fails(m: ModuleType) -> None:
    for delays in ({}, {0.004: ()}, {0.004: SOUND, 0.008: ()}):
        says(m.delay_margin(gathered(delays=delays), DELAY), "delay_margin", OPEN, "nothing was run")
    for bad in (judged(math.nan), judged(1.0, worst=math.inf)):
        delayed = paired([judged(2.0)] * 2, [judged(1.0), bad])
        gate = m.delay_margin(gathered(delays={0.004: SOUND, 0.008: delayed}), DELAY)
        says(gate, "delay_margin", FAIL, "not a number", "with 8 ms")
    standing = gathered(tracked([1.0, 1.0], [0.0, 0.0]), delays={0.004: tracked([1.0] * 2, [4.0] * 2)})
    says(m.delay_margin(standing, DELAY), "delay_margin", FAIL, "inf times with 4 ms")


# -- the gain margin --------------------------------------------------------------------------------------------------


def _gain(m: ModuleType, alone: float, after: float, before: float = 0.5, factor: float = 2.0) -> Gate:
    sealed = varied([4.0] * 4, [alone - 0.25, alone + 0.25, 64.0, 64.0])
    stronger = varied([before - 0.125, before + 0.125], [after - 0.25, after + 0.25])
    return m.gain_margin(gathered(sealed, gains={factor: stronger}), GAIN)  # type: ignore[no-any-return]


def variation_may_double_at_another_gain(m: ModuleType) -> None:
    says(_gain(m, 1.0, 2.0), "gain_margin", PASS, "2.00 times at 2 times the loop gain")
    says(_gain(m, 1.0, 2.5), "gain_margin", FAIL, "2.5 times at 2 times the loop gain", "2 times")
    says(_gain(m, 2.0, 3.0), "gain_margin", PASS, "1.50 times at 2 times")
    says(_gain(m, 1.0, 3.0, before=3.0), "gain_margin", PASS, "3.00 times")
    assert _gain(m, 1.0, 3.0, before=2.75).verdict is FAIL


def every_gain_counts_in_order_and_tracking_does_not(m: ModuleType) -> None:
    sealed = varied([2.0, 2.0], [1.0, 1.0])
    weak = paired([judged(variation=2.0)] * 2, [judged(64.0, variation=1.25)] * 2)
    strong = varied([2.0, 2.0], [1.5, 1.5])
    gate = m.gain_margin(gathered(sealed, gains={2.0: strong, 0.5: weak}), GAIN)
    says(gate, "gain_margin", PASS, "1.25 times at 0.5 times", "1.50 times at 2 times")


def limits_that_the_gain_breaks_fail(m: ModuleType) -> None:
    sealed = varied([4.0, 4.0], [1.0, 1.0])

    def at_gain(before: tuple[bool, bool], after: tuple[bool, bool]) -> Gate:
        pairs = paired([judged(broken=d) for d in before], [judged(variation=1.0, broken=d) for d in after])
        return m.gain_margin(gathered(sealed, gains={0.5: pairs}), GAIN)  # type: ignore[no-any-return]

    says(at_gain((False, False), (True, False)), "gain_margin", FAIL, "1 of 2 runs", "at 0.5 times")
    assert at_gain((True, False), (True, False)).verdict is PASS


def gain_without_an_answer_is_open_and_without_a_number_fails(m: ModuleType) -> None:
    for gains in ({}, {0.5: SOUND, 2.0: ()}):
        says(m.gain_margin(gathered(gains=gains), GAIN), "gain_margin", OPEN, "nothing was run")
    bad = paired([judged()] * 2, [judged(), judged(worst=math.nan)])
    says(m.gain_margin(gathered(gains={2.0: bad}), GAIN), "gain_margin", FAIL, "not a number", "at 2 times")
    still = gathered(varied([1.0, 1.0], [0.0, 0.0]), gains={2.0: varied([1.0] * 2, [4.0] * 2)})
    says(m.gain_margin(still, GAIN), "gain_margin", FAIL, "inf times at 2 times")


# -- elsewhere --------------------------------------------------------------------------------------------------------


def a_patch_that_suits_the_healthy_plant_needs_no_trigger(m: ModuleType) -> None:
    halved = tracked([0.008, 0.024], [0.004, 0.012])
    groups = {1.5: tracked([0.6, 0.6], [0.7, 0.7]), 0.0: tracked([0.008, 0.024], [0.016, 0.032]), 0.5: halved}
    gate, armed = m.elsewhere("there", groups, ELSEWHERE)
    says(gate, "there", PASS, "x0: ", "16 -> 24 mrad", "x0.5: ", "16 -> 8 mrad", "x1.5: ", "600 -> 700 mrad")
    assert armed is False


def worse_tracking_elsewhere_arms_the_trigger(m: ModuleType) -> None:
    worse = tracked([0.016, 0.016], [0.024, 0.025])
    gate, armed = m.elsewhere("there", {0.0: worse, 1.5: worse, 0.5: SOUND}, ELSEWHERE, "m")
    assert armed is True
    says(gate, "there", PASS, "worse", "at x0, x1.5", "revert trigger", "x0: ", "16 -> 24.5 mm")
    assert m.elsewhere("there", {0.5: tracked([1.0] * 2, [1.5, 1.5])}, ELSEWHERE)[1] is False


def a_limit_broken_elsewhere_arms_the_trigger_or_fails_as_the_policy_says(m: ModuleType) -> None:
    for severity in (0.0, 0.5, 1.5):
        groups = {0.0: SOUND, 0.5: SOUND, 1.5: SOUND}
        groups[severity] = paired([judged(2.0)] * 2, [judged(1.0, broken=True), judged(1.0)])
        for rule, verdict in ((ELSEWHERE, PASS), (STRICT, FAIL)):
            gate, armed = m.elsewhere("there", groups, rule)
            assert armed is True
            says(gate, "there", verdict, "breaks limits", f"1 of 2 runs at x{severity:g}", "x0: ")
            assert ("revert trigger" in gate.why) == (rule is ELSEWHERE)
    both = paired([judged(2.0, broken=True)] * 2, [judged(1.0, broken=True), judged(1.0)])
    assert m.elsewhere("there", {0.0: SOUND, 1.5: both}, STRICT)[0].verdict is PASS
    assert m.elsewhere("there", {0.0: SOUND, 1.5: both}, STRICT)[1] is False


def runs_that_came_apart_have_no_error_to_average(m: ModuleType) -> None:
    lost = paired([judged(2.0)] * 2, [judged(9.0, diverged=True), judged(1.0)])
    gate, armed = m.elsewhere("there", {0.0: lost}, ELSEWHERE)
    assert armed is True
    says(gate, "there", PASS, "1 of 2 runs at x0", "x0: error 2e+03 -> 1e+03 mrad")
    rescued = paired([judged(9.0, diverged=True), judged(2.0)], [judged(1.0)] * 2)
    gate, armed = m.elsewhere("there", {0.0: SOUND, 1.5: rescued}, ELSEWHERE)
    assert armed is False
    says(gate, "there", PASS, "x1.5: error 2e+03 -> 1e+03 mrad")
    all_lost = paired([judged(9.0, diverged=True)] * 2, [judged(1.0)] * 2)
    gate, armed = m.elsewhere("there", {0.0: all_lost}, ELSEWHERE)
    assert (gate.why, armed) == ("no run in which neither controller is lost", False)


def a_broken_limit_stays_known_through_the_severities_after_it(m: ModuleType) -> None:
    first = paired([judged(2.0)] * 2, [judged(1.0, broken=True)] * 2)
    gate, armed = m.elsewhere("there", {0.0: first, 0.5: first, 1.5: SOUND}, ELSEWHERE)
    assert armed is True
    says(gate, "there", PASS, "2 of 2 runs at x0", "2 of 2 runs at x0.5", "revert trigger")


def elsewhere_that_nobody_asked_is_open_and_armed(m: ModuleType) -> None:
    for groups in ({}, {0.0: ()}, {0.0: SOUND, 0.5: ()}):
        gate, armed = m.elsewhere("there", groups, ELSEWHERE)
        says(gate, "there", OPEN, "nothing was run")
        assert armed is True
    for bad in (judged(math.nan), judged(1.0, worst=math.nan)):
        groups = {0.0: SOUND, 0.5: paired([judged(2.0)] * 2, [judged(1.0), bad])}
        gate, armed = m.elsewhere("there", groups, ELSEWHERE)
        says(gate, "there", FAIL, "not a number", "x0.5")
        assert armed is True


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


def _past(before: Sequence[Judgement], after: Sequence[Judgement]) -> tuple[Pair, ...]:
    named: Any = _Named
    return tuple(
        Pair(scenario=named(f"day {k}"), before=b, after=a) for k, (b, a) in enumerate(zip(before, after, strict=True))
    )


def past_incidents_are_asked_one_by_one(m: ModuleType) -> None:
    calm = _past([judged(1.0), judged(2.0)], [judged(1.5), judged(1.0)])
    gate, armed = m.regressions(calm, ELSEWHERE)
    says(gate, "regressions", PASS, "no worse", "2 past incidents")
    assert armed is False
    gate, armed = m.regressions(calm[:1], ELSEWHERE)
    assert gate.why.endswith("in 1 past incident")
    gate, armed = m.regressions((), ELSEWHERE)
    says(gate, "regressions", PASS, "0 past incidents")
    assert armed is False
    assert "left out" not in gate.why
    gate, armed = m.regressions(calm, ELSEWHERE, 3)
    says(gate, "regressions", PASS, "2 past incidents", "3 of a robot of other parts left out")
    assert armed is False
    gate, armed = m.regressions(None, ELSEWHERE)
    says(gate, "regressions", OPEN, "nothing was run")
    assert armed is True


def a_past_incident_that_is_worse_now_arms_the_trigger(m: ModuleType) -> None:
    worse = _past([judged(1.0), judged(1.0), judged(1.0)], [judged(1.0), judged(1.6), judged(1.7)])
    gate, armed = m.regressions(worse, STRICT)
    says(gate, "regressions", PASS, "worse", "2 of 3 past incidents", "revert trigger", "day 1")
    assert armed is True
    lost = _past([judged(1.0, diverged=True)], [judged(8.0, diverged=True)])
    assert m.regressions(lost, STRICT)[1] is False
    saved = _past([judged(1.0, diverged=True)], [judged(8.0)])
    assert m.regressions(saved, STRICT)[1] is False
    apart = _past([judged(1.0, broken=True)], [judged(8.0, diverged=True)])  # its error is no number to compare
    assert m.regressions(apart, STRICT)[1] is False


def a_limit_broken_in_a_past_incident_counts_where_the_incumbent_keeps_it(m: ModuleType) -> None:
    broken = _past(
        [judged(1.0), judged(1.0, broken=True), judged(1.0)], [judged(), judged(broken=True), judged(broken=True)]
    )
    for rule, verdict in ((ELSEWHERE, PASS), (STRICT, FAIL)):
        gate, armed = m.regressions(broken, rule)
        says(gate, "regressions", verdict, "breaks limits", "1 of 3 past incidents", "day 2")
        assert armed is True
    gate, armed = m.regressions(broken[:2], STRICT)
    assert (gate.verdict, armed) == (PASS, False)


def a_past_incident_that_is_no_number_fails(m: ModuleType) -> None:
    gate, armed = m.regressions(_past([judged()], [judged(math.nan)]), ELSEWHERE)
    says(gate, "regressions", FAIL, "not a number")
    assert armed is True


# -- law, twin, novelty, alpha ----------------------------------------------------------------------------------------


def a_law_must_fit_into_its_share_of_the_period(m: ModuleType) -> None:
    # 3125 operations of 10 ns are 31.25 us of 125 us, exact in binary
    says(
        m.law_cost(3125, 0.000125, LAW, 1.0), "law_cost", PASS, "3125 operations of 10 ns", " 25 %", "allowed are 25 %"
    )
    says(m.law_cost(3200, 0.000125, LAW, 1.0), "law_cost", FAIL, "3200 operations", "26 %", "25 %")


def a_machine_that_is_slower_than_assumed_counts_as_it_is(m: ModuleType) -> None:
    assert m.law_cost(1000, 0.000125, LAW, 10.0).why == m.law_cost(1000, 0.000125, LAW, 0.01).why
    says(m.law_cost(1000, 0.000125, LAW, 10.1), "law_cost", PASS, "of 20 ns", "16 %")
    says(m.law_cost(1000, 0.000125, LAW, 20.0), "law_cost", PASS, "of 20 ns")
    says(m.law_cost(1000, 0.000125, LAW, 20.1), "law_cost", FAIL, "of 40 ns", "32 %")
    for bad in (math.nan, math.inf, 0.0, -1.0):
        says(m.law_cost(1, 1.0, LAW, bad), "law_cost", FAIL, "could not be measured")


def a_twin_must_repeat_the_incident(m: ModuleType) -> None:
    says(m.twin_fidelity(0.7, TWIN), "fidelity", PASS, "70 %", "70 %")
    says(m.twin_fidelity(0.69, TWIN), "fidelity", OPEN, "69 %", "70 %")
    assert m.twin_fidelity(0.8, TWIN).verdict is PASS
    says(m.twin_fidelity(math.nan, TWIN), "fidelity", FAIL, "not a number")


def _incident(*rows: tuple[float, float]) -> Stretch:
    return Stretch(names=("speed of a", "command of b"), units=("rad/s", "N*m"), rows=np.array(rows))


def _seen(*ranges: tuple[tuple[float, float], tuple[float, float]], diverged: bool = False) -> tuple[Pair, ...]:
    runs = [judged(visited=Visited(low=low, high=high), diverged=diverged) for low, high in ranges]
    nowhere = judged(visited=Visited(low=(-9.0, -9.0), high=(9.0, 9.0)))  # where the candidate went says nothing
    return paired(runs, [nowhere] * len(runs))


def an_incident_inside_of_what_was_visited_is_covered(m: ModuleType) -> None:
    seen = _seen(((0.0, 0.0), (1.0, 1.0)), ((-1.0, 0.0), (0.5, 4.0)))  # together: -1 to 1 and 0 to 4, slack 0.5 and 1
    inside = _incident((-1.5, 5.0), (1.5, -1.0), (0.0, 2.0))
    says(m.novelty(inside, seen, NOVELTY), "novelty", PASS, "0.0 %", "25 %")
    quarter = _incident((0.0, 0.0), (0.0, 5.5), (0.0, 0.0), (0.0, 0.0))
    says(m.novelty(quarter, seen, NOVELTY), "novelty", PASS, "25.0 %", "25 %")


def an_incident_beyond_what_was_visited_is_open(m: ModuleType) -> None:
    seen = _seen(((-1.0, 0.0), (1.0, 4.0)))
    above = _incident((0.0, 1.0), (0.0, 5.5), (0.0, 6.0), (0.0, 2.0))
    why = ("command of b", "1 to 6 N*m", "0 to 4", "50 %", "25 %", "robot.toml")
    says(m.novelty(above, seen, NOVELTY), "novelty", OPEN, *why)
    below = _incident((-2.0, 1.0), (-1.6, 0.0))
    says(m.novelty(below, seen, NOVELTY), "novelty", OPEN, "speed of a", "-2 to -1.6 rad/s", "-1 to 1", "100 %")


def rows_that_are_no_number_do_not_count_and_nothing_but_them_fails(m: ModuleType) -> None:
    seen = _seen(((-1.0, 0.0), (1.0, 4.0)))
    holes = _incident((math.nan, 1.0), (0.0, math.nan), (0.0, 9.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0))
    says(m.novelty(holes, seen, NOVELTY), "novelty", PASS, "20.0 %")
    says(m.novelty(_incident((math.nan, 1.0)), seen, NOVELTY), "novelty", FAIL, "not a number")
    odd = _seen(((-1.0, math.nan), (1.0, 4.0)))
    says(m.novelty(_incident((0.0, 1.0)), odd, NOVELTY), "novelty", FAIL, "not a number")


def runs_in_which_the_incumbent_is_lost_visited_nothing(m: ModuleType) -> None:
    lost = _seen(((-99.0, -99.0), (99.0, 99.0)), diverged=True)
    says(m.novelty(_incident((0.0, 0.0)), lost, NOVELTY), "novelty", OPEN, "no run")
    says(m.novelty(_incident((0.0, 0.0)), (), NOVELTY), "novelty", OPEN, "no run")
    some = (*lost, *_seen(((-1.0, 0.0), (1.0, 4.0))))
    assert m.novelty(_incident((9.0, 0.0)), some, NOVELTY).verdict is OPEN


def _seal(attempt: int) -> Seal:
    words = dict.fromkeys(("patch_id", "incident_id", "robot_id", "telemetry_sha", "base_sha", "result_sha"), "")
    return Seal(**words, policy_sha="", attempt=attempt, alpha=0.025, at_ns=0, public_key="", signature="")


def an_attempt_spends_its_share_of_alpha(m: ModuleType) -> None:
    says(m.alpha_budget(_seal(1), BUDGET), "alpha_budget", PASS, "attempt 1 of 2", "0.025", "0.05")
    assert m.alpha_budget(_seal(2), BUDGET).verdict is PASS
    says(m.alpha_budget(_seal(3), BUDGET), "alpha_budget", OPEN, "attempt 3 of 2")
    assert m.alpha_budget(_seal(0), BUDGET).verdict is OPEN
    says(m.alpha_spent("not before noon"), "alpha_budget", OPEN, "not before noon")


def driven(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The same pairs with each of the candidate's runs in lockstep."""
    exchange = Exchange(shown=NO_COMMAND, said=NO_COMMAND)
    return tuple(
        replace(pair, run=Rolled(judgement=pair.after, command=NO_COMMAND, exchange=exchange)) for pair in pairs
    )


def runs_that_came_out_the_same_pass(m: ModuleType) -> None:
    says(m.replayed(driven(SOUND), ()), "replay", PASS, "2 runs")


def one_run_that_did_not_fails_whatever_the_others_did(m: ModuleType) -> None:
    somewhere: Any = Named("reach 3")
    forged = Forgery(scenario=somewhere, what="the law commands something else")
    says(m.replayed(driven(SOUND), [forged]), "replay", FAIL, "1 of 2 runs", "reach 3", "commands something else")
    says(m.replayed(SOUND, [forged, forged]), "replay", FAIL, "2 of 2 runs")


def a_run_that_the_law_broke_off_fails(m: ModuleType) -> None:
    somewhere: Any = Named("reach 3")
    says(m.broken_off(Forgery(scenario=somewhere, what="no answer")), "replay", FAIL, "reach 3", "no answer")


def runs_that_were_not_driven_apart_are_open(m: ModuleType) -> None:
    says(m.replayed((), ()), "replay", OPEN, "0 of 0")
    says(m.replayed((*driven(SOUND), SOUND[0]), ()), "replay", OPEN, "1 of 3")
    first, second = driven(SOUND)
    says(m.replayed((replace(first, after=judged(0.5)), second), ()), "replay", OPEN, "1 of 2")
    claim = Rolled(judgement=first.after, command=NO_COMMAND)
    says(m.replayed((replace(first, run=claim), second), ()), "replay", OPEN, "1 of 2")


def runs_are_those_of_the_candidate_in_order(m: ModuleType) -> None:
    first, second = driven(tracked([2.0, 2.0], [1.0, 1.5]))
    claim = replace(first, run=Rolled(judgement=first.after, command=NO_COMMAND))
    assert m.runs_of([first, SOUND[0], claim, second]) == [(NOWHERE, first.run), (NOWHERE, second.run)]


def who_is_known_to_be_bad_must_have_been_refused(m: ModuleType) -> None:
    weak, liar = m.Drill(name="weak", refused=True), m.Drill(name="liar", refused=True)
    says(m.drilled([weak, liar]), "drill", PASS, "refused, as they must be: weak, liar")
    says(m.drilled([weak, replace(liar, refused=False)]), "drill", OPEN, "let through: liar;")
    says(m.drilled([replace(weak, refused=False), replace(liar, refused=False)]), "drill", OPEN, "weak, liar;")
    says(m.drilled([]), "drill", OPEN, "nothing was tried")


RULES: dict[str, tuple[Rule, ...]] = {
    "answer": (
        one_verdict_comes_from_many,
        an_answer_is_what_was_said,
        finite_means_every_metric_of_the_candidate,
        complete_means_that_no_group_is_empty,
        only_limits_that_the_incumbent_keeps_are_newly_broken,
        means_are_over_all_pairs,
        units_and_names_are_spoken,
    ),
    "superiority": (
        tracking_must_fall_beyond_doubt,
        tracking_must_fall_by_the_margin,
        the_test_is_one_sided_at_alpha,
        fewer_pairs_than_planned_never_pass,
        tracking_that_is_no_number_fails,
    ),
    "non_inferiority": (
        effort_may_grow_by_its_margin_and_no_more,
        effort_between_the_ends_of_its_interval_is_open,
        growth_is_a_share_of_the_incumbents_mean,
        other_metrics_have_their_own_names_and_units,
        a_free_amount_widens_the_margin_and_never_narrows_it,
        effort_that_is_no_number_fails,
        effort_is_compared_only_where_the_incumbent_is_not_lost,
    ),
    "limits": (
        the_bound_on_broken_limits_decides,
        broken_limits_that_may_be_too_many_fail_unless_they_are_fewer_than_before,
        too_many_broken_limits_are_out_of_reach,
    ),
    "worst_decile": (
        the_worst_runs_keep_to_their_margin_on_average,
        one_bad_run_of_the_worst_is_no_failure_yet,
        a_share_of_runs_is_rounded_up,
        worst_runs_without_numbers_fail_and_without_runs_are_open,
    ),
    "delay_margin": (
        error_may_double_under_more_delay,
        error_may_grow_to_what_the_incumbent_has,
        every_delay_counts_in_order,
        limits_that_the_delay_breaks_fail,
        delay_without_an_answer_is_open_and_without_a_number_fails,
    ),
    "gain_margin": (
        variation_may_double_at_another_gain,
        every_gain_counts_in_order_and_tracking_does_not,
        limits_that_the_gain_breaks_fail,
        gain_without_an_answer_is_open_and_without_a_number_fails,
    ),
    "elsewhere": (
        a_patch_that_suits_the_healthy_plant_needs_no_trigger,
        worse_tracking_elsewhere_arms_the_trigger,
        a_limit_broken_elsewhere_arms_the_trigger_or_fails_as_the_policy_says,
        runs_that_came_apart_have_no_error_to_average,
        a_broken_limit_stays_known_through_the_severities_after_it,
        elsewhere_that_nobody_asked_is_open_and_armed,
        past_incidents_are_asked_one_by_one,
        a_past_incident_that_is_worse_now_arms_the_trigger,
        a_limit_broken_in_a_past_incident_counts_where_the_incumbent_keeps_it,
        a_past_incident_that_is_no_number_fails,
    ),
    "law_cost": (
        a_law_must_fit_into_its_share_of_the_period,
        a_machine_that_is_slower_than_assumed_counts_as_it_is,
    ),
    "fidelity": (a_twin_must_repeat_the_incident,),
    "novelty": (
        an_incident_inside_of_what_was_visited_is_covered,
        an_incident_beyond_what_was_visited_is_open,
        rows_that_are_no_number_do_not_count_and_nothing_but_them_fails,
        runs_in_which_the_incumbent_is_lost_visited_nothing,
    ),
    "replay": (
        runs_that_came_out_the_same_pass,
        one_run_that_did_not_fails_whatever_the_others_did,
        a_run_that_the_law_broke_off_fails,
        runs_that_were_not_driven_apart_are_open,
        runs_are_those_of_the_candidate_in_order,
    ),
    "alpha": (an_attempt_spends_its_share_of_alpha,),
    "drill": (who_is_known_to_be_bad_must_have_been_refused,),
}
