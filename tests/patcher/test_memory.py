"""What a robot has kept after a cause is the first thing to try when the cause comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controllers.artefact import with_params
from patcher.propose.base import Remembered, Situation, params_proposal
from patcher.propose.memory import Memory
from patcher.search import PROPOSERS, search
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, FakeWorkers


def remembered(mass: float, cause: str = "payload") -> Remembered:
    proposal = params_proposal(made_up.situation(), "evolve", {"mass": mass}, "It carries more.", 100)
    assert proposal is not None
    return Remembered(cause=cause, candidate=proposal.candidate, artefact=proposal.artefact)


def propose(*kept: Remembered, incident: Situation | None = None) -> list[Any]:
    workers: Any = FakeWorkers(made_up.load_cancelled)
    found = Memory().propose(replace(incident or made_up.situation(), remembered=kept), workers)
    assert workers.rollouts == 0
    return found


def test_patches_for_the_same_cause_come_newest_first_and_once() -> None:
    found = propose(remembered(5.0), remembered(1.0, "friction"), remembered(5.0), remembered(4.0))
    assert [made_up.params(each.artefact)["mass"] for each in found] == [5.0, 4.0]
    candidate = found[0].candidate
    assert (candidate.proposer, candidate.kind, candidate.base_sha) == ("memory", "params", COMPUTED_TORQUE.sha256)
    assert [(change.name, change.old, change.new) for change in candidate.changes] == [("mass", 0.0, 5.0)]
    assert candidate.rationale == "Kept when the cause was payload before: It carries more."


def test_only_a_few_are_tried() -> None:
    assert len(propose(*(remembered(float(mass)) for mass in range(1, 7)))) == 3


def test_what_runs_already_is_no_proposal() -> None:
    loaded = with_params(COMPUTED_TORQUE, {"mass": 5.0})
    assert propose(remembered(5.0), incident=made_up.situation(incumbent=loaded)) == []


def test_the_second_time_costs_a_race() -> None:
    workers: Any = FakeWorkers(made_up.load_cancelled)
    situation = replace(made_up.situation(), remembered=(remembered(4.9),))
    (best,) = search(situation, [PROPOSERS["memory"], PROPOSERS["tune"]], workers)
    assert best.proposal.candidate.proposer == "memory"
    assert workers.rollouts == 15
