"""What the terminal shows, at 80 columns, without colour, and from texts that would like to steer it."""

from __future__ import annotations

import importlib.util
import io
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from core.clock import ManualClock
from core.records import Gate
from core.status import Verdict
from remend import views
from remend.console import Console


def load(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"remend_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stories = load("stories")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(file: io.StringIO) -> str:
    """The text with every run of blanks as one, so that wrapping does not matter."""
    return " ".join(file.getvalue().split())


@pytest.fixture
def file() -> io.StringIO:
    return io.StringIO()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(file: io.StringIO, width: int) -> None:
    story = stories.full()
    console = Console(file, width=width)
    console.show_diagnosis(story.diagnosis)
    console.show_patch(story.patch, story.report)
    console.show_result(story)
    assert max(map(len, file.getvalue().splitlines())) <= width
    assert "…" not in file.getvalue()
    assert "\x1b" not in file.getvalue()


def test_diagnosis_says_cause_probability_estimate_and_rival(file: io.StringIO) -> None:
    Console(file, width=80).show_diagnosis(stories.diagnosis())
    text = shown(file)
    assert "The arm carries about 4.9 kg" in text
    assert "Unknown payload 96.8 % mass of the load 4.94 kg (4.81 to 5.06" in text
    assert "Joint friction, joint 2 1.8 %" in text
    assert "fidelity 0.931 of 1" in text


def test_decision_view_has_all_that_a_person_decides_on(file: io.StringIO) -> None:
    story = stories.full()
    Console(file, width=80).show_patch(story.patch, story.report)
    text = shown(file)
    for row in map(views.param_row, story.patch.changes):
        assert f"{row.name} [{row.unit}] {row.old} {row.new} {row.step}" in text
    for row in views.delta_rows(story.report):
        assert f"{row.before} {row.after} {row.change} {row.interval} {row.verdict.split()[0]}" in text
    for gate in story.report.gates:
        assert gate.why[1:30] in text
    assert "Sine task, twin sample 1" in text
    assert "Contact, cables and heat are not simulated." in text
    assert "Verdict: pass" in text
    assert file.getvalue().index("Worst case") < file.getvalue().index("Gates") < file.getvalue().index("Verdict")


def test_result_says_status_recovery_and_where_to_read_on(file: io.StringIO) -> None:
    path = "/somewhere/" + "long/" * 20 + "report.html"
    Console(file, width=80).show_result(stories.full(), [("report", path), ("telemetry", "incident.mcap")])
    text = shown(file)
    assert "ACTIVE The patch held" in text
    assert "RMS tracking error [mrad] 4.1 30.9 6.3" in text
    assert "91.8 % of the lost tracking performance came back" in text
    assert f"report: {path}" in text  # in one piece, to be clicked or copied
    assert "Missed deadlines: not measured in lockstep" in text


def test_healthy_result_is_short(file: io.StringIO) -> None:
    Console(file, width=80).show_result(stories.healthy())
    assert shown(file) == "HEALTHY No alarm was raised; nothing was changed."


def test_failed_gate_and_unfaithful_twin_are_in_words(file: io.StringIO) -> None:
    gate = Gate(name="fidelity", verdict=Verdict.INCONCLUSIVE, why="the twin repeats 40 % of the incident")
    story = stories.full()
    Console(file, width=80).show_patch(story.patch, stories.report(Verdict.INCONCLUSIVE, (gate,)))
    text = shown(file)
    assert views.NOT_REPRODUCED in text
    assert "inconclusive Fidelity: the twin repeats 40 % of the incident" in text
    assert "Verdict: inconclusive" in text


def test_texts_of_others_cannot_steer_the_terminal(file: io.StringIO) -> None:
    story = stories.full("\x1b[2J\x1b]0;owned\x07 [red]plain[/red] :smile:")
    Console(file, width=80).show_patch(story.patch, story.report)
    assert "\x1b" not in file.getvalue()
    assert "\x07" not in file.getvalue()
    assert "[red]plain[/red] :smile:" in shown(file)


def test_stage_without_terminal_is_plain_lines(file: io.StringIO) -> None:
    clock = ManualClock()
    with Console(file, width=80, clock=clock).stage("Gathering evidence") as stage:
        for done in range(1, 101):
            stage.update(done, 100, "rollouts")
        clock.advance_s(12.3)
        stage.finish("100 paired runs")
    assert file.getvalue().splitlines() == [
        "Gathering evidence ...",
        "  Gathering evidence: 25 of 100, rollouts",
        "  Gathering evidence: 50 of 100, rollouts",
        "  Gathering evidence: 75 of 100, rollouts",
        "  Gathering evidence: 100 paired runs  (12.3 s)",
    ]


def test_stage_that_fails_says_so_and_passes_the_error_on(file: io.StringIO) -> None:
    def fail() -> None:
        with Console(file, width=80, clock=ManualClock()).stage("Fitting"):
            raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        fail()
    assert "Fitting: stopped" in file.getvalue()


def test_stage_on_a_terminal_shows_a_bar_and_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = Terminal()
    with Console(file, width=80, clock=ManualClock()).stage("Searching") as stage:
        stage.update(3, 12)
        stage.finish("12 candidates")
    assert "3 of 12" in file.getvalue()
    assert "12 candidates" in file.getvalue().splitlines()[-1]


def test_no_color_is_honoured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    console = Console(file, width=80)
    story = stories.full()
    console.show_patch(story.patch, story.report)
    colours = [f"\x1b[{bold}{code}m" for bold in ("", "1;") for code in range(31, 38)]
    assert not [code for code in colours if code in file.getvalue()]
    assert "better" in file.getvalue()


def test_stream_that_cannot_write_a_sign_does_not_stop_the_run() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream, width=80).show_result(replace(stories.full(), robot_title="Roboter für N·m"))
    stream.flush()
    assert b"RMS effort [N?m]" in raw.getvalue()
