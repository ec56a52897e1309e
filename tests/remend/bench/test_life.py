"""The bench of a long life: its faults overlap and clear, and its figures are counted from what was seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from core.block import Block
from core.clock import ManualClock
from remend.bench import life
from sim.catalogue import find_robot
from sim.faults.notation import parse_faults

ARM = find_robot("arm2")


def diary() -> life.Diary:
    return life.Diary(robot=ARM, clock=ManualClock())


def test_faults_overlap_grow_and_all_clear_before_the_quiet_of_each_half_hour() -> None:
    plan = life.troubles(8.0, seed=1)
    assert plan == life.troubles(8.0, seed=1)
    assert len({each.kind for each in plan}) == len(life._KINDS)
    assert {each.ramp_s > 0.0 for each in plan} == {True, False}
    together = 0
    for episode in range(16):
        begin_s, quiet_s = 1800.0 * episode, 1800.0 * (episode + 1) - 480.0
        of_it = [each for each in plan if begin_s <= each.onset_s < begin_s + 1800.0]
        assert len(of_it) >= 2
        assert all(each.end_s <= quiet_s for each in of_it)
        together += any(after.onset_s < before.end_s for before, after in pairwise(of_it))
    assert together >= 12
    assert len(parse_faults("+".join(each.spec for each in plan), ARM)) == len(plan)


def test_limits_that_are_broken_are_counted_by_tick_and_time_goes_with_the_telemetry() -> None:
    seen, width = diary(), 2 + 7 * 2
    data = np.zeros((4, width))
    data[:, 1] = np.arange(4) * 2e6
    block = Block(data=data, actuators=2)
    block.group("q")[1, 0] = 3.0
    block.group("tau_cmd")[2, 1] = -15.1
    block.group("tau_cmd")[3, 1] = 15.0
    seen.show(block)
    assert (seen.broken, seen.ticks) == (2, 4)
    assert seen.now_s == pytest.approx(0.006)
    assert seen.clock.wall_ns() == life._START_NS + 6 * 10**6


def test_a_storm_a_stale_patch_and_wrong_records_miss_their_targets() -> None:
    plan = life.troubles(0.5, seed=1)
    seen = diary()
    seen.now_s, seen.ticks, seen.quiet_s = life._LEARN_S + 1800.0, 10, 240.0
    seen.alarms_s = [100.0, 400.0, 1500.0]
    assert seen.storm == 2
    assert all(figure.met for figure in life.figures(seen, plan))
    seen.alarms_s = [100.0 + k for k in range(11)]
    seen.stale_s, seen.wrong_s, seen.broken = 1.0, 6.0, 1
    missed = [figure.figure for figure in life.figures(seen, plan) if not figure.met]
    assert len(missed) == 4
    seen.died = "the robot came apart"
    assert "came apart" in str(next(life.figures(seen, plan)).note)
