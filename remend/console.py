"""What the terminal shows: one line per stage while it works, then the decision and the result as tables of 80 columns.

Colour only underlines words that are there. Without a terminal the same text comes as plain lines; NO_COLOR is
honoured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from rich import box
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from core.clock import Clock, SystemClock
from core.records import Candidate, Diagnosis, ValidationReport
from remend import numbers, sentences, views
from remend.story import Story

_TONE = {
    "good": "bold green",
    "bad": "bold red",
    "open": "bold yellow",
    "better": "green",
    "worse": "red",
    "pass": "green",
    "fail": "bold red",
    "inconclusive": "yellow",
}
_BAR = 13  # characters of the bar that shows where a value stands in its range
_QUARTER = 0.25  # without a terminal a long stage reports this often


class Stage:
    """One stage at work; `update` moves its bar, `result` is what its line will say."""

    def __init__(self, console: Console, title: str, bar: Progress | None) -> None:
        self._console, self._title, self._bar = console, title, bar
        self._task = None if bar is None else bar.add_task(title, total=None, note="")
        self._told = 0.0
        self.result = ""

    def update(self, done: int, total: int, note: str = "") -> None:
        """So many steps of so many are done."""
        counted = f"{numbers.count(done)} of {numbers.count(total)}" + (f", {printable(note)}" if note else "")
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, note=counted)
        elif total and done < total and done / total >= self._told + _QUARTER:
            self._told = done / total
            self._console.line(f"  {self._title}: {counted}")

    def finish(self, result: str) -> None:
        """What the stage found, in a few words."""
        self.result = result


class Console:
    """The views of a healing for a terminal of any width from 40 columns, or for a file."""

    def __init__(self, file: IO[str] | None = None, width: int | None = None, clock: Clock | None = None) -> None:
        """`file` defaults to standard output, `width` to the terminal's or 80 columns."""
        stream = file or sys.stdout
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot write a sign shows "?" and goes on
        self._rich = RichConsole(file=stream, width=width, highlight=False, emoji=False, markup=False)
        self._clock = clock or SystemClock()

    def line(self, text: str = "", style: str = "") -> None:
        """One paragraph, wrapped to the width."""
        self._rich.print(Text(printable(text), style=style))

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """Announce a stage, show its progress, and close with one line: title, result and wall time."""
        began_ns = self._clock.monotonic_ns()
        if self._rich.is_terminal:
            columns = (TextColumn("  {task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[note]}"))
            bar = Progress(*columns, console=self._rich, transient=True)
            stage = Stage(self, title, bar)
            context = bar
        else:
            bar = None
            stage = Stage(self, title, None)
            context = None
            self.line(f"{title} ...")
        try:
            if context is None:
                yield stage
            else:
                with context:
                    yield stage
        except BaseException:
            self._close(title, "stopped", began_ns, "red")
            raise
        self._close(title, stage.result or "done", began_ns, "")

    def _close(self, title: str, result: str, began_ns: int, style: str) -> None:
        took = numbers.quantity((self._clock.monotonic_ns() - began_ns) * 1e-9, "s")
        text = Text("  ").append(f"{title}: ", "bold").append(printable(result), style).append(f"  ({took})", "dim")
        self._rich.print(text)

    def show_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Why it happened: the hypotheses with probabilities, estimates and how to check each at the robot."""
        self._heading("Why")
        self._paragraph(diagnosis.summary)
        if diagnosis.advice:
            self._paragraph(diagnosis.advice)
        self._paragraph(
            f"The fitted twin reproduces the incident with fidelity {numbers.figure(diagnosis.fidelity)} of 1."
        )
        table = self._table(("likely cause", "left"), ("probability", "right"), ("estimate (90 % interval)", "left"))
        rows = views.cause_rows(diagnosis)
        for row in rows:
            table.add_row(printable(row.cause), row.probability, printable("\n".join(row.estimates)) or "-")
        self._rich.print(table)
        for row in rows:
            for text in filter(None, (row.remark, row.check)):
                self._paragraph(f"{row.cause}: {text}")

    def show_patch(self, candidate: Candidate, report: ValidationReport) -> None:
        """The decision: what the patch changes, what it is worth, and what speaks against it."""
        self._heading("What would change")
        self._paragraph(candidate.rationale)
        self._paragraph(
            f"{candidate.id}, kind {candidate.kind}, found by {candidate.proposer} "
            f"in {numbers.count(candidate.search_rollouts)} search rollouts."
        )
        if candidate.changes:
            self._show_params(candidate)
        self.show_report(report)

    def show_report(self, report: ValidationReport) -> None:
        """The evidence: what a controller is worth against the incumbent, and what speaks against it."""
        self._heading("Does it work")
        if not views.reproduced(report):
            self._paragraph(views.NOT_REPRODUCED, "bold yellow")
        self._paragraph(sentences.evidence_sentence(report))
        if report.deltas:
            self._show_deltas(report)
        self._heading("Worst case")
        scenario, rows = sentences.worst_case(report)
        self._paragraph(scenario)
        for metric, text in rows:
            self._indented(f"{metric}: {text}", Text("  - "))
        self._heading("What we do not know")
        for unknown in sentences.unknowns(report):
            self._indented(printable(unknown), Text("  - "))
        self._heading("Gates")
        for gate in views.gate_rows(report):
            self._indented(printable(f"{gate.name}: {gate.why}"), Text(f"  {gate.verdict:<14}", _TONE[gate.verdict]))
        word = views.VERDICT_WORDS[report.verdict]
        self._rich.print(Text("\nVerdict: ").append(word, _TONE[word]))

    def show_result(self, story: Story, files: Sequence[tuple[str, str]] = ()) -> None:
        """How it ended: status, the true state before and after, the recovery, and where to read on.

        Args:
            files: (what, path) of the files that were written.
        """
        head = sentences.headline(story)
        self._rich.print()
        self._rich.print(Text(head.status.upper(), _TONE[head.tone]).append(f"  {printable(head.sentence)}", "default"))
        if story.outcome is not None:
            for label, text in sentences.outcome_rows(story.outcome, story.command_unit):
                self._paragraph(f"{label}: {text}")
        if story.truth:
            self._heading("Before and after, on the robot's true state (simulation only)")
            self._show_truth(story)
            self._paragraph(sentences.recovery_sentence(story))
        if files:
            self._heading("Read on")
            for what, path in files:
                self._rich.print(Text(f"  {what}: {printable(path)}"), soft_wrap=True)  # a path stays in one piece

    def _show_params(self, candidate: Candidate) -> None:
        table = self._table(
            ("parameter", "left"), ("old", "right"), ("new", "right"), ("step", "right"), ("allowed range", "left")
        )
        for change in candidate.changes:
            row = views.param_row(change)
            name = row.name if row.unit == "1" else f"{row.name} [{row.unit}]"
            table.add_row(printable(name), row.old, row.new, row.step, f"{_range_bar(row)} {row.allowed}")
        self._rich.print(table)
        self._paragraph("o old, x new, = both; step as a share of the allowed range; entries count from 0.", "dim")

    def _show_deltas(self, report: ValidationReport) -> None:
        table = self._table(
            ("metric", "left"),
            ("before", "right"),
            ("after", "right"),
            ("change", "right"),
            (f"{views.levels(report)} interval", "right"),
            ("verdict", "left"),
        )
        for row in views.delta_rows(report):
            metric = row.metric if row.unit == "1" else f"{row.metric} [{row.unit}]"
            verdict = Text(row.verdict, _TONE.get(row.verdict.partition(",")[0], ""))
            table.add_row(metric, row.before, row.after, row.change, row.interval, verdict)
        self._rich.print(table)

    def _show_truth(self, story: Story) -> None:
        table = self._table(("metric", "left"), ("healthy", "right"), ("with fault", "right"), ("patched", "right"))
        for row in map(views.truth_line, story.truth):
            metric = row.metric if row.unit == "1" else f"{row.metric} [{row.unit}]"
            table.add_row(metric, row.nominal, row.faulted, row.patched)
        self._rich.print(table)

    def _heading(self, text: str) -> None:
        self._rich.print(Text(f"\n{text}", "bold"))

    def _paragraph(self, text: str, style: str = "") -> None:
        self._indented(printable(text), Text("  "), style)

    def _indented(self, text: str, mark: Text, style: str = "") -> None:
        """A paragraph behind a mark; its later lines stand below its text, not below the mark."""
        room = max(20, self._rich.width - len(mark))
        for k, part in enumerate(Text(text, style).wrap(self._rich, room)):
            part.rstrip()
            self._rich.print((Text(" " * len(mark)) if k else mark.copy()).append_text(part))

    def _table(self, *columns: tuple[str, str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        for name, side in columns:
            table.add_column(
                name, justify="right" if side == "right" else "left", no_wrap=side == "right", overflow="fold"
            )
        return table


def printable(text: str) -> str:
    """The text without control characters: what a proposer or a robot wrote cannot steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def _range_bar(row: views.ParamRow) -> str:
    cells = ["-"] * _BAR
    old, new = round(row.old_at * (_BAR - 1)), round(row.new_at * (_BAR - 1))
    cells[old], cells[new] = "o", "=" if old == new else "x"
    return f"|{''.join(cells)}|"
