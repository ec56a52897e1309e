"""A language model writes a law: structure, never numbers.

The checker reads each answer; what it refuses goes back with its message, three times at most. A law that says what the
incumbent or an earlier candidate says is refused before anything is simulated. The numbers of what is left are tuned.
When the endpoint is down, slow or talks rubbish, the others go on.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from core.errors import BadInput
from patcher.curves import curves_of
from patcher.llm.answer import Answer, law_of, normal_form
from patcher.llm.brief import brief, prompt_id
from patcher.llm.settings import LlmSettings
from patcher.llm.writer import MakeModel, NoAnswer, Writer
from patcher.propose.base import Proposal, Situation, code_proposal
from patcher.propose.tune import tuned_law
from patcher.spent import Spent
from sim.workers.base import Workers

_REPAIRS = 3
_SIGMA = 0.3  # a model guesses
_log = logging.getLogger(__name__)


class Llm:
    """Proposes a law that a model wrote.

    Args:
        settings: of the model; without one there is nobody to ask.
        make_model: how the model is had, for recordings and tests.
    """

    name = "llm"

    def __init__(self, settings: LlmSettings | None = None, make_model: MakeModel | None = None) -> None:
        self.settings, self._make_model = settings or LlmSettings(), make_model
        self.spent = Spent()  # for the last incident
        self.refused: tuple[str, ...] = ()  # why answers to the last incident were

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        self.spent, self.refused = Spent(), ()
        if not self.settings.wanted or situation.budget < 1:
            return []
        before = workers.rollouts
        writer = Writer(self.settings, self._make_model)
        prompt = brief(situation, curves_of(situation, workers))
        known = {normal_form(each.proposal.artefact) for each in situation.tried}
        try:
            for _ in range(1 + _REPAIRS):
                answer = writer.write(prompt)
                try:
                    law, neutral = law_of(answer, situation.incumbent, situation.twin.robot)
                    if normal_form(law) in known:
                        raise BadInput("this law was tried already; answer the diagnosis in another way")
                except BadInput as error:
                    self.refused += (str(error),)
                    prompt = f"The checker refuses it: {error}\nMend that and give the whole function and table again."
                    continue
                left = replace(situation, budget=situation.budget - (workers.rollouts - before))
                law = tuned_law(left, workers, law, neutral, _SIGMA)
                said = _said(answer, self.settings)
                found = code_proposal(situation, self.name, law, neutral, said, workers.rollouts - before)
                return [found] if found else []
        except NoAnswer as error:
            self.refused += (str(error),)
            _log.warning("llm %s: %s", self.settings.model, error)
        finally:
            self.spent = writer.spent
        return []


def _said(answer: Answer, settings: LlmSettings) -> str:
    """The model's own words, marked as such."""
    words = " ".join(text for text in (answer.comment, answer.effect) if text) or "it gave no reason"
    return f'{settings.model} ({prompt_id()}) says: "{words[:300]}"'
