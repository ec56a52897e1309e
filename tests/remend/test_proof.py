"""Proof of a patch as the pipeline runs it: committed to first, decided once, and held when there is no alpha."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from controllers.artefact import Artefact
from core.block import Block
from core.clock import ManualClock
from core.records import ValidationReport
from core.status import PatchStatus, Verdict
from patcher.propose.base import Proposal, params_proposal
from remend.audit import verify_home
from remend.console import Console
from remend.healing import Healing
from remend.keys import simulated_seal_key
from remend.pipeline import Pipeline
from remend.store import Store
from sim.judge import Judgement
from sim.policy_toml import shipped_policy
from sim.regressions import regression_of
from sim.scenario import Scenario
from sim.sealing import is_genuine, seed_of
from sim.visited import Visited
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, IIWA, FakeWorkers, N

TWIN = made_up.twin()
PROOF, DRILL = 186, 14  # rollouts of a proof that passes, and of the drill after it


def wide(artefact: Artefact, scenario: Scenario) -> Judgement:
    """Runs that went everywhere."""
    return replace(made_up.load_cancelled(artefact, scenario), visited=Visited(low=(-9.0,) * 21, high=(9.0,) * 21))


@pytest.fixture
def bench(store: Store, samples: ModuleType, clock: ManualClock) -> Callable[..., Any]:
    """Proves a mass in a pipeline on made-up workers: (mass, formula) -> report, rollouts, status."""
    incident = samples.incident(base_sha=COMPUTED_TORQUE.sha256)
    store.add_incident(incident)
    healing = Healing(robot="iiwa", fault="payload", seed=1)
    healing.incident, healing.diagnosis = incident, samples.diagnosis()

    def prove(mass: float, formula: made_up.Formula = wide) -> tuple[ValidationReport, int, PatchStatus]:
        workers: Any = FakeWorkers(formula)
        unused: Any = None
        pipeline = Pipeline(
            robot=IIWA,
            link=unused,
            incumbent=COMPUTED_TORQUE,
            workers=workers,
            store=store,
            versions=unused,
            keys=unused,
            seal_key=simulated_seal_key(1),
            policy=shipped_policy(),
            clock=clock,
            console=Console(file=io.StringIO()),
            proposers=(),
            decide=unused,
            budget=0,
            seed=1,
        )
        pipeline.explained = Block(data=np.zeros((10, 2 + 7 * N)), actuators=N)
        proposal = params_proposal(made_up.situation(), "test", {"mass": mass}, "", 0)
        assert isinstance(proposal, Proposal)
        candidate = replace(proposal.candidate, incident_id=incident.id)
        store.add_candidate(candidate)
        report = pipeline.prove(Proposal(candidate=candidate, artefact=proposal.artefact), TWIN, healing)
        return report, workers.rollouts, store.patch(candidate.id).status

    return prove


def test_the_seal_is_on_record_before_the_first_run(bench: Callable[..., Any], store: Store) -> None:
    seen: list[Any] = []

    def formula(artefact: Artefact, scenario: Scenario) -> Judgement:
        if not seen:
            seen.extend(store.show("inc_1").get("seals", []))
        return wide(artefact, scenario)

    report, rollouts, status = bench(5.0, formula)
    assert (report.verdict, rollouts, status) == (Verdict.PASS, PROOF + DRILL, PatchStatus.AWAITING_APPROVAL)
    (seal,) = seen
    assert seal["signature"] == report.seal.signature
    assert is_genuine(report.seal)
    assert report.seed == seed_of(report.seal)
    assert report.seal.policy_sha == report.policy_sha == shipped_policy().sha256
    assert [gate.name for gate in report.gates][-4:] == ["novelty", "alpha_budget", "replay", "drill"]


def test_the_same_candidate_is_decided_once(bench: Callable[..., Any]) -> None:
    first, _, _ = bench(5.0)
    again, rollouts, status = bench(5.0)
    assert rollouts == 0
    assert (again.patch_id, again.id) != (first.patch_id, first.id)
    assert replace(again, patch_id=first.patch_id, id=first.id) == first
    assert status is PatchStatus.AWAITING_APPROVAL


def test_after_so_many_attempts_a_candidate_is_held_and_nothing_is_run(bench: Callable[..., Any]) -> None:
    assert [bench(mass)[2] for mass in (0.001, 0.002)] == [PatchStatus.REJECTED] * 2
    report, rollouts, status = bench(5.0)
    assert (report.verdict, rollouts, status) == (Verdict.INCONCLUSIVE, 0, PatchStatus.INCONCLUSIVE)
    (gate,) = report.gates
    assert gate.name == "alpha_budget"
    assert "there is alpha for another from" in gate.why


def test_past_incidents_are_met_and_their_results_kept(
    bench: Callable[..., Any], store: Store, samples: ModuleType
) -> None:
    store.add_incident(samples.incident("inc_2"))
    heavy = made_up.twin(made_up.cause("payload", 8.0))
    past = regression_of(heavy, "inc_2", "7" * 64)
    store.add_regression(past)
    store.add_regression(regression_of(TWIN, "inc_2", "8" * 64))  # an incident is one scenario, for ever
    store.add_regression(
        regression_of(TWIN, "inc_1", "9" * 64)
    )  # the present one is what the sealed scenarios are about
    (kept,) = [each for each in store.regressions("iiwa") if each.incident_id == "inc_2"]
    assert kept.scenario.sha256 == past.scenario.sha256
    assert isinstance(kept.scenario.physics.inertials, np.ndarray)
    report, rollouts, _ = bench(5.0)
    assert rollouts == PROOF + DRILL + 2
    assert [each.scenario_sha for each in report.regressions] == [past.scenario.sha256]

    _, rollouts, _ = bench(4.9)
    assert rollouts == PROOF + DRILL + 1  # the incumbent's result is known
    assert verify_home(store.home).ok
