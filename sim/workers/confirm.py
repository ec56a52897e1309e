"""Whether runs in lockstep are the law's: it is asked again, in other company, and must say the same to the last bit.

The figures of such a run are those of its commands, whoever gave them. That they came from the law, and from nothing
but its own measurements and references, is shown by a process that did not take part: it meets the runs one after the
other, and no two of them that took turns with each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from controllers.artefact import Artefact
from core.metrics import Array
from sim.lockstep import Exchange
from sim.scenario import Scenario
from sim.workers.answer import Rolled
from sim.workers.base import MOST_TOGETHER, Workers
from sim.workers.forgery import Forgery
from sim.workers.outcome import Lost
from sim.workers.reruns import RerunJob

_MOST_AGAIN = 16  # rollouts of a job
Run = tuple[Scenario, Rolled]


def confirm(workers: Workers, artefact: Artefact, runs: Sequence[Run]) -> tuple[Forgery, ...]:
    """The runs that are not those of `artefact`; empty if all are. They are in the order in which they were run.

    Raises:
        RobotFault: no worker starts at all.
    """
    found = [Forgery(scenario=scenario, what="its exchange was not kept") for scenario, r in runs if r.exchange is None]
    whole = [(scenario, rolled.exchange) for scenario, rolled in runs if rolled.exchange is not None]
    groups = [whole[k::count] for k in range(count)] if (count := _count(len(whole))) else []
    answers = workers.rerun([_job(workers, artefact, group) for group in groups])
    for group, answer in zip(groups, answers, strict=True):
        for k, (scenario, exchange) in enumerate(group):
            what = _lost(answer) if isinstance(answer, Lost) else _difference(exchange.said, answer[k])
            if what:
                found.append(Forgery(scenario=scenario, what=what))
    return tuple(found)


def _count(runs: int) -> int:
    """How many jobs: so many that every so-many-th run never took turns with the one before."""
    return min(runs, max(MOST_TOGETHER, math.ceil(runs / _MOST_AGAIN)))


def _job(workers: Workers, artefact: Artefact, group: Sequence[tuple[Scenario, Exchange]]) -> RerunJob:
    return RerunJob(robot=workers.robot, artefact=artefact, shown=tuple(exchange.shown for _, exchange in group))


def _lost(lost: Lost) -> str:
    return f"the law cannot be asked again ({lost.reason}: {lost.what})"


def _difference(said: Array, again: Array) -> str:
    """Where the law says something else; empty if nowhere. By bits: what is no number is equal to itself."""
    if said.tobytes() == again.tobytes():
        return ""
    one, other = (np.ascontiguousarray(each).view(np.uint64) for each in (said, again))
    return f"the law commands something else at tick {int(np.flatnonzero(np.any(one != other, axis=1))[0])}"
