"""A training finds a residual that helps, repeats to the last bit, goes on after a kill, and stops when told to."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.library import find_law
from core.errors import BadInput, RobotFault
from patcher.propose.base import Ranked, Situation, params_proposal
from patcher.propose.rl import Rl, lipschitz
from patcher.rl import process
from patcher.rl.curriculum import weights_at
from patcher.rl.plan import Plan, Training, make_training
from patcher.rl.process import train_apart
from patcher.rl.trainer import CHECKPOINT, RECORD, Trained, Trainer
from patcher.search import choose_proposers
from remend.console import Console
from remend.validation import twin_of_fault
from sim.catalogue import find_robot
from sim.workers.in_process import InProcess


class KilledError(Exception):
    """What ends a process from outside."""


ARM = find_robot("arm2")
BASE = find_law(ARM, ARM.controller)
SMALL = Plan(hidden=(8,), rollouts=20, scenarios=8, check_scenarios=2, checks=3)
TINY = {"rollouts": 8, "checks": 2, "check_scenarios": 1}


@pytest.fixture(scope="module")
def situation() -> Situation:
    twin, _, _ = twin_of_fault(ARM, BASE, "spring", 1, 0.7, Console(file=io.StringIO()))
    return Situation(incident_id="spring", twin=twin, incumbent=BASE, budget=300, seed=1)


def short(situation: Situation, **settings: Any) -> Training:
    """A training on runs of a third of a second."""
    training = make_training(situation.twin, BASE, replace(SMALL, **settings), 5)

    def cut(scenarios: Any) -> Any:
        return tuple(replace(scenario, duration_s=0.7) for scenario in scenarios)

    pool = replace(training.pool, scenarios=cut(training.pool.scenarios))
    return replace(training, pool=pool, checks=cut(training.checks), healthy=cut(training.healthy))


@pytest.fixture(scope="module")
def done(situation: Situation, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A training that nobody disturbed, and what it left."""
    folder = tmp_path_factory.mktemp("training")
    return folder, Trainer(short(situation), folder).run()


def test_it_gains_and_says_so_line_by_line(done: tuple[Path, Any]) -> None:
    folder, trained = done
    assert trained.finished
    assert trained.law is not None
    assert trained.score < 0.98
    assert trained.score == min(step.score for step in trained.course)
    lines = [json.loads(line) for line in (folder / RECORD).read_text().splitlines()]
    assert [line["segment"] for line in lines] == [1, 2, 3]
    assert [line["score"] for line in lines] == [step.score for step in trained.course]
    about = json.loads((folder / "about.json").read_text())
    assert about["versions"]["torch"]
    assert about["plan"]["seed"] == 1


def scores(trained: Any) -> list[float]:
    return [step.score for step in trained.course]


@pytest.fixture(scope="module")
def tiny(situation: Situation) -> Any:
    return Trainer(short(situation, **TINY)).run()


def test_a_training_that_was_killed_goes_on_to_the_bits_of_one_that_was_not(
    situation: Situation, tiny: Any, tmp_path: Path
) -> None:
    def kill(progress: Any) -> None:
        if progress.segment == 1:
            raise KilledError

    with pytest.raises(KilledError):
        Trainer(short(situation, **TINY), tmp_path, report=kill).run()
    assert (tmp_path / CHECKPOINT).exists()
    with (tmp_path / RECORD).open("a") as file:
        file.write('{"segment": 2, "sco')  # a line that the kill cut off
    resumed = Trainer(short(situation, **TINY), tmp_path).run()
    assert scores(resumed) == scores(tiny)
    assert getattr(resumed.law, "sha256", None) == getattr(tiny.law, "sha256", None)
    assert len((tmp_path / RECORD).read_text().splitlines()) == 2
    with pytest.raises(BadInput, match="holds another training"):
        Trainer(short(situation, **TINY, seed=9), tmp_path).run()


def test_the_same_seed_repeats_and_another_does_not(situation: Situation, tiny: Any) -> None:
    assert scores(Trainer(short(situation, **TINY)).run()) == scores(tiny)
    other = Trainer(short(situation, **TINY, seed=2), stop=once()).run()
    assert scores(other)[0] != scores(tiny)[0]


def once() -> Any:
    """Stops after the first segment."""
    asked = iter([False])
    return lambda: next(asked, True)


def test_it_stops_between_segments_with_what_it_has(situation: Situation) -> None:
    trained = Trainer(short(situation, **TINY), stop=once()).run()
    assert not trained.finished
    assert len(trained.course) == 1


@pytest.mark.parametrize("algorithm", ["sac", "tqc"])
def test_the_other_algorithms_train_and_resume(algorithm: str, situation: Situation, tmp_path: Path) -> None:
    training = short(situation, algorithm=algorithm, **TINY)
    whole = Trainer(training).run()
    Trainer(training, tmp_path, stop=once()).run()
    assert scores(Trainer(training, tmp_path).run()) == scores(whole)


def test_a_training_that_diverges_ends_with_what_was_best_before(situation: Situation) -> None:
    trained = Trainer(short(situation, learning_rate=1e30, **TINY)).run()
    assert "no longer finite" in trained.course[-1].note
    assert trained.law is None


def test_too_few_rollouts_are_said_with_how_many_are_needed(situation: Situation) -> None:
    with pytest.raises(BadInput, match="3 rollouts are too few to train with; give at least"):
        Trainer(short(situation, rollouts=3)).run()
    with pytest.raises(BadInput, match="there is no algorithm 'ddpg'"):
        Plan(algorithm="ddpg")


# what is played


def test_small_severities_come_first_and_heavy_losses_more_often() -> None:
    severities, losses = [0.0, 0.25, 0.5, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 9.0]
    early, largest = weights_at(Plan(), severities, losses, 0.0)
    assert largest == 0.25
    assert (early > 0).tolist() == [True, True, False, False, False]
    late, largest = weights_at(Plan(), severities, losses, 0.9)
    assert largest == 1.0
    assert late[4] > late[3] > 0
    plain, _ = weights_at(Plan(curriculum=False, curation=False), severities, losses, 0.0)
    assert plain.tolist() == [1.0] * 5


def test_a_training_has_healthy_late_and_other_robots_in_every_environment(situation: Situation) -> None:
    training = make_training(situation.twin, BASE, Plan(), 5)
    for k in range(8):
        own = training.pool.severities[k::8]
        assert 1.0 in own
        assert min(own) < 1.0
    delays = {scenario.effect.delay_s for scenario in training.pool.scenarios}
    assert len(delays) == 2
    assert {s.sha256 for s in training.pool.scenarios}.isdisjoint(s.sha256 for s in training.checks)


# in a process of its own, and as a proposer


def test_the_proposer_brings_a_law_that_a_person_can_read(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patcher.propose.rl.make_training", lambda *_: short(situation, rollouts=25))
    workers = InProcess(ARM, trusting=True)
    proposer = Rl()
    (proposal,) = proposer.propose(situation, workers)
    candidate = proposal.candidate
    assert (candidate.kind, candidate.proposer, candidate.base_sha) == ("weights", "rl", BASE.sha256)
    assert [change.name for change in candidate.changes] == ["net_authority[0]", "net_authority[1]"]
    assert all(change.old == 0.0 < change.new for change in candidate.changes)
    assert 30 <= workers.rollouts <= 50
    assert candidate.search_rollouts == workers.rollouts
    assert proposer.spent.seconds > 0
    assert len(proposer.course) == 3
    assert "adds at most" in candidate.rationale
    assert f"{lipschitz(proposal.artefact):.2g} of that" in candidate.rationale
    text = proposal.artefact.files["law.py"].decode()
    assert "What a policy adds that was trained in the twin" in text


def test_it_builds_on_the_best_law_so_far(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = InProcess(ARM, trusting=True)
    law = params_proposal(situation, "tune", {"mass": 0.1}, "It carries something.", 0)
    assert law is not None
    ranked = [Ranked(proposal=law, score=0.8, bound=0.9, recovery=0.3)]
    asked: list[Training] = []

    def note(training: Training, *_: Any, **__: Any) -> Any:
        asked.append(training)
        raise RobotFault("no training today")

    monkeypatch.setattr("patcher.propose.rl.train_apart", note)
    assert Rl().propose(replace(situation, tried=tuple(ranked)), workers) == []
    assert asked[0].base.sha256 == ranked[0].proposal.artefact.sha256
    assert Rl().propose(situation, workers) == []
    assert asked[1].base.sha256 == BASE.sha256


def test_a_large_budget_searches_settings_too(situation: Situation, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[Plan] = []

    def train(training: Training, *_: Any, **__: Any) -> Any:
        met.append(training.plan)
        return Trained(law=None, score=1.0, rollouts=training.plan.rollouts, course=(), finished=True)

    monkeypatch.setattr("patcher.propose.rl.train_apart", train)
    workers = InProcess(ARM, trusting=True)
    assert Rl().propose(replace(situation, budget=2400), workers) == []
    assert len({plan.hidden for plan in met}) > 1
    assert 0.9 * 2400 < workers.rollouts <= 2400
    assert met[-1].rollouts > max(plan.rollouts for plan in met[:-1])


def test_a_small_budget_trains_nobody(situation: Situation) -> None:
    workers = InProcess(ARM, trusting=True)
    assert Rl().propose(replace(situation, budget=199), workers) == []
    assert workers.rollouts == 0


def test_without_the_extra_the_others_work_and_the_hint_says_what_to_install(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    assert [each.name for each in choose_proposers("auto")] == ["memory", "skills", "tune", "evolve"]
    with pytest.raises(BadInput, match=r"pip install 'remend\[rl\]'"):
        choose_proposers("rl")
    with pytest.raises(BadInput, match=r"pip install 'remend\[rl\]'"):
        train_apart(short(situation))
    assert Rl().propose(situation, InProcess(ARM, trusting=True)) == []


def test_a_training_apart_is_watched_and_stopped(situation: Situation, tmp_path: Path) -> None:
    training, told = short(situation, checks=8, rollouts=20, check_scenarios=1), list[Any]()
    board, seen = tmp_path / "board", (tmp_path / RECORD).exists
    stopped = train_apart(training, tmp_path, report=told.append, stop=seen, tensorboard=board)
    assert not stopped.finished
    assert 1 <= len(stopped.course) < 8
    assert tuple(told) == stopped.course
    assert list(board.glob("events.out.*"))


def test_ranges_cover_what_practice_has_seen(done: tuple[Path, Any]) -> None:
    from safetensors.numpy import load  # noqa: PLC0415

    arrays = load(done[1].law.files["weights.safetensors"])
    assert (arrays["net_low"] < arrays["net_high"]).all()
    assert np.abs(arrays["net_low"]).max() < 10.0
