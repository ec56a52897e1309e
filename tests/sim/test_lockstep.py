"""A rollout whose law is elsewhere is the rollout, to the last bit; only the answer that was asked for counts."""

from __future__ import annotations

import marshal
import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.artefact import Artefact, artefact_from_files
from controllers.controller import Controller, Signals
from controllers.library import find_law
from core.robot import Robot
from sim.catalogue import find_robot, shipped_robots
from sim.faults.notation import full_effect
from sim.lockstep import Broken, Driven, Laws, drive_apart, read_answer
from sim.plants.fixed_base import FixedBase
from sim.rerun import rerun
from sim.rollout import Trace, rollout
from sim.scenario import Scenario
from sim.trial import draw_trial
from sim.worlds import borrow

ARM = find_robot("arm2")
LAW = find_law(ARM, ARM.controller)
FAULTS = ("none", "delay:ms=6", "payload", "dropout:share=0.2+friction:scale=3")


def trials(robot: Robot, count: int, duration_s: float) -> list[Scenario]:
    """On fewer robots than there are trials, so that some have to take turns; of different lengths."""
    kinds = robot.tasks.kinds
    return [
        replace(
            draw_trial(
                robot, task=kinds[k % len(kinds)], seed=k, robot_seed=k % 3, duration_s=duration_s * (1 + k % 2)
            ),
            effect=full_effect(FAULTS[k % 2], robot),
        )
        for k in range(count)
    ]


def assert_same(trace: Trace, driven: Driven) -> None:
    for name in ("error", "measured_error", "command", "q_true"):
        assert getattr(trace, name).tobytes() == getattr(driven.trace, name).tobytes(), name
    for name in ("diverged", "clipped_share", "safety_share", "tracked", "scale"):
        assert getattr(trace, name) == getattr(driven.trace, name), name
    assert trace.metrics() == driven.trace.metrics()


@pytest.mark.parametrize("name", sorted(shipped_robots()))
def test_lockstep_gives_the_bits_of_a_rollout_on_every_robot(name: str) -> None:
    robot = find_robot(name)
    law, scenarios = find_law(robot, robot.controller), trials(robot, 5, 0.5)
    driven = drive_apart(robot, scenarios, Laws(robot, law, len(scenarios)).answer)
    for scenario, each in zip(scenarios, driven, strict=True):
        assert_same(rollout(robot, law, scenario), each)
        assert rerun(robot, law, each.exchange.shown).tobytes() == each.exchange.said.tobytes()


@pytest.mark.parametrize("fault", FAULTS)
def test_lockstep_gives_the_bits_under_faults(fault: str) -> None:
    scenario = replace(trials(ARM, 1, 0.4)[0], effect=full_effect(fault, ARM))
    (driven,) = drive_apart(ARM, [scenario], Laws(ARM, LAW, 1).answer)
    assert_same(rollout(ARM, LAW, scenario), driven)


def failing(ending: str) -> Artefact:
    return artefact_from_files("failing", {**LAW.files, "law.py": LAW.files["law.py"] + ending.encode()})


@pytest.mark.parametrize(
    ("ending", "is_lost"),
    [
        ("    for i in range(2):\n        tau[i] = sqrt(0.0 - 1.0)\n", False),  # no number
        ("    for i in range(2):\n        tau[i] = 1e9\n", False),  # far beyond the envelope
        ("    for i in range(2):\n        tau[i] = -2.0 * tau[i]\n", True),  # pushes away
    ],
)
def test_a_law_that_fails_has_the_same_bits_and_what_the_safety_law_did(ending: str, is_lost: bool) -> None:
    law, scenarios = failing(ending), trials(ARM, 3, 0.6)
    driven = drive_apart(ARM, scenarios, Laws(ARM, law, 3).answer)
    for scenario, each in zip(scenarios, driven, strict=True):
        assert_same(rollout(ARM, law, scenario), each)
        assert rerun(ARM, law, each.exchange.shown).tobytes() == each.exchange.said.tobytes()
    assert any(each.trace.diverged or each.trace.safety_share > 0 for each in driven)
    assert is_lost or all(each.trace.safety_share > 0.5 for each in driven)


@pytest.mark.parametrize("fails", ["raises", "says too little"])
def test_a_law_that_the_checker_should_have_refused_has_the_same_bits(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, law, step = trials(ARM, 1, 0.4)[0], artefact_from_files("mine", LAW.files), Controller.step
    calls = 0

    def odd(self: Controller, signals: Signals) -> list[float]:
        nonlocal calls
        if self.name != "mine":
            return step(self, signals)
        calls += 1
        if calls > 30 and fails == "raises":
            raise ZeroDivisionError
        return step(self, signals)[: 1 if calls > 30 else 2]

    monkeypatch.setattr(Controller, "step", odd)
    (driven,) = drive_apart(ARM, [scenario], Laws(ARM, law, 1).answer)
    calls = 0
    trace = rollout(ARM, law, scenario)
    assert trace.safety_share > 0.5
    assert_same(trace, driven)
    calls = 0
    assert rerun(ARM, law, driven.exchange.shown).tobytes() == driven.exchange.said.tobytes()


def test_a_world_that_diverges_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios = [replace(scenario, duration_s=0.2) for scenario in trials(ARM, 2, 0.2)]
    whole, advance = rollout(ARM, LAW, scenarios[1]), FixedBase._advance
    rollout(ARM, LAW, scenarios[0])
    bursting = borrow(ARM, scenarios[0].physics)

    def burst(self: FixedBase, command: list[float], steps: int) -> None:
        if self is bursting and self._tick == 20:
            raise FloatingPointError("it has come apart")
        advance(self, command, steps)

    monkeypatch.setattr(FixedBase, "_advance", burst)
    one, other = drive_apart(ARM, scenarios, Laws(ARM, LAW, 2).answer)
    assert one.trace.diverged
    assert len(one.trace.command) == len(one.exchange.said) == len(one.exchange.shown) == 21
    assert_same(whole, other)


def test_a_law_is_shown_its_signals_and_nothing_else() -> None:
    seen = []

    def watch(exchange: bytes) -> bytes:
        number, places, shown = marshal.loads(exchange)  # noqa: S302 from this side
        seen.append((number, places, [[len(part) for part in each] for each in shown]))
        return laws.answer(exchange)

    laws, scenarios = Laws(ARM, LAW, 2), trials(ARM, 2, 0.1)
    driven = drive_apart(ARM, scenarios, watch)
    counts = [len(each.trace.command) for each in driven]
    assert [number for number, _, _ in seen] == list(range(max(counts)))
    assert seen[0][1:] == ([0, 1], [[2] * 6] * 2)
    assert seen[-1][1:] == ([1], [[2] * 6])
    task = scenarios[0].task(ARM)
    signals = driven[0].exchange.signals(ARM)
    assert np.array_equal(signals["q_ref"], task.q[: counts[0]])
    assert np.array_equal(signals["qdd_ref"], task.qdd[: counts[0]])
    assert np.array_equal(signals["q"], task.q[: counts[0]] - driven[0].trace.measured_error)


Spoil = Callable[[bytes], bytes]
SPOILT: dict[str, Spoil] = {
    "short": lambda answer: answer[:-1],
    "one command short": lambda answer: answer[:-8],
    "long": lambda answer: answer + bytes(8),
    "empty": lambda answer: b"",
    "to the exchange before": lambda answer: (
        struct.pack("<Q", struct.unpack_from("<Q", answer)[0] - 1) + answer[8:] if answer[0] else answer
    ),
    "to the exchange after": lambda answer: struct.pack("<Q", struct.unpack_from("<Q", answer)[0] + 1) + answer[8:],
}


@pytest.mark.parametrize("name", SPOILT)
def test_an_answer_of_another_form_breaks_the_exchange(name: str) -> None:
    laws = Laws(ARM, LAW, 1)
    with pytest.raises(Broken, match="an answer"):
        drive_apart(ARM, trials(ARM, 1, 0.1), lambda exchange: SPOILT[name](laws.answer(exchange)))


@given(st.binary(max_size=64), st.integers(0, 3), st.integers(0, 4))
@settings(max_examples=100)
def test_only_bytes_of_the_right_length_and_number_are_an_answer(data: bytes, number: int, values: int) -> None:
    fits = len(data) == 8 + 8 * values and int.from_bytes(data[:8], "little") == number
    try:
        said = read_answer(data, number, values)
    except Broken:
        assert not fits
    else:
        assert fits
        assert struct.pack(f"<{values}d", *said) == data[8:]
