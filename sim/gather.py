"""Gathers evidence: runs incumbent and candidate through the scenarios that the gates ask about.

The sealed scenarios come first, a few at a time. As soon as they leave no pass, the rest is not run: a candidate that
is refused costs little, and one that passes has met every scenario that the policy asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from controllers.artefact import Artefact
from sim.evidence import Evidence, Pair, draw_scenarios
from sim.gates.answer import finite
from sim.gates.limits import out_of_reach
from sim.hopeless import is_hopeless
from sim.policy import Policy
from sim.scenario import Scenario
from sim.twin.twin import Twin
from sim.workers.base import Workers

FIRST_LOOK = 3  # sealed pairs; the next looks are at twice as many each


def run_pairs(
    workers: Workers, incumbent: Artefact, candidate: Artefact, scenarios: Sequence[Scenario]
) -> tuple[Pair, ...]:
    """Both laws in every scenario, the candidate in lockstep.

    Raises:
        Forged: the candidate's process did not keep to the exchange.
    """
    asked = [(law, scenario) for scenario in scenarios for law in (incumbent, candidate)]
    rolled = iter(workers.roll(asked, lockstep=candidate))
    found = []
    for scenario in scenarios:
        before, run = next(rolled), next(rolled)
        found.append(Pair(scenario=scenario, before=before.judgement, after=run.judgement, run=run))
    return tuple(found)


def run_sealed(
    workers: Workers, twin: Twin, incumbent: Artefact, candidate: Artefact, policy: Policy, seed: int
) -> tuple[Pair, ...]:
    """The sealed pairs; fewer than the policy asks for only if these leave no pass."""
    planned = policy.sealed.scenarios
    scenarios = draw_scenarios(twin, planned, seed)
    pairs: tuple[Pair, ...] = ()
    for look in _looks(planned):
        pairs += run_pairs(workers, incumbent, candidate, scenarios[len(pairs) : look])
        if _is_lost(pairs, policy):
            break
    return pairs


def _looks(planned: int) -> Iterator[int]:
    look = FIRST_LOOK
    while look < planned:
        yield look
        look *= 2
    yield planned


def _is_lost(pairs: Sequence[Pair], policy: Policy) -> bool:
    """Whether no further pair can bring a pass."""
    changes = [pair.change for pair in pairs]
    if not finite(pairs) or not all(map(math.isfinite, changes)):
        return True
    broken = sum(pair.after.limit_broken for pair in pairs)
    return out_of_reach(broken, policy.sealed.scenarios, policy.limits) or is_hopeless(changes, policy.hopeless)


def run_the_rest(
    workers: Workers,
    twin: Twin,
    incumbent: Artefact,
    candidate: Artefact,
    policy: Policy,
    seed: int,
    sealed: tuple[Pair, ...],
) -> Evidence:
    """The fault at other strengths, later commands and other loop gains: the same tasks as the first sealed ones."""
    elsewhere, delay, gain = policy.elsewhere, policy.delay_margin, policy.gain_margin
    severities = {
        severity: draw_scenarios(twin, elsewhere.scenarios, seed, severity=severity)
        for severity in (0.0, *elsewhere.severities)
    }
    delays = {
        ms / 1000.0: draw_scenarios(twin, delay.scenarios, seed, added_delay_s=ms / 1000.0) for ms in delay.added_ms
    }
    gains = {factor: draw_scenarios(twin, gain.scenarios, seed, loop_gain=factor) for factor in gain.factors}
    groups = [scenarios for group in (severities, delays, gains) for scenarios in group.values()]
    pairs = iter(run_pairs(workers, incumbent, candidate, [scenario for group in groups for scenario in group]))

    def each(group: dict[float, list[Scenario]]) -> dict[float, tuple[Pair, ...]]:
        return {key: tuple(next(pairs) for _ in scenarios) for key, scenarios in group.items()}

    return Evidence(sealed=sealed, severities=each(severities), delays=each(delays), gains=each(gains))
