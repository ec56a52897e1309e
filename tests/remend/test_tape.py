"""The tape: as much telemetry as was asked for, and test ratios for as long as the telemetry that they belong to."""

from __future__ import annotations

import numpy as np

from core.block import Block
from remend.tape import Tape

KEEP_S = 2.0


def _block(start_s: float) -> Block:
    """Half a second of a robot with one coordinate and one actuator, at 10 Hz."""
    data = np.zeros((5, 9))
    data[:, 1] = (start_s + 0.1 * np.arange(5)) * 1e9
    return Block(data=data, actuators=1)


def _play(tape: Tape, start_s: float, blocks: int) -> None:
    for k in range(blocks):
        block = _block(start_s + 0.5 * k)
        tape.add(block)
        tape.score(block.t_s[1::2], block.t_s[1::2] * 0.01)


def test_an_hour_of_healthy_telemetry_leaves_what_was_asked_for() -> None:
    tape = Tape(KEEP_S)
    _play(tape, 0.0, 7200)
    times, ratios = tape.scores()
    assert tape.end_s == tape.all().t_s[-1]
    assert KEEP_S <= tape.end_s - tape.all().t_s[0] <= KEEP_S + 1.0
    assert tape.all().t_s[0] <= times[0] <= tape.all().t_s[0] + 0.2
    assert len(times) == 2 * len(tape.all()) / 5
    np.testing.assert_array_equal(ratios, times * 0.01)


def test_from_an_incident_on_nothing_is_forgotten() -> None:
    tape = Tape(KEEP_S)
    _play(tape, 0.0, 20)
    begins_s = tape.all().t_s[0]
    tape.hold()
    _play(tape, 10.0, 100)
    assert tape.all().t_s[0] == begins_s
    assert tape.scores()[0][0] <= begins_s + 0.2
    assert len(tape.scores()[0]) == 2 * len(tape.all()) / 5


def test_telemetry_from_before_the_detector_has_no_scores() -> None:
    tape = Tape(KEEP_S)
    tape.add(_block(0.0))
    tape.score(np.zeros(0), np.zeros(0))
    assert [len(part) for part in tape.scores()] == [0, 0]
    _play(tape, 0.5, 1)
    assert tape.scores()[0][0] > 0.5
