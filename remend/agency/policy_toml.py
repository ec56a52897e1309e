"""`policy.toml` in the home folder: read once, checked key by key, and refused where it contradicts itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from core.errors import BadInput
from core.toml_file import read_toml
from core.toml_table import Table
from remend.agency.policy import KINDS, AgencyPolicy, Budget, KindRule, Rules

FILE = "policy.toml"
_MOST_A_DAY, _MOST_RUNS, _MOST_TOKENS, _MOST_USD = 1000, 10**8, 10**9, 1e6


def load_agency(home: Path, file: str = "") -> AgencyPolicy:
    """The policy in `file`, which has to be there; by default that of the home folder, and without one the defaults.

    Raises:
        BadInput: the file is no TOML, a key is unknown or out of range, or two of them contradict each other.
    """
    path = Path(file) if file else home / FILE
    return read_agency(path) if file or path.exists() else AgencyPolicy()


def read_agency(file: Path) -> AgencyPolicy:
    """The policy in a file.

    Raises:
        BadInput: see `load_agency`.
    """
    top = Table(file, read_toml(file, what="a policy of what the service may do"))
    version = top.whole("version", 1, 10**9)
    default = _rules(top.table("default"), Rules()) if top.has("default") else Rules()
    robots = {}
    if top.has("robots"):
        data = top.table("robots")
        robots = {robot_id: _rules(data.table(robot_id), default) for robot_id in data.keys()}  # noqa: SIM118 a method of its own
    top.close()
    return AgencyPolicy(version=version, default=default, robots=robots)


def require_known_robots(policy: AgencyPolicy, known: Collection[str], file: str) -> None:
    """A table for a robot that is not there would leave the one that was meant to the defaults.

    Raises:
        BadInput: there is such a table.
    """
    for robot_id in policy.robots:
        if robot_id not in known:
            there = ", ".join(sorted(known)) or "none"
            raise BadInput(f"{file}: robots.{robot_id} is no robot of this service; known are {there}")


def _rules(table: Table, otherwise: Rules) -> Rules:
    """A table in which only what differs from `otherwise` need stand."""
    kinds = {kind: _kind(table.table(kind), otherwise.of_kind(kind)) for kind in KINDS if table.has(kind)}
    budget = _budget(table.table("budget"), otherwise.budget) if table.has("budget") else otherwise.budget
    table.close()
    return replace(otherwise, **kinds, budget=budget)


def _kind(table: Table, otherwise: KindRule) -> KindRule:
    def whole(key: str, low: int, high: int) -> int:
        value: int = table.whole(key, low, high) if table.has(key) else getattr(otherwise, key)
        return value

    rule = KindRule(
        proposed_per_day=whole("proposed_per_day", 0, _MOST_A_DAY),
        auto_approved_per_day=whole("auto_approved_per_day", 0, _MOST_A_DAY),
        persons=whole("persons", 1, 2),
    )
    if rule.auto_approved_per_day > rule.proposed_per_day:
        raise table.fail("auto_approved_per_day", f"is more than proposed_per_day, {rule.proposed_per_day}; lower it")
    if rule.auto_approved_per_day and rule.persons > 1:
        raise table.fail("auto_approved_per_day", "must be 0 where persons is 2: a policy is no person")
    table.close()
    return rule


def _budget(table: Table, otherwise: Budget) -> Budget:
    def whole(key: str, high: int) -> int:
        value: int = table.whole(key, 0, high) if table.has(key) else getattr(otherwise, key)
        return value

    budget = Budget(
        alpha=table.number("alpha", 0.0, 1.0) if table.has("alpha") else otherwise.alpha,
        simulations=whole("simulations", _MOST_RUNS),
        tokens=whole("tokens", _MOST_TOKENS),
        usd=table.number("usd", 0.0, _MOST_USD) if table.has("usd") else otherwise.usd,
    )
    table.close()
    return budget
