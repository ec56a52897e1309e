"""Replay: what the candidate's runs came to is what its law commands, and nothing else.

Its law had a process apart from plant and score in every one of them. Whether the commands were the law's is asked
last, and only of a candidate that has passed everything else; who did not keep to the exchange is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.records import Gate
from core.status import Verdict
from sim.evidence import Pair
from sim.gates.answer import answer
from sim.workers.confirm import Run
from sim.workers.forgery import Forgery

NAME = "replay"


def runs_of(pairs: Sequence[Pair]) -> list[Run]:
    """The candidate's runs, in order; those of which nobody kept the exchange with the law are left out."""
    return [(pair.scenario, pair.run) for pair in pairs if pair.run is not None and pair.run.exchange is not None]


def replayed(pairs: Sequence[Pair], forgeries: Sequence[Forgery]) -> Gate:
    """Every run that a gate looked at was driven apart from the law, which says the same again, to the last bit.

    Args:
        forgeries: the runs of these pairs of which that is not so.
    """
    runs = len(pairs)
    if forgeries:
        first = forgeries[0]
        why = f"{len(forgeries)} of {runs} runs are not the law's; {first.scenario.name}: {first.what}"
        return answer(NAME, Verdict.FAIL, why)
    unproven = sum(pair.run is None or pair.run.exchange is None or pair.run.judgement != pair.after for pair in pairs)
    if unproven or not runs:
        return answer(NAME, Verdict.INCONCLUSIVE, f"{unproven} of {runs} runs were not driven apart from the law")
    why = f"all {runs} runs were driven apart from the law, and it gave the same commands when it was asked again"
    return answer(NAME, Verdict.PASS, why)


def broken_off(forgery: Forgery) -> Gate:
    """A run that the process of the law broke off."""
    return answer(NAME, Verdict.FAIL, f"{forgery.scenario.name}: {forgery.what}")
