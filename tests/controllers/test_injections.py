"""Whatever a candidate does, in whatever tick: the committed controller answers that tick, and runs at the end."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controllers.realtime import CpuWatchdog
from controllers.runtime import Command, LawLate, Runtime, Stage, Watchdog
from controllers.slot import Slot
from tests.controllers import candidates as make
from tests.controllers.test_runtime import BASE, LIMITS, ROBOT, SAFETY, Loop

SEEDS = 63  # for each of eight faults: 504 ticks
SHADOW_TICKS, LATEST = 10, 60  # the canary of this robot takes some 45 ticks
BUDGET_S = 20e-3  # of processor time; much, so that no law that runs is ever near it


class Broken(Slot):
    """A candidate whose calls go wrong from one tick on, for `times` calls. For tests only."""

    def __init__(self, fault: Callable[[list[float]], Any], at: int, times: int) -> None:
        super().__init__(ROBOT, make.hold("candidate", kp=310.0))
        self._fault, self._at, self._times, self.calls = fault, at, times, 0

    @property
    def is_wrong(self) -> bool:
        """Whether the last call went wrong."""
        return self._at < self.calls <= self._at + self._times

    def compute(self, frame: Any, reference: Any) -> list[float]:
        tau = super().compute(frame, reference)
        self.calls += 1
        return self._fault(tau) if self.is_wrong else tau  # type: ignore[no-any-return]


def one_joint(value: float) -> Callable[[list[float]], list[float]]:
    return lambda tau: [value, *tau[1:]]


def crash(tau: list[float]) -> list[float]:
    raise ZeroDivisionError("a checked law has none of these")


def late(tau: list[float]) -> list[float]:
    raise LawLate


def hang(tau: list[float]) -> list[float]:
    while True:
        pass


FAULTS: dict[str, tuple[Callable[[list[float]], Any], int]] = {
    "nan": (one_joint(math.nan), 1),
    "inf": (one_joint(math.inf), 1),
    "minus_inf": (one_joint(-math.inf), 1),
    "far_out": (one_joint(1e6), 1),
    "too_short": (lambda tau: tau[:-1], 1),
    "nothing": (lambda tau: [], 1),
    "crash": (crash, 1),
    "late": (late, 3),
}


def run_into(fault: Callable[[list[float]], Any], times: int, at: int, watchdog: Watchdog | None = None) -> Runtime:
    """A swap whose candidate goes wrong in call `at`; checks every tick."""
    loop = Loop()
    loop.ticks(3)
    runtime = loop.runtime
    runtime.watchdog = watchdog
    broken = Broken(fault, at, times)
    runtime.begin_shadow(broken, LIMITS)
    hit = 0
    for tick in range(SHADOW_TICKS + LATEST + times + 2):
        if tick == SHADOW_TICKS:
            runtime.begin_canary()
        command: Command = loop.tick()  # which is held to every limit in there
        if broken.is_wrong and (runtime.b is not None or runtime.rollback_reason is not None) and hit < times:
            hit += 1
            assert command.source == "a", f"tick {tick} was not answered by the committed controller"
    assert hit == times
    assert (runtime.b, runtime.stage, runtime.share) == (None, Stage.COMMITTED, 0.0)
    assert runtime.a.sha256 == BASE.sha256
    assert runtime.rollback_reason is not None
    assert [c.source for c in loop.ticks(5)] == ["a"] * 5
    return runtime


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_candidate_that_goes_wrong_in_any_tick_is_replaced_in_it_and_gone_afterwards(name: str) -> None:
    fault, times = FAULTS[name]
    rng = np.random.default_rng([11, sorted(FAULTS).index(name)])
    for at in rng.integers(0, LATEST, size=SEEDS):
        runtime = run_into(fault, times, int(at))
        assert not runtime.inconclusive


def test_a_candidate_that_hangs_is_taken_off_the_processor_in_the_same_tick() -> None:
    watchdog = CpuWatchdog(BUDGET_S)
    try:
        for at in np.random.default_rng(12).integers(0, LATEST, size=10):
            runtime = run_into(hang, 3, int(at), watchdog)
            assert runtime.law_late == 3
            assert "late" in str(runtime.rollback_reason)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_a_committed_controller_that_hangs_gives_way_to_the_safety_law() -> None:
    loop = Loop()
    broken = Broken(late, 5, 4)
    loop.runtime = Runtime(ROBOT, broken, Slot(ROBOT, SAFETY))
    sources = [c.source for c in loop.ticks(45)]
    assert sources[:5] == ["a"] * 5
    assert sources[5:9] == ["safety"] * 4
    assert sources[-1] == "a"
    assert loop.runtime.law_late == 4


@pytest.mark.parametrize("times", [1, 2])
def test_a_law_that_is_late_now_and_then_is_replaced_and_stays(times: int) -> None:
    loop = Loop()
    loop.ticks(3)
    broken = Broken(late, 20, times)
    loop.runtime.begin_shadow(broken, LIMITS)
    loop.runtime.begin_canary()
    sources = [loop.tick().source for _ in range(30)]
    assert sources[20 : 20 + times] == ["a"] * times
    assert loop.runtime.stage in (Stage.CANARY, Stage.READY)
    assert sources[-1] in ("mix", "b")


def test_late_calls_far_apart_do_not_add_up() -> None:
    loop = Loop()
    broken = Broken(late, 10**9, 1)
    loop.runtime.begin_shadow(broken, LIMITS)
    for _ in range(4):
        broken._at = broken.calls + 10
        loop.ticks(11)
    assert loop.runtime.stage is Stage.SHADOW
    assert loop.runtime.law_late == 4


def test_a_late_machine_makes_a_canary_inconclusive_and_not_failed() -> None:
    loop = Loop()
    loop.shadow(make.hold("candidate", kp=310.0))
    for _ in range(9):
        loop.tick()
        loop.runtime.note_machine(True, 0)
    assert loop.runtime.stage is Stage.SHADOW, "in shadow nothing depends on it"
    loop.runtime.begin_canary()
    for late_now in [False] * 10 + [True, True] + [False] * 9 + [True, False, True]:
        loop.tick()
        loop.runtime.note_machine(late_now, 0)
        assert loop.runtime.stage is Stage.CANARY
    loop.tick()
    loop.runtime.note_machine(True, 0)
    assert loop.runtime.stage is Stage.COMMITTED
    assert loop.runtime.inconclusive
    assert str(loop.runtime.rollback_reason).startswith("inconclusive: the machine")
    loop.shadow(make.hold("again", kp=320.0))
    assert not loop.runtime.inconclusive


def test_a_stale_measurement_in_a_canary_is_inconclusive() -> None:
    loop = Loop()
    loop.shadow(make.hold("candidate", kp=310.0))
    loop.runtime.begin_canary()
    loop.ticks(5)
    loop.tick(late_ns=10**9)
    assert loop.runtime.stage is Stage.COMMITTED
    assert loop.runtime.inconclusive


def spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class Processor:
    """Processor time of a thread that a test lets pass."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def test_the_watchdog_counts_processor_time_and_not_the_clock() -> None:
    processor = Processor()
    watchdog = CpuWatchdog(1e-4, processor)
    rings = 0
    ring = watchdog._ring

    def counted(number: int, frame: Any) -> None:
        nonlocal rings
        rings += 1
        if rings == 3:
            processor.ns = 100_000
        ring(number, frame)

    signal.signal(signal.SIGALRM, counted)
    try:
        watchdog.start()
        with pytest.raises(LawLate):
            spin(10.0)  # late by the clock long before
        assert rings == 3
        watchdog.stop()
        signal.raise_signal(signal.SIGALRM)  # one that was still on its way
        assert rings == 4
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
