"""The report of a healing: complete, self-contained, escaped, and with no number of its own."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.records import Cause, Gate, MetricDelta
from core.stats import paired_interval
from core.status import Verdict
from remend import numbers, sentences, views
from remend.picture import write_picture
from remend.report import render_report, write_report

VOID = {"meta", "br", "rect", "path", "circle", "link", "img", "hr", "input"}


def load(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"remend_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stories = load("stories")


class Page(HTMLParser):
    """Tags in balance, attributes, and the text a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"not closed: {self.open}"
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.parts.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attrs for name, attrs in self.tags if name == tag)


@pytest.fixture(scope="module")
def full_html() -> str:
    return render_report(stories.full())


@pytest.fixture(scope="module")
def page(full_html: str) -> Page:
    return Page(full_html)


def test_file_asks_for_nothing_from_outside_and_forbids_it(full_html: str, page: Page) -> None:
    assert re.search(r"https?:|//[a-z]|url\(|@import|<script|<iframe|<object|javascript:", full_html, re.I) is None
    policy = [attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") or name == "src" for name in attrs)]


def test_sections_come_in_the_order_of_the_argument(full_html: str) -> None:
    order = re.findall(r'<h2 id="(\w+)"', full_html)
    wanted = ["why", "what", "works", "measured", "worst", "unknown", "gates", "plan", "truth", "provenance"]
    assert order == wanted


def test_every_gate_is_shown_with_verdict_and_reason(page: Page) -> None:
    for row in views.gate_rows(stories.report()):
        assert f"{row.name} {row.verdict} {row.why}" in page.text


def test_gate_that_did_not_pass_comes_first() -> None:
    gates = (*stories.GATES, Gate(name="healthy_plant", verdict=Verdict.INCONCLUSIVE, why="too few runs"))
    rows = views.gate_rows(stories.report(gates=gates))
    assert (rows[0].name, rows[0].verdict, rows[0].why) == ("Healthy plant", "inconclusive", "too few runs")


def test_paired_table_shows_the_records_numbers_with_regressions_first(page: Page) -> None:
    rows = views.delta_rows(stories.report())
    assert [row.verdict for row in rows] == ["worse, inside its limit", "better", "better", "no clear change"]
    assert (rows[1].before, rows[1].after, rows[1].unit) == ("31.2", "6.12", "mrad")
    assert (rows[1].change, rows[1].interval) == ("-80.4 %", "-83.0 to -77.9 %")
    for row in rows:
        assert f"{row.before} {row.after} {row.change} {row.interval} {row.pairs} {row.verdict}" in page.text


def test_every_number_in_a_table_comes_from_the_records(page: Page) -> None:
    story = stories.full()
    for change in story.patch.changes:
        row = views.param_row(change)
        assert f"{row.name} [{row.unit}] {row.old} {row.new} {row.step} {row.allowed}" in page.text
    for line in map(views.truth_line, story.truth):
        assert f"{line.metric} [{line.unit}] {line.nominal} {line.faulted} {line.patched}" in page.text
    for cause in views.cause_rows(story.diagnosis):
        assert f"{cause.cause} {cause.probability} {' '.join(cause.estimates)}" in page.text
    for scenario, cells in views.scenario_table(story.report).rows:
        assert f"{scenario} {' '.join(' '.join(cell) for cell in cells)}" in page.text
    for label, text in sentences.outcome_rows(story.outcome):
        assert f"{label} {text}" in page.text
    assert numbers.share(story.recovery_ratio) in page.text
    for sha in (story.incident.sha256, story.report.sha256, story.patch.result_sha, story.patch.base_sha):
        assert sha in page.text


def test_interval_across_zero_is_no_clear_change_and_few_pairs_are_no_number() -> None:
    few = MetricDelta(
        metric="rms_effort",
        unit="N*m",
        before=40.0,
        after=20.0,
        delta=-20.0,
        ci_low=-21.0,
        ci_high=-19.0,
        level=0.95,
        n_pairs=9,
        method="paired t",
    )
    (row,) = views.delta_rows(replace(stories.report(), deltas=(few,)))
    assert (row.change, row.interval, row.verdict) == ("too few runs",) * 3


def test_change_too_small_to_be_shown_is_no_clear_change() -> None:
    story = stories.report()
    tiny = replace(story.deltas[2], delta=2e-3, ci_low=1e-3, ci_high=3e-3)
    (row,) = views.delta_rows(replace(story, deltas=(tiny,)))
    assert (row.change, row.interval, row.verdict) == ("0 %", "0 to 0 %", "no clear change")


def test_decrease_never_passes_minus_hundred_per_cent() -> None:
    story = stories.report()
    uneven = [
        replace(s, before={"rms_tracking_error": 0.01 * (1 + k) ** 2}, after={"rms_tracking_error": 0.001 * (1 + k)})
        for k, s in enumerate(story.scenarios)
    ]
    before = [s.before["rms_tracking_error"] for s in uneven]
    after = [s.after["rms_tracking_error"] for s in uneven]
    found = paired_interval(np.subtract(after, before))
    assert found.low < -np.mean(before)  # as a share of the mean this would read below -100 %
    values = {"before": float(np.mean(before)), "after": float(np.mean(after)), "n_pairs": len(before)}
    delta = replace(story.deltas[0], delta=found.mean, ci_low=found.low, ci_high=found.high, **values)
    (row,) = views.delta_rows(replace(story, scenarios=tuple(uneven), deltas=(delta,)))
    assert (row.change, row.interval, row.verdict) == ("-98.1 %", "-98.8 to -96.9 %", "better")


def test_worst_case_and_unknowns_are_named(page: Page) -> None:
    assert "Sine task, twin sample 1 RMS tracking error 30.6 to 7.45 mrad (-75.7 %)" in page.text
    assert "Contact, cables and heat are not simulated." in page.text
    assert "runs only while a revert is armed" in page.text


def test_twin_that_does_not_reproduce_the_incident_is_said_above_the_table() -> None:
    gate = Gate(name="fidelity", verdict=Verdict.INCONCLUSIVE, why="the twin repeats 40 % of the incident")
    report = stories.report(verdict=Verdict.INCONCLUSIVE, gates=(gate,))
    page = Page(render_report(replace(stories.full(), report=report, approval=None, outcome=None)))
    assert page.text.count(views.NOT_REPRODUCED) == 2
    assert "Inconclusive The evidence decides neither way" in page.text


def test_texts_of_others_are_escaped() -> None:
    evil = '<script>alert("x")</script><img src=x onerror=y>'
    story = stories.full(evil)
    diagnosis = replace(
        story.diagnosis, summary=evil, causes=(Cause(cause=evil, probability=1, estimate={}, interval={}),)
    )
    html = render_report(replace(story, diagnosis=diagnosis, diff=f"+{evil}", robot_title=evil, robot_id='"><b>'))
    assert "<script" not in html
    assert "<img" not in html
    assert evil in Page(html).text


def test_tables_have_captions_and_scopes_and_figures_have_alternatives(full_html: str, page: Page) -> None:
    assert full_html.count("<table") == full_html.count("<caption") == 8
    assert all(attrs.get("scope") for attrs in page.all("th"))
    charts = [attrs for attrs in page.all("svg") if attrs.get("class") == "chart"]
    assert len(charts) == 5
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in charts)
    others = [attrs for attrs in page.all("svg") if attrs.get("class") != "chart"]
    assert all(attrs.get("aria-hidden") == "true" for attrs in others)
    names = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(names) == len(set(names))


def test_healthy_run_has_a_report_of_what_there_is(tmp_path: Path) -> None:
    write_report(stories.healthy(), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Healthy No alarm was raised; nothing was changed." in page.text
    assert "no fault injected" in page.text
    assert "Provenance" in page.text
    assert "Gates" not in page.text


def test_fault_that_nobody_noticed_is_not_called_healthy() -> None:
    page = Page(render_report(replace(stories.healthy(), fault="payload:mass=5")))
    assert "Not detected A fault was injected and no alarm was raised." in page.text


@pytest.mark.parametrize("missing", ["diagnosis", "report", "approval", "outcome", "plots", "recovery_ratio"])
def test_report_of_a_healing_with_one_part_missing(missing: str) -> None:
    Page(render_report(replace(stories.full(), **{missing: None})))


def test_status_names_every_end() -> None:
    story = stories.full()
    back = replace(story.outcome, rolled_back=True, reason="tracking error of joint 2 is 1.4 times its limit")
    ends = {
        "Active": story,
        "Rolled back": replace(story, outcome=back),
        "Rejected": replace(story, approval=replace(story.approval, decision="reject"), outcome=None),
        "Awaiting approval": replace(story, approval=None, outcome=None),
        "Refused": replace(story, report=stories.report(verdict=Verdict.FAIL), approval=None, outcome=None),
        "No patch": replace(story, candidates=(), report=None, approval=None, outcome=None),
    }
    assert {name: sentences.headline(end).status for name, end in ends.items()} == {name: name for name in ends}
    assert back.reason in Page(render_report(ends["Rolled back"])).text


def test_gaps_and_missing_ratios_leave_a_chart_that_is_finite() -> None:
    plots = stories.plots()
    ratio = plots.test_ratio.copy()
    ratio[100:400] = np.nan
    html = render_report(replace(stories.full(), plots=replace(plots, test_ratio=ratio)))
    assert "nan" not in "".join(re.findall(r' d="([^"]*)"', html))
    silent = replace(plots, test_ratio=np.full_like(ratio, np.nan), before=None, after=None, canary=None)
    assert render_report(replace(stories.full(), plots=silent)).count('class="chart"') == 2


def test_picture_is_a_png_of_1600_by_700(tmp_path: Path) -> None:
    write_picture(stories.full(), tmp_path / "heal.png")
    data = (tmp_path / "heal.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (1600, 700)
