"""What helped before: patches that this controller's robots have kept after the same cause.

The second time costs a race, not a search. Its numbers are those of then; `tune` goes on from there if they are not
good enough now.
"""

from __future__ import annotations

from dataclasses import replace

from controllers.controller import Controller
from patcher.propose.base import Proposal, Situation, code_proposal, values_before
from sim.workers.base import Workers

_MOST = 3  # newest ones


class Memory:
    """Proposes what was kept."""

    name = "memory"

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        cause, found = situation.twin.causes[0].cause, list[Proposal]()
        for kept in situation.remembered:
            if kept.cause != cause or len(found) == _MOST:
                continue
            law = Controller.from_artefact(kept.artefact, situation.twin.robot.ports)
            said = f"Kept when the cause was {cause} before: {kept.candidate.rationale}"
            before = values_before(kept.candidate, law)
            proposal = code_proposal(situation, self.name, kept.artefact, before, said, 0)
            known = {each.candidate.result_sha for each in found}
            if proposal is not None and proposal.candidate.result_sha not in known:
                found.append(replace(proposal, candidate=replace(proposal.candidate, kind=kept.candidate.kind)))
        return found
