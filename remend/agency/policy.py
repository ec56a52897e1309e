"""What may be proposed for a robot, what may be approved without a person, how often, and what it may cost in a day.

Nothing is approved by a policy unless it says so, for one kind of patch and for so many a day. This is another policy
than that of evidence (`sim/policy.py`): that one says what a patch has to prove, this one what may be tried at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.ids import sha256_of

KINDS = ("params", "code", "weights")  # of patches: which file of the artefact changes
ACTOR = "policy"  # who approves in the audit log where a policy does


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """What may be done with patches of one kind, over any 24 h."""

    proposed_per_day: int = 24  # put before the gates; 0: never
    auto_approved_per_day: int = 0  # approved without a person; 0: never
    persons: int = 1  # who have to approve the same hashes: 1, or 2 different ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one robot may cost over any 24 h."""

    alpha: float = 0.1  # chance of worthless promotions; the policy of evidence may allow less
    simulations: int = 20_000  # rollouts, of search and evidence
    tokens: int = 300_000  # of language models, prompts and answers
    usd: float = 5.0  # for them


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything that one robot is subject to."""

    params: KindRule = field(default_factory=KindRule)
    code: KindRule = field(default_factory=KindRule)
    weights: KindRule = field(default_factory=KindRule)
    budget: Budget = field(default_factory=Budget)

    def of_kind(self, kind: str) -> KindRule:
        """The rule for a kind of patch; what is not known may do nothing."""
        return {"params": self.params, "code": self.code, "weights": self.weights}.get(kind, NOTHING)


NOTHING = KindRule(proposed_per_day=0, auto_approved_per_day=0, persons=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyPolicy:
    """The rules of every robot."""

    version: int = 0  # counts up with every change; 0: there is no file, and the defaults hold
    default: Rules = field(default_factory=Rules)
    robots: Mapping[str, Rules] = field(default_factory=dict)  # robot id -> its own

    def of(self, robot_id: str) -> Rules:
        """The rules of one robot."""
        return self.robots.get(robot_id, self.default)

    @property
    def sha256(self) -> str:
        """Of what the policy says, whatever its file looks like."""
        return sha256_of(self)
