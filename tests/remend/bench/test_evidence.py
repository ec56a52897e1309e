"""Candidates of the benchmark are worth what it says they are, and what it counts is what was run."""

from __future__ import annotations

import math

import pytest

from remend.bench import evidence
from remend.bench.worth import CASES, NULL, Ground, better, change_in_truth, ground, harmless
from sim.workers.in_process import InProcess


@pytest.fixture(scope="module")
def heavy_arm() -> Ground:
    return ground(CASES[0], 1)


@pytest.fixture(scope="module")
def workers(heavy_arm: Ground) -> InProcess:
    return InProcess(heavy_arm.twin.robot, trusting=True)


def test_what_does_nothing_changes_nothing(heavy_arm: Ground, workers: InProcess) -> None:
    laws = [harmless(heavy_arm, number) for number in range(4)]
    assert len({law.sha256 for law in laws} | {heavy_arm.incumbent.sha256}) == 5
    gains_off, comment, *_ = change_in_truth(heavy_arm, workers, laws)
    assert comment == 0.0
    assert 0.0 < abs(gains_off) < NULL


def test_a_tenth_better_is_a_tenth_better_in_truth(heavy_arm: Ground, workers: InProcess) -> None:
    law = better(heavy_arm, workers, 0.10)
    assert law is not None
    (change,) = change_in_truth(heavy_arm, workers, [law])
    assert change == pytest.approx(math.log(0.9), abs=0.03)
    assert better(heavy_arm, workers, 0.999) is None


def test_the_incident_is_explained(heavy_arm: Ground) -> None:
    assert heavy_arm.fidelity > 0.9
    assert heavy_arm.twin.causes[0].faults == ("payload",)


def test_only_rejections_count_for_what_a_rejection_costs() -> None:
    decided = evidence._Decided()
    decided.note(False, 5, "race")
    decided.note(False, 15, "superior_tracking")
    decided.note(True, 186, "")
    assert (decided.promoted, decided.total) == (1, 3)
    figure = evidence._rollouts(decided.rejected_rollouts)
    assert (figure.value, figure.n, figure.met) == (10.0, 2, True)
    share = evidence._promoted("nulls", decided, 0.02, "<=")
    assert (share.value, share.met) == (pytest.approx(1 / 3), False)
    assert share.note == "1 stopped by race; 1 stopped by superior_tracking"
    assert evidence._promoted("none", evidence._Decided(), 0.02, "<=").value is None
