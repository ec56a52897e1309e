"""What the gates promise, as plain functions that take the module to judge.

`test_gates.py` holds the shipped module to them and checks that no altered copy passes. All numbers are made up so that
every border can be stood on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from core.records import Gate
from core.stats import paired_interval
from core.status import Verdict
from sim.evidence import Evidence, Pair
from sim.judge import Judgement

Rule = Callable[[ModuleType], None]
NOWHERE: Any = None  # the gates never look at the scenario
PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def judged(
    error: float = 1.0,
    *,
    effort: float = 16.0,
    variation: float = 2.0,
    worst: float = 4.0,
    broken: bool = False,
    diverged: bool = False,
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
    )


def paired(before: Sequence[Judgement], after: Sequence[Judgement]) -> tuple[Pair, ...]:
    return tuple(Pair(scenario=NOWHERE, before=b, after=a) for b, a in zip(before, after, strict=True))


def tracked(before: Sequence[float], after: Sequence[float]) -> tuple[Pair, ...]:
    """Pairs that differ in their tracking error alone."""
    return paired([judged(error) for error in before], [judged(error) for error in after])


def worked(before: Sequence[float], after: Sequence[float]) -> tuple[Pair, ...]:
    """Pairs that differ in their effort alone."""
    return paired([judged(effort=value) for value in before], [judged(effort=value) for value in after])


def broke(before: Sequence[bool], after: Sequence[bool]) -> tuple[Pair, ...]:
    """Pairs that differ in the limits they break."""
    return paired([judged(broken=flag) for flag in before], [judged(broken=flag) for flag in after])


SOUND = tracked([2.0, 2.0], [1.0, 1.0])


def gathered(
    sealed: Sequence[Pair] = SOUND,
    severities: Mapping[float, Sequence[Pair]] | None = None,
    delays: Mapping[float, Sequence[Pair]] | None = None,
) -> Evidence:
    return Evidence(
        sealed=tuple(sealed),
        severities={k: tuple(v) for k, v in (severities if severities is not None else {0.0: SOUND}).items()},
        delays={k: tuple(v) for k, v in (delays if delays is not None else {0.004: SOUND}).items()},
        rollouts=0,
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


def published_margins(m: ModuleType) -> None:
    assert (m.EFFORT_MARGIN, m.VARIATION_MARGIN, m.FREE_VARIATION_PER_S) == (0.10, 0.25, 1.5)
    assert (m.MIN_FIDELITY, m.MAX_LOAD, m.NS_PER_OPERATION, m.DELAY_FACTOR) == (0.7, 0.2, 10.0, 2.0)
    assert (m.ATTEMPTS, m.LEVEL) == (2, 0.975)


def one_verdict_comes_from_many(m: ModuleType) -> None:
    assert m.overall([PASS, PASS]) is PASS
    assert m.overall([PASS, OPEN]) is OPEN
    assert m.overall([OPEN, FAIL, PASS]) is FAIL
    assert m.overall(iter([PASS, FAIL])) is FAIL
    assert m.overall([]) is OPEN


def tracking_must_fall_beyond_doubt(m: ModuleType) -> None:
    halved = ("by -50.0 %", "-50.0 to -50.0 %", "3 pairs")
    says(m.superior_tracking(tracked([2.0] * 3, [1.0] * 3)), "superior_tracking", PASS, *halved)
    unclear = ("by -75.0 %", f"{100 * m.LEVEL:g} % interval", "3 pairs")
    says(m.superior_tracking(tracked([8.0] * 3, [4.0, 2.0, 1.0])), "superior_tracking", OPEN, *unclear)
    doubled = ("by +100.0 %", "+100.0 to +100.0 %", "2 pairs")
    says(m.superior_tracking(tracked([1.0] * 2, [2.0] * 2)), "superior_tracking", FAIL, *doubled)


def a_small_change_of_tracking_counts_when_it_is_certain(m: ModuleType) -> None:
    assert m.superior_tracking(tracked([1.0, 2.0], [0.995, 1.99])).verdict is PASS
    assert m.superior_tracking(tracked([1.0, 1.0], [0.9999, 1.0001])).verdict is OPEN
    assert m.superior_tracking(tracked([1.0, 2.0], [1.005, 2.01])).verdict is FAIL


def the_same_tracking_is_no_improvement(m: ModuleType) -> None:
    same = ("by +0.0 %", "+0.0 to +0.0 %", "2 pairs")
    says(m.superior_tracking(tracked([1.0, 3.0], [1.0, 3.0])), "superior_tracking", FAIL, *same)


def tracking_that_is_no_number_fails(m: ModuleType) -> None:
    for bad in (math.nan, math.inf, 0.0, -1.0):
        for pairs in (tracked([2.0, 2.0, 2.0], [1.0, bad, 1.0]), tracked([2.0, bad, 2.0], [1.0, 1.0, 1.0])):
            says(m.superior_tracking(pairs), "superior_tracking", FAIL, "not a number")
    hidden = paired([judged(2.0)] * 2, [judged(1.0), judged(1.0, worst=math.nan)])
    says(m.superior_tracking(hidden), "superior_tracking", FAIL, "not a number")


def _effort(m: ModuleType, pairs: Sequence[Pair], margin: float, free: float = 0.0) -> Gate:
    return m.non_inferior("rms_effort", "effort", margin, pairs, free)  # type: ignore[no-any-return]


def effort_may_grow_by_its_margin_and_no_more(m: ModuleType) -> None:
    why = ("by +25.0 %", "97.5 % interval", "+25.0 to +25.0 %", "+25 %")
    says(_effort(m, worked([16.0, 16.0], [20.0, 20.0]), 0.25), "non_inferior_effort", PASS, *why)
    why = ("by +37.5 %", "+37.5 to +37.5 %", "+25 %")
    says(_effort(m, worked([16.0, 16.0], [22.0, 22.0]), 0.25), "non_inferior_effort", FAIL, *why)
    why = ("RMS effort", "by +1000.0 %", "+1000.0 to +1000.0 %", "+200 %")
    says(_effort(m, worked([16.0, 16.0], [176.0, 176.0]), 2.0), "non_inferior_effort", FAIL, *why)
    assert _effort(m, worked([16.0, 16.0], [8.0, 8.0]), 0.0).verdict is PASS
    assert _effort(m, worked([0.5, 0.5], [0.5, 0.5]), 0.0).verdict is PASS


def effort_between_the_ends_of_its_interval_is_open(m: ModuleType) -> None:
    before, after = [16.0] * 3, [16.0, 18.0, 20.0]
    ends = paired_interval([0.0, 0.125, 0.25], m.LEVEL)
    why = ("by +12.5 %", f"{100 * ends.low:+.1f} to {100 * ends.high:+.1f} %", "+25 %")
    says(_effort(m, worked(before, after), 0.25), "non_inferior_effort", OPEN, *why)
    border = paired_interval([1.0, 1.25, 1.5], m.LEVEL).low
    assert _effort(m, worked(before, [32.0, 36.0, 40.0]), border).verdict is OPEN
    assert _effort(m, worked(before, [32.0, 36.0, 40.0]), math.nextafter(border, 0.0)).verdict is FAIL


def growth_is_a_share_of_the_incumbents_mean(m: ModuleType) -> None:
    assert "+20.0 to +20.0 %" in _effort(m, worked([8.0, 32.0], [12.0, 36.0]), 0.1).why


def a_free_amount_widens_the_margin_and_never_narrows_it(m: ModuleType) -> None:
    grown = worked([16.0, 16.0], [24.0, 24.0])
    assert _effort(m, grown, 0.25).verdict is FAIL
    gate = _effort(m, grown, 0.25, free=8.0)
    assert gate.verdict is PASS
    assert "+50 %" in gate.why
    assert _effort(m, grown, 0.25, free=4.0).verdict is FAIL
    assert _effort(m, grown, 0.25, free=2.0).why.endswith("+25 %, that is 4 N*m")
    assert m.non_inferior("rms_effort", "effort", 0.25, grown).why.endswith("+25 %, that is 4 N*m")


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


def one_broken_limit_is_no_pass(m: ModuleType) -> None:
    good, bad = [False] * 4, [True, False, False, False]
    worse = [True, True, False, False]
    says(m.limits(broke(good, good)), "limits", PASS, "0 of 4 runs", "52.7 %", "0")
    says(m.limits(broke(worse, good)), "limits", PASS, "0 of 4 runs", "52.7 %", "2")
    says(m.limits(broke(good, bad)), "limits", FAIL, "1 of 4 runs", "75.1 %", "0")
    says(m.limits(broke(bad, bad)), "limits", FAIL, "1 of 4 runs", "75.1 %", "1")
    says(m.limits(broke(worse, bad)), "limits", OPEN, "1 of 4 runs", "75.1 %", "2")


def _delay(m: ModuleType, alone: float, after: float, before: float = 0.5, delay_s: float = 0.004) -> Gate:
    # the sealed runs beyond the first two are other tasks, and must not be compared with
    sealed = tracked([4.0] * 4, [alone - 0.25, alone + 0.25, 64.0, 64.0])
    delayed = tracked([before - 0.125, before + 0.125], [after - 0.25, after + 0.25])
    return m.delay_margin(gathered(sealed, delays={delay_s: delayed}))  # type: ignore[no-any-return]


def error_may_double_under_more_delay(m: ModuleType) -> None:
    says(_delay(m, 1.0, 2.0), "delay_margin", PASS, "2.00 times with 4 ms")
    says(_delay(m, 1.0, 2.5), "delay_margin", FAIL, "2.5 times with 4 ms")


def error_may_grow_to_what_the_incumbent_has(m: ModuleType) -> None:
    assert _delay(m, 1.0, 3.0, before=3.0).verdict is PASS
    assert _delay(m, 1.0, 3.0, before=2.75).verdict is FAIL


def every_delay_counts_in_order(m: ModuleType) -> None:
    sealed = tracked([4.0, 4.0], [1.0, 1.0])
    slow, slower = tracked([2.0, 2.0], [1.25, 1.25]), tracked([2.0, 2.0], [1.5, 1.5])
    gate = m.delay_margin(gathered(sealed, delays={0.008: slower, 0.004: slow}))
    says(gate, "delay_margin", PASS, "1.25 times with 4 ms", "1.50 times with 8 ms")
    lost = tracked([2.0, 2.0], [9.0, 9.0])
    assert m.delay_margin(gathered(sealed, delays={0.004: slow, 0.008: lost})).verdict is FAIL


def divergence_that_the_delay_brings_fails(m: ModuleType) -> None:
    sealed = tracked([4.0, 4.0], [1.0, 1.0])

    def with_delay(before: tuple[bool, bool], after: tuple[bool, bool]) -> Gate:
        pairs = paired([judged(9.0, diverged=d) for d in before], [judged(1.0, diverged=d) for d in after])
        return m.delay_margin(gathered(sealed, delays={0.008: pairs}))  # type: ignore[no-any-return]

    why = ("1 of 2 runs diverge", "with 8 ms")
    says(with_delay((False, False), (True, False)), "delay_margin", FAIL, *why)
    says(with_delay((True, False), (True, True)), "delay_margin", FAIL, *why)
    assert with_delay((True, False), (True, False)).verdict is PASS
    assert with_delay((True, True), (False, False)).verdict is PASS


def delay_without_an_answer_is_open_and_without_a_number_fails(m: ModuleType) -> None:
    for delays in ({}, {0.004: ()}, {0.004: SOUND, 0.008: ()}):
        says(m.delay_margin(gathered(delays=delays)), "delay_margin", OPEN, "nothing was run")
    for bad in (judged(math.nan), judged(1.0, worst=math.inf)):
        delayed = paired([judged(2.0)] * 2, [judged(1.0), bad])
        gate = m.delay_margin(gathered(delays={0.004: SOUND, 0.008: delayed}))
        says(gate, "delay_margin", FAIL, "not a number", "with 8 ms")
    standing = m.delay_margin(gathered(tracked([1.0, 1.0], [0.0, 0.0]), delays={0.004: tracked([1.0] * 2, [4.0] * 2)}))
    says(standing, "delay_margin", FAIL, "inf times with 4 ms")


def a_patch_that_suits_the_healthy_plant_needs_no_trigger(m: ModuleType) -> None:
    halved = tracked([0.008, 0.024], [0.004, 0.012])
    severities = {1.5: tracked([0.999, 0.999], [8.0, 8.0]), 0.0: tracked([0.008, 0.024], [0.016, 0.032]), 0.5: halved}
    gate, armed = m.healthy_plant(gathered(severities=severities))
    says(gate, "healthy_plant", PASS, "x0: ", "16 -> 24 mrad", "x0.5: ", "16 -> 8 mrad", "x1.5: ", "999 -> 8e+03 mrad")
    assert armed is False


def worse_tracking_of_the_healthy_plant_arms_the_trigger(m: ModuleType) -> None:
    gate, armed = m.healthy_plant(gathered(severities={0.0: tracked([0.016, 0.016], [0.024, 0.025])}))
    assert armed is True
    says(gate, "healthy_plant", PASS, "worse", "revert trigger", "x0: ", "16 -> 24.5 mrad")


def a_limit_broken_at_any_severity_arms_the_trigger(m: ModuleType) -> None:
    for severity in (0.0, 0.5, 1.5):
        groups = {0.0: SOUND, 0.5: SOUND, 1.5: SOUND}
        groups[severity] = paired([judged(2.0)] * 2, [judged(1.0, broken=True), judged(1.0)])
        gate, armed = m.healthy_plant(gathered(severities=groups))
        assert armed is True
        says(gate, "healthy_plant", PASS, "breaks limits", f"1 of 2 runs at x{severity:g}", "revert trigger", "x0: ")
    both = paired([judged(2.0, broken=True)] * 2, [judged(1.0, broken=True), judged(1.0)])
    gate, armed = m.healthy_plant(gathered(severities={0.0: SOUND, 1.5: both}))
    assert armed is True
    says(gate, "healthy_plant", PASS, "1 of 2 runs at x1.5 (2 with the incumbent)")
    lost = paired([judged(2.0)] * 2, [judged(9.0, diverged=True), judged(1.0)])
    gate, armed = m.healthy_plant(gathered(severities={0.0: lost, 1.5: SOUND}))
    assert armed is True
    says(gate, "healthy_plant", PASS, "1 of 2 runs at x0 (0 with the incumbent)", "x0: error 2e+03 -> 1e+03 mrad")
    rescued = paired([judged(9.0, diverged=True), judged(2.0)], [judged(1.0)] * 2)
    gate, armed = m.healthy_plant(gathered(severities={0.0: SOUND, 1.5: rescued}))
    assert armed is False
    says(gate, "healthy_plant", PASS, "x1.5: error 2e+03 -> 1e+03 mrad")
    all_lost = paired([judged(9.0, diverged=True)] * 2, [judged(1.0)] * 2)
    assert m.healthy_plant(gathered(severities={0.0: all_lost}))[0].why == "no run in which neither controller is lost"


def a_broken_limit_stays_known_through_the_severities_after_it(m: ModuleType) -> None:
    first = paired([judged(2.0)] * 2, [judged(1.0, broken=True)] * 2)
    gate, armed = m.healthy_plant(gathered(severities={0.0: first, 0.5: first, 1.5: SOUND}))
    assert armed is True
    says(gate, "healthy_plant", PASS, "2 of 2 runs at x0", "2 of 2 runs at x0.5", "revert trigger")


def a_healthy_plant_that_nobody_asked_is_open_and_armed(m: ModuleType) -> None:
    for severities in ({}, {0.5: SOUND}, {0.0: ()}, {0.0: SOUND, 0.5: ()}):
        gate, armed = m.healthy_plant(gathered(severities=severities))
        says(gate, "healthy_plant", OPEN, "nothing was run")
        assert armed is True
    for bad in (judged(math.nan), judged(1.0, worst=math.nan)):
        groups = {0.0: SOUND, 0.5: paired([judged(2.0)] * 2, [judged(1.0), bad])}
        gate, armed = m.healthy_plant(gathered(severities=groups))
        says(gate, "healthy_plant", FAIL, "not a number", "x0.5")
        assert armed is True


def a_law_must_fit_into_its_share_of_the_period(m: ModuleType) -> None:
    says(
        m.law_cost(2500, 0.000125), "law_cost", PASS, "2500 operations", "20 %", "20 %"
    )  # 25 us of 125 us, exact in binary
    says(m.law_cost(2600, 0.000125), "law_cost", FAIL, "2600 operations", "21 %", "20 %")


def a_twin_must_repeat_the_incident(m: ModuleType) -> None:
    says(m.twin_fidelity(0.7), "fidelity", PASS, "70 %", "70 %")
    says(m.twin_fidelity(0.69), "fidelity", OPEN, "69 %", "70 %")
    assert m.twin_fidelity(0.8).verdict is PASS
    assert m.twin_fidelity(math.nan).verdict is OPEN


GATE_RULES: tuple[Rule, ...] = (
    published_margins,
    one_verdict_comes_from_many,
    tracking_must_fall_beyond_doubt,
    a_small_change_of_tracking_counts_when_it_is_certain,
    the_same_tracking_is_no_improvement,
    tracking_that_is_no_number_fails,
    effort_may_grow_by_its_margin_and_no_more,
    effort_between_the_ends_of_its_interval_is_open,
    growth_is_a_share_of_the_incumbents_mean,
    a_free_amount_widens_the_margin_and_never_narrows_it,
    effort_that_is_no_number_fails,
    effort_is_compared_only_where_the_incumbent_is_not_lost,
    one_broken_limit_is_no_pass,
    error_may_double_under_more_delay,
    error_may_grow_to_what_the_incumbent_has,
    every_delay_counts_in_order,
    divergence_that_the_delay_brings_fails,
    delay_without_an_answer_is_open_and_without_a_number_fails,
    a_patch_that_suits_the_healthy_plant_needs_no_trigger,
    worse_tracking_of_the_healthy_plant_arms_the_trigger,
    a_limit_broken_at_any_severity_arms_the_trigger,
    a_broken_limit_stays_known_through_the_severities_after_it,
    a_healthy_plant_that_nobody_asked_is_open_and_armed,
    a_law_must_fit_into_its_share_of_the_period,
    a_twin_must_repeat_the_incident,
)
