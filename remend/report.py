"""The report of one healing: a single HTML file to read, mail or archive.

It asks for nothing from outside, runs no script, and carries the policy that forbids both.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from remend import figures, numbers, sentences, views
from remend.contenders import contender_rows
from remend.story import Plots, Story


def write_report(story: Story, path: Path) -> None:
    """Write the report of a story to `path`, replacing what is there."""
    path.write_text(render_report(story), encoding="utf-8")


def render_report(story: Story) -> str:
    """The report as HTML. Every text of a record is escaped; every number goes through the formatter."""
    environment = Environment(
        loader=PackageLoader("remend", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    report, plots = story.report, story.plots
    return environment.get_template("report.html.jinja").render(
        story=story,
        n=numbers,
        head=sentences.headline(story),
        gist=sentences.gist(story),
        incident=_incident(story),
        causes=() if story.diagnosis is None else views.cause_rows(story.diagnosis),
        params=() if story.patch is None else tuple(map(views.param_row, story.patch.changes)),
        contenders=() if story.patch is None else contender_rows(story.contenders, story.patch.id),
        evidence="" if report is None else sentences.evidence_sentence(report),
        level="" if report is None else views.levels(report),
        deltas=() if report is None else views.delta_rows(report),
        reproduced=report is None or views.reproduced(report),
        not_reproduced=views.NOT_REPRODUCED,
        strips=tuple(map(views.strip_rows, story.strips)),
        scenarios=None if report is None else views.scenario_table(report),
        worst=None if report is None else sentences.worst_case(report),
        unknowns=() if report is None else sentences.unknowns(report),
        gates=() if report is None else views.gate_rows(report),
        limits=None if report is None else views.limit_table(report.canary_limit, story.units, story.command_unit),
        outcome=() if story.outcome is None else sentences.outcome_rows(story.outcome, story.command_unit),
        truth=tuple(map(views.truth_line, story.truth)),
        recovery=sentences.recovery_sentence(story),
        diff=tuple((diff_kind(line), line) for line in story.diff.splitlines()),
        figures=_figures(plots),
        joints=None if plots is None or plots.before is None else figures.joint_rows(plots),
        provenance=_provenance(story),
    )


def _figures(plots: Plots | None) -> dict[str, figures.Figure | None]:
    if plots is None:
        return dict.fromkeys(("ratio", "course", "overlay", "motion", "canary"))
    return {
        "ratio": figures.ratio_figure(plots),
        "course": figures.course_figure(plots),
        "overlay": figures.overlay_figure(plots),
        "motion": figures.motion_figure(plots),
        "canary": figures.canary_figure(plots),
    }


def _incident(story: Story) -> tuple[tuple[str, str], ...]:
    """The alarm: (label, text)."""
    if story.incident is None:
        return ()
    event = story.incident.event
    rows = [
        ("First channel", event.channel),
        ("Kind of change", event.kind),
        ("Estimated onset", f"{numbers.moment(event.onset_s)} on the robot's clock"),
        ("Alarm", f"{numbers.moment(event.alarm_s)}, {numbers.quantity(event.alarm_s - event.onset_s, 's')} after it"),
        ("Test ratio at the alarm", f"{numbers.figure(event.test_ratio)} (1 = alarm)"),
    ]
    if event.ranking:
        ranked = (f"{channel} {numbers.figure(ratio)}" for channel, ratio in event.ranking[:5])
        rows.append(("Channels by test ratio", ", ".join(ranked)))
    return tuple(rows)


def diff_kind(line: str) -> str:
    """What a line of a unified diff is: "head", "new", "old" or "same"."""
    if line.startswith(("---", "+++", "@@", "diff ", "index ")):
        return "head"
    return {"+": "new", "-": "old"}.get(line[:1], "same")


def _provenance(story: Story) -> tuple[tuple[str, str], ...]:
    """Ids, hashes, seed, rollouts and versions: (label, text)."""
    rows = [
        ("Robot", story.robot_id),
        ("Created", numbers.utc(story.created_ns)),
        ("Seed", str(story.seed)),
    ]
    if story.incident is not None:
        rows += [
            ("Incident", story.incident.id),
            ("Incident sha256", story.incident.sha256),
            ("Detector", story.incident.event.detector),
            ("Telemetry sha256", story.incident.telemetry_sha),
        ]
    if story.diagnosis is not None:
        rows += [("Diagnosis by", story.diagnosis.author), ("Diagnosis sha256", story.diagnosis.sha256)]
    if story.patch is not None:
        rows += [
            ("Patch", story.patch.id),
            ("Patch sha256", story.patch.sha256),
            ("Proposed by", story.patch.proposer),
            ("Controller before, sha256", story.patch.base_sha),
            ("Controller after, sha256", story.patch.result_sha),
            ("Search rollouts", numbers.count(story.patch.search_rollouts)),
        ]
    if story.report is not None:
        rows += [
            ("Report", story.report.id),
            ("Report sha256", story.report.sha256),
            ("Seed of the sealed scenarios", str(story.report.seed)),
            ("Evidence rollouts", numbers.count(story.report.rollouts)),
        ]
    if story.approval is not None:
        rows.append(("Approval", story.approval.id))
    return (*rows, *((f"Version of {component}", version) for component, version in story.versions))
