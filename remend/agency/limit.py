"""Holds one search to what is left of the day: simulations, and a model's tokens and money."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from core.ids import new_id
from patcher.llm.settings import LlmSettings
from patcher.propose.base import Proposer
from remend.agency.leash import LEAST_TOKENS, Leash
from remend.agency.uses import Cost, begin_search, end_search
from remend.healing import Healing
from remend.pipeline import Pipeline

Limit = Callable[[Pipeline, Healing], AbstractContextManager[None]]
Choose = Callable[[LlmSettings], tuple[Proposer, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimit:
    """Gives each search what is left, and writes down what it took.

    The search itself never passes what is left of the simulations. The evidence for what it finds is gathered to its
    end: half an evidence is worth nothing. It counts, so the next search waits the longer.

    Args:
        wanted: search rollouts of an incident, as the settings say.
        llm: settings of the model; what is left of a day can only lower them.
        choose: proposers under such settings.
    """

    leash: Leash
    wanted: int
    llm: LlmSettings
    choose: Choose

    @contextmanager
    def __call__(self, pipeline: Pipeline, healing: Healing) -> Iterator[None]:
        """One search within what is left."""
        asks = self.llm.wanted
        wanted = Cost(
            simulations=self.wanted,
            tokens=self.llm.tokens if asks else 0,
            usd=self._most_usd() if asks else 0.0,
        )
        left = self.leash.left(wanted)
        llm = self._within(left)
        robot_id, search = self.leash.robot_id, new_id("sea", self.leash.clock)
        with self.leash.store.journal("service") as journal:
            begin_search(journal, robot_id, search, left if llm.wanted else replace(left, tokens=0, usd=0.0))
        pipeline.budget, pipeline.llm, pipeline.proposers = left.simulations, llm, self._able(llm)
        try:
            yield
        finally:
            with self.leash.store.journal("service") as journal:
                end_search(journal, robot_id, search, self._took(healing))

    def _most_usd(self) -> float:
        """What an incident may cost at most; without a limit of its own, what its tokens could."""
        dearest = max(self.llm.usd_per_mtok_in, self.llm.usd_per_mtok_out)
        at_most = 1e-6 * self.llm.tokens * dearest
        return min(self.llm.usd, at_most) if self.llm.usd else at_most

    def _within(self, left: Cost) -> LlmSettings:
        """The model's settings for what is left; no model where that is too little to ask one."""
        priced = self._most_usd() > 0.0
        if not self.llm.wanted or left.tokens < LEAST_TOKENS or (priced and left.usd <= 0.0):
            return LlmSettings()
        return replace(self.llm, tokens=left.tokens, usd=left.usd if priced else self.llm.usd)

    def _able(self, llm: LlmSettings) -> tuple[Proposer, ...]:
        """Who can be asked: nobody trains weights that the policy does not allow."""
        allowed = self.leash.rules.weights.proposed_per_day > 0
        return tuple(each for each in self.choose(llm) if allowed or each.name not in _WEIGHTS_ONLY)

    def _took(self, healing: Healing) -> Cost:
        return Cost(
            simulations=healing.search_rollouts + healing.evidence_rollouts,
            tokens=healing.tokens_in + healing.tokens_out,
            usd=self.llm.cost_usd(healing.tokens_in, healing.tokens_out),
        )


_WEIGHTS_ONLY = frozenset({"rl"})  # proposers that bring nothing else
