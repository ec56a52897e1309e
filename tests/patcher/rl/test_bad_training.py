"""A training that went wrong never passes the gates: weights that ran away, a policy for another reward."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controllers.artefact import Artefact
from controllers.library import find_law
from core.status import Verdict
from patcher.propose.base import Situation
from patcher.propose.rl import Rl
from patcher.rl.residual import WIDE, Ranges, Residual, inputs, residual_law
from patcher.rl.trainer import Trained
from remend.console import Console
from remend.validation import twin_of_fault
from sim.catalogue import find_robot
from sim.twin.twin import Twin
from sim.validate import validate
from sim.workers.in_process import InProcess

ARM = find_robot("arm2")
BASE = find_law(ARM, ARM.controller)
D = inputs(ARM)
ERROR, COMMAND = [7 * i for i in range(ARM.dof)], [7 * ARM.dof + i for i in range(2)]


@pytest.fixture(scope="module")
def twin() -> Twin:
    return twin_of_fault(ARM, BASE, "payload:mass=1", 1, 0.7, Console(file=io.StringIO()))[0]


def law(weight: Any, bias: Any = (0.0, 0.0), authority: float = 0.2) -> Artefact:
    """A residual of one layer that is trained everywhere."""
    wide, half = np.full(D, WIDE), 0.5 * (np.array(ARM.limits.effort_high) - ARM.limits.effort_low)
    scale = np.ones(D)
    scale[ERROR] = 100.0  # a hundredth of a radian is large
    residual = Residual(
        layers=[(np.array(weight, float), np.array(bias, float))],
        ranges=Ranges(mean=np.zeros(D), scale=scale, low=-wide, high=wide, step=np.zeros(ARM.dof)),
        authority=authority * half,
        hold=5,
        pace=0.3,
        squash=False,
        trained="badly, in a test",
    )
    return residual_law(BASE, ARM, residual)


def ran_away() -> Artefact:
    """Weights a million times too large: it switches between its ends."""
    return law(1e6 * np.random.default_rng(3).normal(size=(2, D)), authority=0.6)


def paid_for_ease() -> Artefact:
    """It was paid for little effort and takes back what the law commands."""
    weight = np.zeros((2, D))
    weight[[0, 1], COMMAND] = -1.0 / 20.0, -1.0 / 2.0
    return law(weight)


def paid_for_error() -> Artefact:
    """The sign of its reward was wrong: it pushes away from the reference."""
    weight = np.zeros((2, D))
    weight[[0, 1], ERROR] = -1.0
    return law(weight)


def constant() -> Artefact:
    """It has collapsed to one answer."""
    return law(np.zeros((2, D)), bias=(1.0, -1.0))


def nothing() -> Artefact:
    """It has learnt nothing at all."""
    return law(np.zeros((2, D)))


@pytest.mark.parametrize("bad", [ran_away, paid_for_ease, paid_for_error, constant, nothing])
def test_no_gate_lets_it_through(bad: Any, twin: Twin) -> None:
    workers = InProcess(ARM, trusting=True)
    report = validate(workers, twin, incumbent=BASE, candidate=bad(), fidelity=0.95)
    assert report.verdict is not Verdict.PASS
    assert report.rollouts < 120  # it is dropped early


def test_a_policy_that_gains_nothing_is_not_even_proposed(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    situation = Situation(incident_id="payload", twin=twin, incumbent=BASE, budget=300, seed=1)
    workers = InProcess(ARM, trusting=True)

    def came_of(score: float, artefact: Artefact | None) -> Any:
        trained = Trained(law=artefact, score=score, rollouts=50, course=(), finished=True)
        monkeypatch.setattr("patcher.propose.rl.train_apart", lambda *_, **__: trained)
        return Rl().propose(situation, workers)

    assert came_of(1.0, None) == []
    assert came_of(0.99, nothing()) == []
    assert workers.rollouts == 100  # a training is paid for whatever comes of it
    assert came_of(0.5, nothing()) != []


def test_a_policy_whose_cut_loses_the_robot_is_not_proposed(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    situation = Situation(incident_id="payload", twin=twin, incumbent=BASE, budget=300, seed=1)
    workers = InProcess(ARM, trusting=True)
    trained = Trained(law=nothing(), score=0.5, rollouts=50, course=(), finished=True)
    monkeypatch.setattr("patcher.propose.rl.train_apart", lambda *_, **__: trained)

    def cut(robot: Any, artefact: Any, scenarios: Any, seed: int) -> Any:
        judged = workers.judge([(artefact, scenario) for scenario in scenarios])
        return [replace(each, limit_broken=True) for each in judged]

    monkeypatch.setattr("patcher.propose.rl.cut_runs", cut)
    assert Rl().propose(situation, workers) == []
