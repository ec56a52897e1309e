"""Known answers to known causes: parameters that the law has for them, or a skill that gives it the missing structure.

None of it needs a simulation to find. How much is the twin's business; whether it helps, the race's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product

from controllers.artefact import Artefact, with_params
from controllers.params import Value
from core.errors import BadInput
from patcher.graft import graft, neutral
from patcher.propose.base import Proposal, Situation, code_proposal, params_proposal
from patcher.remedies import remedy_values
from patcher.skill import Skill, shipped_skills
from sim.workers.base import Workers

_MOST = 6  # laws with new structure


class Skills:
    """Proposes the remedies of the most probable cause, or pair of causes."""

    name = "skills"

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        answered = remedy_values(situation)
        own = params_proposal(situation, self.name, answered.values, answered.sentence, 0) if answered.values else None
        grafted = (
            code_proposal(situation, self.name, law, before, sentence, 0) for law, before, sentence in laws(situation)
        )
        return [each for each in (own, *islice(grafted, _MOST)) if each is not None]


def laws(situation: Situation) -> Iterator[tuple[Artefact, dict[str, Value], str]]:
    """Laws with structure for the faults that no parameter answers: law, neutral values of what is new, sentence."""
    robot, answered = situation.twin.robot, remedy_values(situation)
    fitting = [[skill for skill in shipped_skills() if fault in skill.answers] for fault in answered.left]
    for skills in product(*(each for each in fitting if each)):
        if not skills:
            return
        try:
            law = _with(situation, answered.values, skills)
        except BadInput:  # made for another kind of law
            continue
        before = {name: value for skill in skills for name, value in neutral(skill, robot).items()}
        yield law, before, " ".join([answered.sentence, *dict.fromkeys(skill.sentence for skill in skills)]).strip()


def _with(situation: Situation, values: dict[str, Value], skills: tuple[Skill, ...]) -> Artefact:
    """The incumbent with its own parameters at `values` and the skills in it.

    Raises:
        BadInput: one of them does not fit.
    """
    top = situation.twin.causes[0]
    law = with_params(situation.incumbent, values)
    for skill in dict.fromkeys(skills):
        law = graft(law, situation.twin.robot, skill, top.effect(top.theta))
        if skill.replace is not None:  # another law, whose parameters answer what they can
            law = with_params(law, remedy_values(replace(situation, incumbent=law)).values)
    return law
