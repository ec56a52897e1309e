"""What else a search found, as rows of text: for each candidate what the race says, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remend import numbers
from remend.story import Contender


@dataclass(frozen=True, slots=True, kw_only=True)
class ContenderRow:
    """One candidate of a search, and what became of it."""

    patch_id: str
    what: str
    score: str
    bound: str
    recovery: str
    outcome: str


def contender_rows(contenders: Sequence[Contender], chosen: str) -> tuple[ContenderRow, ...]:
    """The candidates as they were ranked; `chosen` is the one that was put before the gates last."""
    return tuple(
        ContenderRow(
            patch_id=each.patch_id,
            what=f"{each.proposer}, {each.kind}: {each.rationale}",
            score=numbers.figure(each.score),
            bound=numbers.figure(each.bound),
            recovery=numbers.share(min(max(each.recovery, 0.0), 1.0)),
            outcome=_outcome_of(each, k, contenders, chosen),
        )
        for k, each in enumerate(contenders)
    )


def _outcome_of(each: Contender, rank: int, contenders: Sequence[Contender], chosen: str) -> str:
    if each.patch_id == chosen:
        return "put before the gates"
    if each.dropped:
        return "dropped: it is hardly worth its while"
    leader = contenders[0]
    if rank == 0:
        return "put before the gates first, and not passed"
    if each.bound > 1.02 * leader.bound:
        return f"its score may be as high as {numbers.figure(each.bound)}, the leader's {numbers.figure(leader.bound)}"
    return "as good as the leader, and a larger change"
