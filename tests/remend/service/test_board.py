"""The board shows what was said last, says how old it is, and forgets what is old."""

from __future__ import annotations

from core.clock import ManualClock
from remend.service.board import KEPT_S, Board
from remend.service.pulse import Doing, Ratio, Said, Sample


def sample(t_s: float) -> Sample:
    return Sample(t_s=(t_s - 0.1, t_s), error=((0.1,), (0.2,)), command=((1.0,), (2.0,)))


def test_silence_is_counted_from_the_last_telemetry() -> None:
    clock = ManualClock()
    board = Board(clock)
    assert board.now().silent_s is None
    board.take(sample(1.0))
    clock.now_ns += 3 * 10**9
    board.take(Said(text="still here"))
    assert board.now().silent_s == 3.0


def test_a_stage_is_timed_from_its_beginning_not_from_its_last_step() -> None:
    clock = ManualClock()
    board = Board(clock)
    board.take(Doing(what="proving", done=0, total=10))
    clock.now_ns += 2 * 10**9
    board.take(Doing(what="proving", done=5, total=10))
    clock.now_ns += 10**9
    now = board.now()
    assert now.doing is not None
    assert (now.doing.done, now.doing_since_s) == (5, 3.0)
    board.take(Doing(what="watching"))
    assert board.now().doing_since_s == 0.0


def test_old_telemetry_goes_and_the_rest_is_given_from_a_moment_on() -> None:
    board = Board(ManualClock())
    for t_s in (1.0, 2.0, KEPT_S + 1.5):
        board.take(sample(t_s))
        board.take(Ratio(t_s=t_s, ratio=t_s))
    samples, ratios = board.course()
    assert [each.t_s[-1] for each in samples] == [2.0, KEPT_S + 1.5]
    assert [each.t_s for each in ratios] == [2.0, KEPT_S + 1.5]
    samples, ratios = board.course(since_s=2.0)
    assert [each.t_s[-1] for each in samples] == [KEPT_S + 1.5]
    assert board.now().ratio == KEPT_S + 1.5


def test_a_robot_whose_clock_began_anew_has_a_new_course() -> None:
    board = Board(ManualClock())
    board.take(sample(50.0))
    board.take(sample(1.0))
    samples, _ = board.course()
    assert [each.t_s[-1] for each in samples] == [1.0]


def test_what_is_left_takes_as_long_as_the_same_share_took() -> None:
    clock = ManualClock()
    board = Board(clock)
    board.take(Doing(what="proving", total=120))
    clock.now_ns += 20 * 10**9
    assert board.now().left_s is None
    board.take(Doing(what="proving", done=40, total=120))
    assert board.now().left_s == 40.0
    board.take(Doing(what="proving", done=120, total=120))
    assert board.now().left_s == 0.0
    steps = board.steps
    board.take(Doing(what="watching"))
    assert board.now().left_s is None
    assert board.steps == steps + 1
