"""The console of a caretaker: what a person at a terminal would see goes to the service in pulses."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from core.records import Candidate, Diagnosis, ValidationReport
from remend.console import Console, Stage
from remend.pipeline import PROVING, SEARCHING, SWAPPING
from remend.service.pulse import Doing, Pulse, Said

_CANCELLABLE = (SEARCHING, PROVING)


class Listener(Protocol):
    """Whoever wants to know what a healing found, while it goes on."""

    def diagnosed(self, diagnosis: Diagnosis) -> None:
        """An incident was explained."""
        ...

    def judged(self, candidate: Candidate, report: ValidationReport) -> None:
        """A patch was put before the gates."""
        ...

    def deployed(self) -> None:
        """A swap has ended."""
        ...


class PulseConsole(Console):
    """Says stages and lines in pulses."""

    def __init__(self, say: Callable[[Pulse], None]) -> None:
        super().__init__(file=io.StringIO(), width=80)
        self._say = say
        self._listener: Listener | None = None

    def tell(self, listener: Listener) -> None:
        """Have `listener` know of diagnoses and judgements from now on."""
        self._listener = listener

    def line(self, text: str = "", style: str = "") -> None:
        self._say(Said(text=text.strip(), grave="red" in style))

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        self._say(Doing(what=title, cancellable=title in _CANCELLABLE))
        stage = _PulseStage(self, title, self._say)
        try:
            yield stage
        finally:
            self._say(Said(text=f"{title}: {stage.result or 'stopped'}"))
            if title == SWAPPING and self._listener is not None:
                self._listener.deployed()
            self._say(Doing(what="watching"))

    def show_diagnosis(self, diagnosis: Diagnosis) -> None:
        self._say(Said(text=diagnosis.summary))
        if self._listener is not None:
            self._listener.diagnosed(diagnosis)

    def show_patch(self, candidate: Candidate, report: ValidationReport) -> None:
        if self._listener is not None:
            self._listener.judged(candidate, report)


class _PulseStage(Stage):
    """One stage at work."""

    def __init__(self, console: Console, title: str, say: Callable[[Pulse], None]) -> None:
        super().__init__(console, title, None)
        self._say, self._what = say, title

    def update(self, done: int, total: int, note: str = "") -> None:
        may = self._what in _CANCELLABLE
        self._say(Doing(what=self._what, done=done, total=total, note=note, cancellable=may))
