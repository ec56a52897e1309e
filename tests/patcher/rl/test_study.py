"""A study finds better settings, ends hopeless trainings early, and keeps to its rollouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log
from typing import Any

from patcher.rl.plan import Plan
from patcher.rl.study import study
from patcher.rl.trainer import Progress, Trained

PLAN = Plan(rollouts=1200, checks=8, learning_rate=4e-4, seed=3)


class Trainings:
    """Made-up trainings whose score depends on the learning rate; for tests only."""

    def __init__(self) -> None:
        self.met: list[tuple[Plan, Trained]] = []

    def __call__(self, plan: Plan, report: Callable[[Progress], None], stop: Callable[[], bool]) -> Trained:
        floor = 0.3 + 0.3 * abs(log(plan.learning_rate / 2e-3))
        course: list[Any] = []
        for segment in range(1, plan.checks + 1):
            if stop():
                break
            score = floor + (1.0 - floor) / segment
            step = Progress(
                segment=segment,
                segments=plan.checks,
                rollouts=round(plan.rollouts * segment / plan.checks),
                reward=0.0,
                score=score,
                best=score,
                severity=1.0,
                wall_s=0.0,
            )
            course.append(step)
            report(step)
        done = Trained(
            law=None,
            score=course[-1].best if course else 1.0,
            rollouts=course[-1].rollouts if course else 0,
            course=tuple(course),
            finished=len(course) == plan.checks,
        )
        self.met.append((plan, done))
        return done


def test_better_settings_are_found_within_the_rollouts() -> None:
    trainings = Trainings()
    found = study(PLAN, trainings)
    first, last = trainings.met[0][0], trainings.met[-1][0]
    assert first.learning_rate == PLAN.learning_rate  # what is known already is tried first
    assert first.hidden == PLAN.hidden
    assert found.trained.score < trainings.met[0][1].score
    assert last == found.plan
    assert sum(trained.rollouts for _, trained in trainings.met) == found.rollouts <= PLAN.rollouts
    assert last.rollouts >= PLAN.rollouts // 2


def test_hopeless_trainings_are_ended_early_and_leave_room_for_more() -> None:
    trainings = Trainings()
    found = study(replace(PLAN, learning_rate=1.9e-3), trainings, trials=8)
    ended = [trained for _, trained in trainings.met if not trained.finished]
    assert ended
    assert all(trained.score > found.trained.score and trained.rollouts < 75 for trained in ended)
    assert len(found.trials) > 8


def test_a_study_repeats() -> None:
    plans = [tuple(plan for plan, _ in study(PLAN, Trainings()).trials) for _ in range(2)]
    assert plans[0] == plans[1]
