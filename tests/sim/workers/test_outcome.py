"""A worker's end, in words that do not take its own word for anything."""

from __future__ import annotations

import signal

import pytest

from sim.workers.outcome import Lost, Reason, outcome
from sim.workers.zygote import MOST_TEXT


def test_a_result_is_its_bytes() -> None:
    assert outcome(0, b"Rabc", 4) == b"abc"
    assert outcome(0, b"R", 4) == b""


@pytest.mark.parametrize(
    ("exit_code", "answer", "reason"),
    [
        (-signal.SIGSYS, b"Rabc", Reason.FORBIDDEN),
        (-signal.SIGKILL, b"Rabc", Reason.KILLED),
        (-signal.SIGXCPU, b"Rabc", Reason.TIME),
        (-signal.SIGSEGV, b"Rabc", Reason.CRASH),
        (1, b"Rabc", Reason.CRASH),
        (0, b"", Reason.CRASH),
        (0, b"Rabcd", Reason.OUTPUT),
        (0, b"Eabc", Reason.CRASH),
        (0, b"Uabc", Reason.MACHINE),
        (0, b"Xabc", Reason.ANSWER),
    ],
)
def test_whatever_is_no_result_is_a_lost_job(exit_code: int, answer: bytes, reason: Reason) -> None:
    found = outcome(exit_code, answer, 4)
    assert isinstance(found, Lost)
    assert found.reason is reason


def test_words_of_a_worker_are_short_and_printable() -> None:
    found = outcome(0, b"E" + b"\x1b[2J\nhello \xff" + b"x" * 1000, 4096)
    assert isinstance(found, Lost)
    assert found.what.isprintable()
    assert "hello" in found.what
    assert len(found.what) <= MOST_TEXT
