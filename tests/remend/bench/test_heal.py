"""The benchmark of healing gives every search the same, and counts what it says it counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controllers.controller import Controller
from patcher.propose.base import Situation
from remend.bench import heal
from remend.bench.heal import Cell, Curve, Result
from remend.bench.rivals import RIVALS, integral_action, race_rival
from tests import made_up
from tests.made_up import COMPUTED_TORQUE, IIWA, FakeWorkers, judged

CELL = Cell(robot="iiwa", fault="payload:mass=5", group="single", rivals=True)


@pytest.mark.filterwarnings("ignore:COBYLA")  # nevergrad calls it in a thread of its own
@pytest.mark.parametrize("name", sorted(RIVALS))
@pytest.mark.parametrize("on", ["gains", "terms"])
def test_a_rival_gets_better_within_its_budget_and_bounds(name: str, on: str) -> None:
    def formula(artefact, scenario):  # type: ignore[no-untyped-def]
        values = made_up.params(artefact)
        return judged(0.01 + 0.01 * abs(values["mass"] - 5.0) + 0.0001 * abs(values["kp"][3] - 1500.0))

    fake = FakeWorkers(formula)
    workers: object = fake
    found = list(race_rival(name, on, made_up.situation(budget=120), workers))  # type: ignore[arg-type]
    assert 117 <= fake.rollouts <= 120
    assert [best.rollouts for best in found] == sorted(best.rollouts for best in found)
    scenario = fake.jobs[0][1]
    errors = [formula(best.law, scenario).metrics["rms_tracking_error"] for best in found]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < formula(COMPUTED_TORQUE, scenario).metrics["rms_tracking_error"]
    for best in found:
        changed = {k for k, v in made_up.params(best.law).items() if v != made_up.params(COMPUTED_TORQUE)[k]}
        manifest = Controller.from_artefact(best.law, IIWA.ports).manifest
        assert {manifest.params[each].role for each in changed} <= {"gain" if on == "gains" else "feedforward"}


@pytest.mark.filterwarnings("ignore:COBYLA")
def test_a_rival_gives_the_same_twice() -> None:
    for name in RIVALS:
        ends = []
        for _ in range(2):
            workers: object = FakeWorkers(made_up.load_cancelled)
            found = list(race_rival(name, "terms", made_up.situation(budget=60), workers))  # type: ignore[arg-type]
            ends.append([best.law.sha256 for best in found])
        assert ends[0] == ends[1], name


def test_integral_action_is_the_incumbent_with_an_integral() -> None:
    situation: Situation = made_up.situation()
    law = integral_action(situation)
    assert law is not None
    assert "error_sum[i] = clip(" in law.files["law.py"].decode()
    assert integral_action(replace(situation, incumbent=law)) is None


def test_a_level_counts_from_where_it_is_kept() -> None:
    curve = Curve(name="x", points=((15, 0.9), (60, 0.4), (120, 0.8), (300, 0.95)))
    assert (curve.final, curve.reaches(0.75), curve.reaches(0.3), curve.reaches(0.99)) == (0.95, 120, 15, None)
    assert (curve.at(14), curve.at(100), curve.at(300)) == (0.0, 0.4, 0.95)
    assert Curve(name="y", points=()).final == 0.0


def test_one_cell_from_fault_to_recovery() -> None:
    cell = Cell(robot="arm2", fault="payload:mass=0.3", group="single")
    found = heal.heal((cell, 1, 60))
    assert found.loss > 1.5
    assert found.ours.final > 0.9
    assert found.ours.points[0][0] < 60
    assert found.proposer == "skills"


def test_figures_say_what_is_missed_and_by_whom() -> None:
    rival = Curve(name="CMA-ES, gains", points=((30, 0.2), (300, 0.6)))
    good = Result(
        cell=CELL,
        seed=1,
        loss=20.0,
        ours=Curve(name="Remend", points=((15, 0.97),)),
        rivals=(rival,),
        proposer="skills",
    )
    weak = replace(good, seed=2, loss=1.1, ours=Curve(name="Remend", points=((15, 0.1),)))
    rows = {row.figure: row for row in heal.figures([good, good, weak])}
    recovery = rows["single: recovery, median"]
    assert (recovery.value, recovery.n, recovery.met) == (0.97, 2, True)  # a fault that costs nothing is not asked
    assert rows["single: rollouts to 0.9 of it, median"].value == 15.0
    beside = rows["CMA-ES, gains: recovery after 300 rollouts"]
    assert (beside.value, beside.peer_value) == (0.6, 0.97)
    assert beside.note == "0.00, 0.20, 0.20 after 15, 60, 150; Remend 0.97, 0.97, 0.97 after 15, 60, 150"
    ratio = rows["Remend's rollouts to where the best rival ends, share of the rival's"]
    assert (ratio.value, ratio.met) == (0.05, True)
    assert rows["iiwa payload:mass=5: recovery"].note == "by skills; the fault costs 20 times the error"
    (nothing,) = [row for row in heal.figures([weak]) if row.figure == "single: recovery, median"]
    assert not nothing.met
