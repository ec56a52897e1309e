"""Whether what workers claim of a controller is true: its score by a replay, its commands by asking the law again.

Three processes, of which none can cover the lie of another: the one that made the claim, one that recomputes the
judgement from the commands and never meets the controller, and one that meets the controller and is told nothing but
what the sensors said. All three must agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from controllers.artefact import Artefact
from sim.judge import Judgement
from sim.replay import Replayed
from sim.rerun import Rerun
from sim.scenario import Scenario
from sim.workers.answer import Rolled
from sim.workers.base import Workers
from sim.workers.outcome import Lost
from sim.workers.replays import ReplayJob
from sim.workers.reruns import RerunJob

_TOGETHER = 8  # rollouts of a job
Claim = tuple[Scenario, Rolled]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """A claim that did not come true."""

    scenario: Scenario
    what: str  # in words


def confirm(workers: Workers, artefact: Artefact, claims: Sequence[Claim]) -> tuple[Forgery, ...]:
    """The claims that are not true; empty if all are.

    Raises:
        RobotFault: no worker starts at all.
    """
    found: list[Forgery] = []
    groups = [claims[k : k + _TOGETHER] for k in range(0, len(claims), _TOGETHER)]
    replays = workers.replay([_replay_of(workers, group) for group in groups])
    asked = [k for k, answer in enumerate(replays) if not isinstance(answer, Lost)]
    reruns = dict(
        zip(asked, workers.rerun([_rerun_of(workers, artefact, groups[k], replays[k]) for k in asked]), strict=True)
    )
    for k, group in enumerate(groups):
        replayed = replays[k]
        rerun = replayed if isinstance(replayed, Lost) else reruns[k]
        if isinstance(replayed, Lost) or isinstance(rerun, Lost):
            lost = replayed if isinstance(replayed, Lost) else rerun
            assert isinstance(lost, Lost)
            found += [Forgery(scenario=s, what=f"it cannot be repeated ({lost.reason}: {lost.what})") for s, _ in group]
            continue
        for (scenario, claim), again, asked_again in zip(group, replayed, rerun, strict=True):
            what = _difference(claim, again, asked_again)
            if what:
                found.append(Forgery(scenario=scenario, what=what))
    return tuple(found)


def _replay_of(workers: Workers, group: Sequence[Claim]) -> ReplayJob:
    scenarios = tuple(scenario for scenario, _ in group)
    return ReplayJob(robot=workers.robot, scenarios=scenarios, commands=tuple(claim.command for _, claim in group))


def _rerun_of(
    workers: Workers, artefact: Artefact, group: Sequence[Claim], replayed: tuple[Replayed, ...] | Lost
) -> RerunJob:
    assert not isinstance(replayed, Lost)
    seen = tuple(
        (each.frames, tuple(scenario.task(workers.robot).references()[: len(each.frames)]))
        for (scenario, _), each in zip(group, replayed, strict=True)
    )
    return RerunJob(robot=workers.robot, artefact=artefact, seen=seen)


def _difference(claim: Rolled, replayed: Replayed, rerun: Rerun) -> str:
    """What is not as it was claimed; empty if nothing."""
    if not np.array_equal(rerun.command, claim.command):
        tick = int(np.flatnonzero(np.any(rerun.command != claim.command, axis=1))[0])
        return f"the law commands something else at tick {tick}"
    judged = judgement_of(replayed, rerun)
    if judged != claim.judgement:
        return f"its figures are others: {', '.join(_others(judged, claim.judgement))}"
    return ""


def judgement_of(replayed: Replayed, rerun: Rerun) -> Judgement:
    """The judgement of a rollout from its two halves."""
    ticks = len(rerun.command)
    return replace(
        replayed.judgement,
        clipped_share=rerun.clipped / ticks,
        safety_share=rerun.safety / ticks,
        limit_broken=replayed.judgement.limit_broken or rerun.safety > 0,
    )


def _others(true: Judgement, claimed: Judgement) -> list[str]:
    names = [name for name, value in true.metrics.items() if claimed.metrics.get(name) != value]
    rest = ("peak_error", "peak_variation_nm", "diverged", "safety_share", "clipped_share", "limit_broken")
    return names + [name for name in rest if getattr(true, name) != getattr(claimed, name)]
