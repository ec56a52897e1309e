"""Holds whoever looks after a robot to the policy: what may be searched, put before the gates, and approved by itself.

The default answer is no. What was used is counted in the records that everybody reads, so a restart forgets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.clock import Clock
from core.records import Candidate, ValidationReport
from core.status import Verdict
from remend.agency.policy import ACTOR, AgencyPolicy, Rules
from remend.agency.uses import Cost, Uses, uses
from remend.decision import Decision
from remend.service.freeze import frozen
from remend.service.risk import Level, risk_of
from remend.store import Store

_ROUNDING = 1e-9  # shares of alpha add up in binary
LEAST_TOKENS = 1000  # below which no model is asked; also the least that `llm.tokens` may be


@dataclass(frozen=True, slots=True, kw_only=True)
class Leash:
    """The policy for one robot, with what was used of it.

    Args:
        simulated: whether nobody can come to harm by the robot.
        alpha_each: what one sealed decision spends.
    """

    policy: AgencyPolicy
    robot_id: str
    simulated: bool
    store: Store
    clock: Clock
    alpha_each: float

    @property
    def rules(self) -> Rules:
        """What holds for the robot."""
        return self.policy.of(self.robot_id)

    def used(self) -> Uses:
        """What was used over the last 24 h."""
        with self.store.reading() as connection:
            return uses(connection, self.robot_id, self.clock.wall_ns())

    def left(self, wanted: Cost) -> Cost:
        """What a search that wants so much may cost."""
        budget, spent = self.rules.budget, self.used().cost
        return Cost(
            simulations=max(min(wanted.simulations, budget.simulations - spent.simulations), 0),
            tokens=max(min(wanted.tokens, budget.tokens - spent.tokens), 0),
            usd=max(min(wanted.usd, budget.usd - spent.usd), 0.0),
        )

    def why_no_search(self) -> str:
        """Why no search may begin now, in one sentence; empty if one may."""
        rules, used = self.rules, self.used()
        kinds = {"params": rules.params, "code": rules.code, "weights": rules.weights}
        if all(used.proposed[kind] >= rule.proposed_per_day for kind, rule in kinds.items()):
            counts = ", ".join(
                f"{used.proposed[kind]} of {rule.proposed_per_day} {kind}" for kind, rule in kinds.items()
            )
            return f"the policy allows no further patch for {self.robot_id} within 24 h ({counts})"
        if used.cost.simulations >= rules.budget.simulations:
            spent = f"{used.cost.simulations} of {rules.budget.simulations} simulations"
            return f"{self.robot_id} has used {spent} within 24 h; the policy allows no more"
        if used.alpha + self.alpha_each > rules.budget.alpha + _ROUNDING:
            spent = f"{used.alpha:g} of {rules.budget.alpha:g} alpha"
            return f"{self.robot_id} has spent {spent} within 24 h; the policy allows no further decision"
        return ""

    def why_not_proposed(self, candidate: Candidate) -> str:
        """Why a candidate may not be put before the gates, in one sentence; empty if it may."""
        rule, used = self.rules.of_kind(candidate.kind), self.used().proposed.get(candidate.kind, 0)
        if used < rule.proposed_per_day:
            return ""
        if not rule.proposed_per_day:
            return f"the policy allows no patch of {candidate.kind} for {self.robot_id}"
        return f"the policy allows {rule.proposed_per_day} patches of {candidate.kind} a day for {self.robot_id}"

    def decide(self, candidate: Candidate, report: ValidationReport) -> Decision | None:
        """The policy's own approval, where it has one to give; else a person decides."""
        rule = self.rules.of_kind(candidate.kind)
        if not self._may_approve(candidate, report):
            return None
        number = self.used().auto_approved.get(candidate.kind, 0) + 1
        if number > rule.auto_approved_per_day:
            return None
        reason = (
            f"approved by policy version {self.policy.version} ({self.policy.sha256[:12]}): "
            f"{candidate.kind} {number} of {rule.auto_approved_per_day} within 24 h"
        )
        return Decision(approve=True, actor=ACTOR, reason=reason)

    def _may_approve(self, candidate: Candidate, report: ValidationReport) -> bool:
        """Everything that has to hold besides the count; whatever is missing is a no."""
        rule = self.rules.of_kind(candidate.kind)
        if rule.auto_approved_per_day < 1 or rule.persons > 1:
            return False
        if report.verdict is not Verdict.PASS:
            return False
        if risk_of(candidate, report, simulated=self.simulated).level is Level.HIGH:
            return False
        with self.store.reading() as connection:
            return frozen(connection) is None
