"""What a robot's policy allows beside what was used of it, as rows: for pages, programs and the command line."""

from __future__ import annotations

from dataclasses import dataclass

from remend.agency.policy import KINDS, AgencyPolicy, Rules
from remend.agency.uses import Uses


@dataclass(frozen=True, slots=True, kw_only=True)
class UseRow:
    """One allowance of 24 h."""

    name: str
    used: float
    allowed: float
    unit: str  # "" for counts

    @property
    def words(self) -> str:
        """Such as `3 of 24`; nothing allowed is a word of its own."""
        unit = f" {self.unit}" if self.unit else ""
        if not self.allowed:
            return "never" if not self.used else f"never ({self.used:g}{unit} used)"
        return f"{self.used:g} of {self.allowed:g}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One robot's policy and what was used of it over the last 24 h."""

    robot_id: str
    version: int  # of the policy; 0: the defaults
    policy_sha: str
    own_rules: bool  # whether the robot has a table of its own
    persons: dict[str, int]  # who have to approve, by kind of patch
    rows: tuple[UseRow, ...]


def account(policy: AgencyPolicy, robot_id: str, used: Uses) -> Account:
    """The account of one robot."""
    rules = policy.of(robot_id)
    return Account(
        robot_id=robot_id,
        version=policy.version,
        policy_sha=policy.sha256,
        own_rules=robot_id in policy.robots,
        persons={kind: rules.of_kind(kind).persons for kind in KINDS},
        rows=tuple(_rows(rules, used)),
    )


def _rows(rules: Rules, used: Uses) -> list[UseRow]:
    budget, cost = rules.budget, used.cost
    kinds = [(kind, rules.of_kind(kind)) for kind in KINDS]
    return [
        *(
            UseRow(name=f"{kind}: proposed", used=used.proposed[kind], allowed=rule.proposed_per_day, unit="")
            for kind, rule in kinds
        ),
        *(
            UseRow(
                name=f"{kind}: approved by the policy",
                used=used.auto_approved[kind],
                allowed=rule.auto_approved_per_day,
                unit="",
            )
            for kind, rule in kinds
        ),
        UseRow(name="alpha", used=used.alpha, allowed=budget.alpha, unit=""),
        UseRow(name="simulations", used=cost.simulations, allowed=budget.simulations, unit=""),
        UseRow(name="tokens", used=cost.tokens, allowed=budget.tokens, unit=""),
        UseRow(name="money", used=cost.usd, allowed=budget.usd, unit="USD"),
    ]
