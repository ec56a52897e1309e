"""`policy.toml`: read once, checked key by key, and refused where its numbers contradict each other."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

from core.toml_file import read_toml
from core.toml_table import Table
from sim.policy import (
    ARM,
    FAIL,
    Alpha,
    DelayMargin,
    Elsewhere,
    GainMargin,
    Hopeless,
    Law,
    Limits,
    NonInferiority,
    Novelty,
    Policy,
    Power,
    Racing,
    Sealed,
    Superiority,
    TwinQuality,
    WorstDecile,
)

VERSION = 1
SHIPPED = Path(__file__).parent / "policy.toml"
_TINY, _NEARLY = 1e-6, 0.999  # shares that are neither nothing nor everything
_MOST_RUNS = 10_000


@cache
def shipped_policy() -> Policy:
    """The policy that Remend ships."""
    return load_policy(SHIPPED)


def load_policy(file: Path) -> Policy:
    """Read a policy file.

    Raises:
        BadInput: the file or a key is missing, mistyped, out of range or unknown, or its numbers contradict each other.
    """
    top = Table(file, read_toml(file, what="a policy file"))
    version = top.whole("version", 0, 10**6)
    if version != VERSION:
        raise top.fail("version", f"is {version}, and this Remend reads version {VERSION}; start from its policy.toml")
    policy = Policy(
        version=version,
        alpha=_alpha(top.table("alpha")),
        sealed=_sealed(top.table("sealed")),
        power=_power(top.table("power")),
        superiority=_superiority(top.table("superiority")),
        non_inferiority=_non_inferiority(top.table("non_inferiority")),
        limits=_limits(top.table("limits")),
        worst_decile=_worst_decile(top.table("worst_decile")),
        elsewhere=_elsewhere(top.table("elsewhere")),
        delay_margin=_delay_margin(top.table("delay_margin")),
        gain_margin=_gain_margin(top.table("gain_margin")),
        law=_law(top.table("law")),
        twin=_twin(top.table("twin")),
        novelty=_novelty(top.table("novelty")),
        hopeless=_hopeless(top.table("hopeless")),
        racing=_racing(top.table("racing")),
    )
    top.close()
    _check_together(top, policy)
    return policy


def _check_together(top: Table, policy: Policy) -> None:
    alpha, power, hopeless = policy.alpha, policy.power, policy.hopeless
    if alpha.each > alpha.per_day:
        raise top.fail("alpha.per_day", f"must pay for one attempt, which spends {alpha.each:g}; raise it")
    if power.worth_finding <= policy.superiority.margin:
        raise top.fail("power.worth_finding", "must be above superiority.margin, or no candidate worth finding passes")
    if hopeless.clip <= hopeless.worth:
        raise top.fail("hopeless.clip", "must be above hopeless.worth, or there is nothing to bet on")
    if power.chance <= alpha.each:
        raise top.fail("power.chance", "must be above what one attempt spends of alpha")
    needed = policy.needed_scenarios()
    key = max(needed, key=lambda name: needed[name])
    if policy.sealed.scenarios < needed[key]:
        what = f"must be at least {needed[key]}, as {key} asks for, not {policy.sealed.scenarios}"
        raise top.fail("sealed.scenarios", f"{what}; raise it, or ask for less")
    fewest = max(policy.elsewhere.scenarios, policy.delay_margin.scenarios, policy.gain_margin.scenarios)
    if fewest > policy.sealed.scenarios:
        raise top.fail("sealed.scenarios", f"must be at least {fewest}: the other runs repeat the first of them")


def _alpha(table: Table) -> Alpha:
    found = Alpha(
        per_incident=table.number("per_incident", _TINY, 0.5),
        attempts=table.whole("attempts", 1, 100),
        incident_renews_h=table.number("incident_renews_h", 1.0, 1e6),
        per_day=table.number("per_day", _TINY, 1.0),
    )
    table.close()
    return found


def _sealed(table: Table) -> Sealed:
    found = Sealed(scenarios=table.whole("scenarios", 2, _MOST_RUNS))
    table.close()
    return found


def _power(table: Table) -> Power:
    found = Power(
        worth_finding=table.number("worth_finding", _TINY, _NEARLY),
        chance=table.number("chance", 0.5, _NEARLY),
        spread=table.number("spread", 1e-3, 10.0),
    )
    table.close()
    return found


def _superiority(table: Table) -> Superiority:
    found = Superiority(margin=table.number("margin", 0.0, _NEARLY))
    table.close()
    return found


def _non_inferiority(table: Table) -> NonInferiority:
    found = NonInferiority(
        effort=table.number("effort", 1e-3, 10.0),
        torque_variation=table.number("torque_variation", 1e-3, 10.0),
        max_tracking_error=table.number("max_tracking_error", 1e-3, 10.0),
        free_variation_per_s=table.number("free_variation_per_s", 0.0, 1e3),
    )
    table.close()
    return found


def _limits(table: Table) -> Limits:
    found = Limits(bound=table.number("bound", 1e-3, 0.5), confidence=table.number("confidence", 0.5, _NEARLY))
    table.close()
    return found


def _worst_decile(table: Table) -> WorstDecile:
    found = WorstDecile(share=table.number("share", 1e-3, 1.0), margin=table.number("margin", 0.0, 10.0))
    table.close()
    return found


def _elsewhere(table: Table) -> Elsewhere:
    found = Elsewhere(
        scenarios=table.whole("scenarios", 1, _MOST_RUNS),
        severities=_increasing(table, "severities", 1e-3, 10.0),
        worse=table.number("worse", 1.0, 1e3),
        broken_limit=table.choice("broken_limit", (ARM, FAIL)),
    )
    table.close()
    return found


def _delay_margin(table: Table) -> DelayMargin:
    found = DelayMargin(
        scenarios=table.whole("scenarios", 1, _MOST_RUNS),
        added_ms=_increasing(table, "added_ms", 0.1, 1e3),
        growth=table.number("growth", 1.0, 1e3),
    )
    table.close()
    return found


def _gain_margin(table: Table) -> GainMargin:
    found = GainMargin(
        scenarios=table.whole("scenarios", 1, _MOST_RUNS),
        factors=_increasing(table, "factors", 0.1, 10.0),
        growth=table.number("growth", 1.0, 1e3),
    )
    table.close()
    return found


def _law(table: Table) -> Law:
    found = Law(load=table.number("load", 1e-3, 1.0), ns_per_operation=table.number("ns_per_operation", 0.1, 1e6))
    table.close()
    return found


def _twin(table: Table) -> TwinQuality:
    found = TwinQuality(fidelity=table.number("fidelity", 0.0, 1.0))
    table.close()
    return found


def _novelty(table: Table) -> Novelty:
    found = Novelty(slack=table.number("slack", 0.0, 10.0), share=table.number("share", 0.0, 1.0))
    table.close()
    return found


def _hopeless(table: Table) -> Hopeless:
    found = Hopeless(
        worth=table.number("worth", 1e-3, 1.0),
        clip=table.number("clip", 1e-3, 10.0),
        drop_at=table.number("drop_at", 1.001, 1e6),
    )
    table.close()
    return found


def _racing(table: Table) -> Racing:
    stages = _increasing(table, "stages", 2, _MOST_RUNS)
    if any(stage != int(stage) for stage in stages):
        raise table.fail("stages", "must be whole numbers")
    found = Racing(stages=tuple(map(int, stages)), confidence=table.number("confidence", 0.5, _NEARLY))
    table.close()
    return found


def _increasing(table: Table, key: str, low: float, high: float) -> tuple[float, ...]:
    values = table.numbers(key, None, low, high)
    if not values or any(a >= b for a, b in pairwise(values)):
        raise table.fail(key, "must be a list of rising numbers, at least one")
    return values
