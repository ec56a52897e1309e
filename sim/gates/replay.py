"""Replay: what workers said of the candidate's runs is true.

Asked last and only of a candidate that has passed everything else: until then its figures are claims of processes that
ran it, and a claim may refuse but never promote.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.records import Gate
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import answer
from sim.workers.confirm import Claim, Forgery

NAME = "replay"


def claims_of(pairs: Sequence[Pair]) -> list[Claim]:
    """What workers said of the candidate's runs; runs of which nobody kept the commands are left out."""
    return [(pair.scenario, pair.claim) for pair in pairs if pair.claim is not None]


def replayed(pairs: Sequence[Pair], forgeries: Sequence[Forgery]) -> Gate:
    """Every run that a gate looked at came out the same, to the last bit.

    Args:
        forgeries: the claims about these pairs that did not come true.
    """
    runs = len(pairs)
    if forgeries:
        first = forgeries[0]
        why = f"{len(forgeries)} of {runs} runs are not what was claimed; {first.scenario.name}: {first.what}"
        return answer(NAME, Verdict.FAIL, why)
    unproven = sum(pair.claim is None or pair.claim.judgement != pair.after for pair in pairs)
    if unproven or not runs:
        return answer(NAME, Verdict.INCONCLUSIVE, f"the commands of {unproven} of {runs} runs were not kept")
    why = f"all figures of {runs} runs came out the same when commands were replayed and the law was asked again"
    return answer(NAME, Verdict.PASS, why)
