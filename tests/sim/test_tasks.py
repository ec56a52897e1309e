"""Reference trajectories: at rest at both ends, inside the task space, with derivatives that belong together."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.rigid_body import RigidBodyModel
from core.robot import Robot
from sim.effect import NO_EFFECT
from sim.kinds import nominal_physics
from sim.scenario import Scenario
from sim.tasks.catalogue import draw_task, endless_tasks
from sim.tasks.task import Task

KINDS = ("reach", "weave", "pick")

SECONDS = 4.0


def drawn(robot: Robot, kind: str, seed: int, seconds: float = SECONDS) -> tuple[Task, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    start = rng.uniform(robot.tasks.low, robot.tasks.high)
    return draw_task(robot, kind, start, seconds, rng), start


any_task = given(kind=st.sampled_from(KINDS), seed=st.integers(0, 10**6))


@settings(max_examples=40, deadline=None)
@any_task
def test_a_task_starts_where_it_was_asked_to_and_ends_at_rest(iiwa: Robot, kind: str, seed: int) -> None:
    task, start = drawn(iiwa, kind, seed)
    assert len(task.q) == len(task.qd) == len(task.qdd) == round(SECONDS / iiwa.dt_s)
    np.testing.assert_allclose(task.q[0], start, atol=1e-4)
    np.testing.assert_allclose(task.qd[0], 0.0, atol=0.02)
    np.testing.assert_allclose(task.qd[-1], 0.0, atol=1e-9)
    np.testing.assert_allclose(task.qdd[-1], 0.0, atol=1e-6)


@settings(max_examples=40, deadline=None)
@any_task
def test_a_task_stays_inside_the_task_space_and_its_share_of_speed(iiwa: Robot, kind: str, seed: int) -> None:
    task, _ = drawn(iiwa, kind, seed)
    assert np.all(task.q >= np.array(iiwa.tasks.low) - 1e-9)
    assert np.all(task.q <= np.array(iiwa.tasks.high) + 1e-9)
    assert np.all(np.abs(task.qd) <= iiwa.tasks.speed_fraction * np.array(iiwa.limits.speed) + 1e-12)


@settings(max_examples=15, deadline=None)
@any_task
def test_a_task_needs_no_more_than_the_motors_may_give(iiwa: Robot, kind: str, seed: int) -> None:
    task, _ = drawn(iiwa, kind, seed)
    model = RigidBodyModel(iiwa)
    torque = [model.inverse_dynamics(*rows) for rows in zip(task.q[::10], task.qd[::10], task.qdd[::10], strict=True)]
    share = np.abs(torque) / np.array(iiwa.limits.effort)
    assert share.max() < 1.2 * iiwa.tasks.effort_fraction  # the drawing looks at every 25th row


@settings(max_examples=30, deadline=None)
@any_task
def test_speed_and_acceleration_are_the_derivatives_of_position(iiwa: Robot, kind: str, seed: int) -> None:
    task, _ = drawn(iiwa, kind, seed)
    for value, derivative in ((task.q, task.qd), (task.qd, task.qdd)):
        middle = 0.5 * (derivative[1:] + derivative[:-1])
        found = np.diff(value, axis=0) / iiwa.dt_s
        bound = 2e-3 * max(1.0, float(np.abs(derivative).max())) + iiwa.dt_s * np.abs(np.diff(derivative, axis=0)).max()
        np.testing.assert_allclose(found, middle, atol=max(bound, 1e-3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_repeats_a_task_and_another_seed_does_not(iiwa: Robot, kind: str) -> None:
    one, again, other = (drawn(iiwa, kind, seed)[0] for seed in (1, 1, 2))
    assert one.q.tobytes() == again.q.tobytes()
    assert one.q.tobytes() != other.q.tobytes()


def test_all_joints_move_in_a_weave(iiwa: Robot) -> None:
    task, _ = drawn(iiwa, "weave", 3)
    assert np.all(np.ptp(task.q, axis=0) > 0.08)


def test_a_pick_comes_back_to_the_same_two_poses(iiwa: Robot) -> None:
    task, start = drawn(iiwa, "pick", 5, seconds=5.4)
    still = np.all(np.abs(task.qd) < 1e-12, axis=1) & np.any(np.abs(task.q - start) > 1e-9, axis=1)
    rests = {tuple(np.round(q, 9)) for q in task.q[still]}
    assert len(rests) == 2


def test_a_reach_rests_at_every_goal(iiwa: Robot) -> None:
    task, _ = drawn(iiwa, "reach", 5)
    still = np.all(task.qd == 0.0, axis=1)
    starts = np.flatnonzero(np.diff(still.astype(int)) == 1)
    assert len(starts) >= 3


def test_records_of_a_task_are_its_rows(iiwa: Robot) -> None:
    task, _ = drawn(iiwa, "reach", 1)
    references = task.references()
    assert len(references) == len(task.q)
    assert references[77].q_ref == task.q[77].tolist()
    assert references[77].qd_ref == task.qd[77].tolist()
    assert references[77].qdd_ref == task.qdd[77].tolist()
    assert all(type(value) is float for value in references[77].q_ref)


def test_the_working_day_goes_on_without_a_jump_and_can_be_repeated(iiwa: Robot) -> None:
    ticks = round(14.0 / iiwa.dt_s)
    day = list(islice(endless_tasks(iiwa, seed=4, segment_s=2.0), ticks))
    q = np.array([reference.q_ref for reference in day])
    qd = np.array([reference.qd_ref for reference in day])
    np.testing.assert_allclose(q[0], iiwa.home, atol=1e-3)
    fastest = np.array(iiwa.limits.speed) * iiwa.tasks.speed_fraction * iiwa.dt_s
    assert np.all(np.abs(np.diff(q, axis=0)) <= fastest + 1e-9)
    assert np.abs(np.diff(qd, axis=0)).max() < 0.2
    seams = np.arange(1000, ticks, 1000) - 1
    np.testing.assert_allclose(qd[seams], 0.0, atol=1e-9)
    again = list(islice(endless_tasks(iiwa, seed=4, segment_s=2.0), 2500))
    assert again == day[:2500]
    assert list(islice(endless_tasks(iiwa, seed=5, segment_s=2.0), 100)) != day[:100]


def test_a_task_at_another_speed_goes_the_same_way(iiwa: Robot) -> None:
    task, _ = drawn(iiwa, "reach", 1)
    for speed in (0.5, 1.5):
        other = task.at_speed(speed)
        assert len(other.q) == round(len(task.q) / speed)
        same = np.arange(0, len(task.q) - 3, 3)
        np.testing.assert_allclose(other.q[(same / speed).astype(int)], task.q[same], atol=1e-12)
        np.testing.assert_allclose(np.gradient(other.q, iiwa.dt_s, axis=0)[5:-5], other.qd[5:-5], atol=5e-3)
        np.testing.assert_allclose(np.gradient(other.qd, iiwa.dt_s, axis=0)[9:-9], other.qdd[9:-9], atol=0.1)
    assert list(islice(endless_tasks(iiwa, 4, 2.0, (0.5, 1.5)), 500)) != list(islice(endless_tasks(iiwa, 4, 2.0), 500))


def test_a_robot_that_may_not_be_fast_gets_slower_tasks(iiwa: Robot) -> None:
    slow = replace(iiwa, tasks=replace(iiwa.tasks, speed_fraction=0.2))
    for kind in KINDS:
        task, _ = drawn(slow, kind, 2)
        assert np.all(np.abs(task.qd) <= 0.2 * np.array(iiwa.limits.speed) + 1e-12)
        assert np.abs(task.qd).max() > 0.05


def test_a_scenario_is_known_by_everything_that_decides_it(iiwa: Robot) -> None:
    scenario = Scenario(
        name="plain",
        physics=nominal_physics(iiwa),
        effect=NO_EFFECT,
        task_kind="reach",
        task_seed=1,
        noise_seed=2,
        duration_s=2.0,
    )
    same = replace(scenario, physics=nominal_physics(iiwa))
    assert same.sha256 == scenario.sha256
    assert same.task(iiwa).q.tobytes() == scenario.task(iiwa).q.tobytes()
    changes = (
        {"effect": replace(NO_EFFECT, payload_kg=1.0)},
        {"physics": replace(nominal_physics(iiwa), substeps=3)},
        {"task_kind": "pick"},
        {"task_seed": 2},
        {"noise_seed": 3},
        {"duration_s": 2.5},
    )
    assert len({scenario.sha256, *(replace(scenario, **change).sha256 for change in changes)}) == 7  # type: ignore[arg-type]
    start = scenario.task(iiwa).q[0]
    assert np.all((start > iiwa.tasks.low) & (start < np.array(iiwa.tasks.high)))
    assert np.abs(start - iiwa.home).max() > 0.05
