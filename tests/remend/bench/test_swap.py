"""The bench of the swap: whole swaps on a loop in real time, and figures that are computed from what was counted."""

from __future__ import annotations

from controllers.timing import LoopTiming
from remend.bench import swap


def session(*, own: int, machine: int, swaps: int) -> swap.Session:
    timing = LoopTiming(
        ticks=1000,
        late_by_law=own,
        late_by_machine=machine,
        wake_us=(),
        tick_us=(),
        wake_max_us=1500.0,
        tick_max_us=300.0,
        fifo=True,
        locked=True,
    )
    return swap.Session(timing=timing, swaps=swaps, inconclusive=0)


def test_what_the_machine_misses_is_not_put_on_the_swap() -> None:
    quiet, loud = session(own=0, machine=7, swaps=50), session(own=1, machine=0, swaps=50)
    own, missed, *_ = swap._figures("idle", [quiet], [quiet], [quiet], [quiet, quiet])
    assert (own.value, own.n, own.met) == (0.0, 100, True)
    assert (missed.value, missed.n) == (7.0, 2000)
    own, missed, *_ = swap._figures("idle", [quiet], [quiet], [quiet], [quiet, loud])
    assert (own.value, own.met) == (1.0, False)
    assert missed.value == 4.0


def test_the_command_of_a_swap_makes_no_step() -> None:
    figure = swap._command_step()
    assert figure.met
    assert figure.peer_value is not None
    assert figure.value is not None
    assert figure.value < 0.1 * figure.peer_value


def test_a_session_swaps_as_often_as_it_is_asked_to() -> None:
    done = swap._in_process("swap", 2, 0.0)
    assert done.swaps == 2
    assert done.timing.ticks > 50
