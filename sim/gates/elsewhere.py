"""Elsewhere: what the patch does where it was not made for, and whether it needs a trigger that takes it back.

Elsewhere is the healthy plant, the fault at other strengths, and past incidents. A patch for a load cannot suit the
robot without one; what it must have is a way back. A patch that breaks limits elsewhere which the incumbent keeps, or
tracks clearly worse than it, may therefore only run with an armed revert trigger; the policy can make the former a
failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.records import Gate
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import NO_NUMBER, answer, complete, finite, mean_metric, newly_broken, thousandths
from sim.policy import FAIL, Elsewhere

_ARMED = "so it may only run with an armed revert trigger"


def elsewhere(
    name: str, groups: Mapping[float, Sequence[Pair]], rule: Elsewhere, unit: str = "rad"
) -> tuple[Gate, bool]:
    """The answer of gate `name` over severities of the fault, and whether the patch needs a revert trigger.

    Args:
        groups: severity -> pairs.
        unit: of the tracking error.
    """
    if not complete(groups):
        return answer(name, Verdict.INCONCLUSIVE, "nothing was run there"), True
    broken, worse, words = [], [], []
    for severity, pairs in sorted(groups.items()):
        if not finite(pairs):
            return answer(name, Verdict.FAIL, f"{NO_NUMBER} at x{severity:g}"), True
        if count := newly_broken(pairs):
            broken.append(f"{count} of {len(pairs)} runs at x{severity:g}")
        kept = [p for p in pairs if not (p.before.diverged or p.after.diverged)]
        if kept:  # a run that came apart has no tracking error to average
            before, after = mean_metric(kept, "rms_tracking_error")
            words.append(f"x{severity:g}: error {1000 * before:.3g} -> {1000 * after:.3g} {thousandths(unit)}")
            if not after <= rule.worse * before:
                worse.append(f"x{severity:g}")
    facts = "; ".join(words) or "no run in which neither controller is lost"
    if broken:
        what = f"breaks limits that the incumbent keeps in {', '.join(broken)}"
        return _broken(name, what, facts, rule), True
    if worse:
        return answer(name, Verdict.PASS, f"worse than the incumbent at {', '.join(worse)}, {_ARMED} ({facts})"), True
    return answer(name, Verdict.PASS, facts), False


def regressions(pairs: Sequence[Pair] | None, rule: Elsewhere, left_out: int = 0) -> tuple[Gate, bool]:
    """The answer over past incidents, one run for each, and whether the patch needs a revert trigger.

    Args:
        pairs: None if they were not run; that there was no past incident yet is an answer.
        left_out: past incidents of a robot that was made of other parts.
    """
    name = "regressions"
    if pairs is None:
        return answer(name, Verdict.INCONCLUSIVE, "nothing was run there"), True
    if not finite(pairs):
        return answer(name, Verdict.FAIL, f"{NO_NUMBER} in a past incident"), True
    of = f"{len(pairs)} past incident{'' if len(pairs) == 1 else 's'}"
    if left_out:
        of += f" ({left_out} of a robot of other parts left out)"
    worst = [pair for pair in pairs if pair.after.limit_broken and not pair.before.limit_broken]
    if worst:
        what = f"breaks limits that the incumbent keeps in {len(worst)} of {of}"
        return _broken(name, what, f"such as {worst[0].scenario.name}", rule), True
    worse = [
        pair
        for pair in pairs
        if not (pair.before.diverged or pair.after.diverged)
        and not pair.after.metrics["rms_tracking_error"] <= rule.worse * pair.before.metrics["rms_tracking_error"]
    ]
    if worse:
        why = f"worse than the incumbent in {len(worse)} of {of}, {_ARMED} (such as {worse[0].scenario.name})"
        return answer(name, Verdict.PASS, why), True
    return answer(name, Verdict.PASS, f"no worse than the incumbent in {of}"), False


def _broken(name: str, what: str, facts: str, rule: Elsewhere) -> Gate:
    if rule.broken_limit == FAIL:
        return answer(name, Verdict.FAIL, f"{what} ({facts})")
    return answer(name, Verdict.PASS, f"{what}, {_ARMED} ({facts})")
