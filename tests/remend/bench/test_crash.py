"""Every process of a robot is killed in the middle of swaps; what is counted against the robot is counted."""

from __future__ import annotations

import pytest

from remend.bench import crash


@pytest.mark.parametrize("victim", crash.VICTIMS)
def test_a_process_that_is_killed_at_any_moment_leaves_the_robot_on_what_is_committed(victim: str) -> None:
    ends = crash._in_process(victim, 3)
    assert [end.why for end in ends] == [""] * 3
    assert crash.figure(victim, ends).met


def test_one_robot_that_is_left_wrong_misses_the_target() -> None:
    good = crash.End(victim="loop", moment=("canary", 3), before="canary", well=True)
    bad = crash.End(
        victim="loop", moment=("canary", 4), before="canary", well=False, why="a candidate is left in canary"
    )
    figure = crash.figure("loop", [good] * 9 + [bad])
    assert (figure.value, figure.n, figure.met) == (0.9, 10, False)
    assert "a candidate is left in canary" in str(figure.note)
