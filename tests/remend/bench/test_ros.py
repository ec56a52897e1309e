"""The bench of a swap over ROS 2: what a listener heard, and the figures that are computed from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from remend.bench import ros
from remend.bench.heard import Heard, read_heard

RATE_HZ = 100.0
SECOND = 10**9


def heard(silent: tuple[float, float] = (0.0, 0.0)) -> Heard:
    """Ten seconds of measurements, each answered after 2 ms, but for those of a time [s]."""
    came_s = np.arange(0.0, 10.0, 1.0 / RATE_HZ)
    answered_s = np.where((came_s >= silent[0]) & (came_s < silent[1]), np.nan, came_s + 0.002)
    return Heard(came_ns=came_s * 1e9, answered_ns=answered_s * 1e9)


def spells() -> list[ros.Spell]:
    swap = ros.Spell(start_ns=0, end_ns=5 * SECOND, swaps=((1.0e9, 2.0e9), (3.0e9, 3.5e9)))
    return [swap, ros.Spell(start_ns=5 * SECOND, end_ns=10 * SECOND)]


def test_a_swap_that_nobody_notices_keeps_the_rate() -> None:
    kept, *shares = list(ros.figures(heard(), spells(), RATE_HZ))[:3]
    assert kept.value == pytest.approx(1.0, abs=0.01)
    assert (kept.n, kept.met) == (2, True)
    assert all(share.met for share in shares)


def test_commands_that_fail_to_come_in_a_swap_miss_the_target() -> None:
    kept, in_swaps, without, *_ = ros.figures(heard((1.0, 1.3)), spells(), RATE_HZ)
    assert kept.value == pytest.approx(0.85, abs=0.02)
    assert not kept.met
    assert in_swaps.value == pytest.approx(0.85, abs=0.02)
    assert not in_swaps.met
    assert without.met


def test_commands_are_matched_to_the_measurements_that_they_answer(tmp_path: Path) -> None:
    file = tmp_path / "heard"
    file.write_text("m 10 1000\nc 10 1400\nm 20 2000\nc 10 1900\nm 30 3000\nc 30 3600\nc odd 3700\nm 4")
    found = read_heard(file)
    assert found.came_ns.tolist() == [1000.0, 2000.0, 3000.0]
    assert found.unanswered == 1
    assert found.delays_s == pytest.approx([400e-9, 600e-9])
    assert found.gaps_s == pytest.approx([2200e-9])
