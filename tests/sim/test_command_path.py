"""The bus: range, delay, jitter and loss of commands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.robot import Robot
from sim.command_path import CommandPath
from sim.effect import Effect


def path(robot: Robot, substeps: int = 2, seed: int = 1, **effect: float) -> CommandPath:
    quick = replace(robot, drive=replace(robot.drive, command_delay_s=0.0))
    made = CommandPath(quick, substeps)
    made.take(Effect(**effect))
    made.reseed(seed)
    made.restart([0.0] * robot.dof)
    return made


def sent(made: CommandPath, ticks: int, substeps: int = 2) -> list[int]:
    """The k whose command joint 1 acts on in each physics step, when tick k commands 0.01 k."""
    seen: list[int] = []
    for k in range(1, ticks + 1):
        made.send([0.01 * k] * 7)
        steps = [round(100 * made.due(s)[0]) for s in range(substeps)]
        assert [round(100 * command[0]) for command, lasts in made.period() for _ in range(lasts)] == steps
        seen += steps
    return seen


def test_a_command_beyond_the_rated_range_is_cut_and_remembered_as_sent(iiwa: Robot) -> None:
    made = path(iiwa)
    made.send([1e6] * 7)
    assert made.raw == [1e6] * 7
    assert made.limited == list(iiwa.limits.effort_high)
    made.send([float("nan")] * 7)
    assert np.all(np.isnan(made.limited))


@pytest.mark.parametrize(("delay_ms", "late"), [(0.0, 0), (1.0, 1), (2.0, 2), (5.0, 5)])
def test_a_delay_lies_on_the_grid_of_the_physics_steps(iiwa: Robot, delay_ms: float, late: int) -> None:
    prompt, delayed = sent(path(iiwa), 9), sent(path(iiwa, delay_s=delay_ms / 1000.0), 9)
    assert delayed == ([0] * late + prompt)[: len(prompt)]


def test_jitter_is_never_early_never_later_than_its_bound_and_never_goes_back(iiwa: Robot) -> None:
    seen = np.array(sent(path(iiwa, jitter_s=0.008), 400))
    due = np.repeat(np.arange(1, 401), 2)
    behind = due - seen
    assert behind.min() >= 0
    assert behind.max() <= 4  # 8 ms are four ticks
    assert np.all(np.diff(seen) >= 0)  # an overtaken command is never applied
    assert 0.5 < behind.mean() < 3.0


def test_a_lost_command_leaves_the_one_before_it_in_force(iiwa: Robot) -> None:
    seen = np.array(sent(path(iiwa, drop_share=0.3), 2000))[::2]
    kept = np.diff(seen) == 0
    assert kept.mean() == pytest.approx(0.3, abs=0.03)
    assert np.all(np.diff(seen) >= 0)


def test_a_restart_repeats_the_bus_and_another_seed_does_not(iiwa: Robot) -> None:
    made = path(iiwa, jitter_s=0.006, drop_share=0.2)
    first = sent(made, 100)
    made.restart([0.0] * 7)
    assert sent(made, 100) == first
    assert sent(path(iiwa, seed=2, jitter_s=0.006, drop_share=0.2), 100) != first
