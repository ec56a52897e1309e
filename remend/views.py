"""What a story says, as rows of text and positions: shared by the console, the report and the dashboard.

Every number here is a record's, and its text the formatter's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.records import Cause, Diagnosis, MetricDelta, Outcome, ParamChange, ScenarioResult, ValidationReport
from core.status import Verdict
from remend import numbers
from remend.story import Story, TruthRow
from sim.faults import CATALOGUE

CAUSE_WORDS = {
    "none": "no fault",
    "payload": "unknown payload",
    "friction": "joint friction",
    "actuator_loss": "weak actuator",
    "sensor_bias": "encoder offset",
    "delay": "command delay",
}
CHECKS = {  # what a person can do at the robot, and what there would speak against the cause
    "none": "Refuted if the alarm comes back in a quiet, known situation.",
    "payload": "Take the load off the tool: refuted if the test ratio stays above 1.",
    "friction": "Move the joint slowly back and forth by itself: refuted if its torque does not grow with speed.",
    "actuator_loss": "Hold a known weight still: refuted if commanded torque and the weight's torque agree.",
    "sensor_bias": "Drive the joint to its mechanical reference mark: refuted if the reading agrees with the mark.",
    "delay": "Command a small step and time the torque: refuted if the lag is as long as on the healthy robot.",
}
METRIC_WORDS = {
    "rms_tracking_error": "RMS tracking error",
    "max_tracking_error": "largest tracking error",
    "rms_effort": "RMS effort",
    "torque_variation": "torque variation",
}
VERDICT_WORDS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "inconclusive"}
_LIMIT_NAME = re.compile(r"(.+?)_(rad_s|rad|nm|s)(?:_(\d+))?")
_UNITS = {"rad": "rad", "rad_s": "rad/s", "nm": "N*m", "s": "s"}
_LIMIT_GATE = "non_inferior_"
NOT_REPRODUCED = "The simulation does not reproduce this incident."


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """Where the healing stands: a status in two or three words, and one sentence."""

    status: str
    tone: str  # "good", "bad" or "open"; drawn together with the word, never instead of it
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseRow:
    """One hypothesis."""

    cause: str
    probability: str
    width: float  # probability, for a bar
    estimates: tuple[str, ...]  # such as "mass 4.9 kg (4.7 to 5.1 kg)"
    remark: str
    check: str  # at the robot


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamRow:
    """One changed parameter, and where old and new stand in the allowed range (0 = low, 1 = high)."""

    name: str
    unit: str
    old: str
    new: str
    allowed: str
    step: str  # of the allowed range, with sign
    old_at: float
    new_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaRow:
    """One metric on paired runs."""

    metric: str
    unit: str
    before: str
    after: str
    change: str
    interval: str
    verdict: str  # "better", "worse", "no clear change" or "too few runs"
    pairs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthLine:
    """One metric on the true state."""

    metric: str
    unit: str
    nominal: str
    faulted: str
    patched: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioTable:
    """Each scenario's metrics, the worst for the candidate first."""

    metrics: tuple[str, ...]  # headings with unit
    rows: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]  # (scenario, (before, after, change) per metric)


def words(name: str, known: Mapping[str, str] = METRIC_WORDS) -> str:
    """A name from the code as words."""
    return known.get(name, name.replace("_", " "))


def headline(story: Story) -> Headline:  # noqa: PLR0911 - one return per state of a healing
    """Status and sentence of a story."""
    if story.incident is None and story.faulty:
        return Headline(status="Not detected", tone="bad", sentence="A fault was injected and no alarm was raised.")
    if story.incident is None:
        return Headline(status="Healthy", tone="good", sentence="No alarm was raised; nothing was changed.")
    patch, report, approval, outcome = story.patch, story.report, story.approval, story.outcome
    if patch is None:
        return Headline(status="No patch", tone="open", sentence="An incident is open and no patch was proposed.")
    if report is None:
        return Headline(status="Validating", tone="open", sentence="A patch is proposed; nothing is proven about it.")
    if report.verdict is Verdict.FAIL:
        return Headline(status="Refused", tone="bad", sentence="The evidence speaks against the patch; it was not run.")
    if report.verdict is Verdict.INCONCLUSIVE:
        return Headline(
            status="Inconclusive",
            tone="open",
            sentence="The evidence decides neither way; the patch is held and was not run.",
        )
    if approval is None:
        return Headline(
            status="Awaiting approval", tone="open", sentence="Every gate has passed; a person decides whether it runs."
        )
    if approval.decision != "approve":
        return Headline(status="Rejected", tone="bad", sentence=f"{approval.actor} rejected it: {approval.reason}")
    if outcome is None:
        return Headline(status="Approved", tone="open", sentence=f"Approved by {approval.actor}; not on the robot yet.")
    if outcome.rolled_back:
        return Headline(status="Rolled back", tone="bad", sentence=f"The incumbent runs again: {outcome.reason}")
    if outcome.deployed:
        return Headline(status="Active", tone="good", sentence="The patch held through its canary and runs now.")
    return Headline(status="Not deployed", tone="bad", sentence=outcome.reason or "The robot did not take the patch.")


def gist(story: Story) -> tuple[tuple[str, str], ...]:
    """The healing in three figures: (label, text), as far as they are known."""
    found = []
    if story.incident is not None and story.plots is not None and story.plots.fault_s is not None:
        delay_s = story.incident.event.alarm_s - story.plots.fault_s
        found.append(("Alarm after the fault", numbers.quantity(delay_s, "s")))
    if story.diagnosis is not None and story.diagnosis.causes:
        top = story.diagnosis.causes[0]
        found.append(("Most likely cause", f"{cause_title(top)} ({numbers.share(top.probability)})"))
    if story.report is not None and story.report.deltas:
        first = _delta_row(story.report.deltas[0], story.report)
        found.append((f"{first.metric}, {first.pairs} paired runs", f"{first.change} ({first.interval})"))
    if story.recovery_ratio is not None:
        found.append(("Recovered on the true state", numbers.share(story.recovery_ratio)))
    return tuple(found)


def cause_rows(diagnosis: Diagnosis, limit: int = 5) -> tuple[CauseRow, ...]:
    """The hypotheses, most probable first; those below one per mille are left out, except the first."""
    kept = [c for k, c in enumerate(diagnosis.causes[:limit]) if k == 0 or c.probability >= 0.001]
    return tuple(
        CauseRow(
            cause=title(cause_title(cause)),
            probability=numbers.share(cause.probability),
            width=min(max(cause.probability, 0.0), 1.0),
            estimates=estimates(cause),
            remark=cause.remark if cause.remark.endswith(".") else "",  # a sentence, not a label
            check=CHECKS.get(cause.cause, ""),
        )
        for cause in kept
    )


def cause_title(cause: Cause) -> str:
    """A cause in words, with its joint: "weak actuator, joint 3"."""
    joint = cause.estimate.get("joint")
    return words(cause.cause, CAUSE_WORDS) + ("" if joint is None else f", joint {round(joint)}")


def estimates(cause: Cause) -> tuple[str, ...]:
    """Every estimate of a cause with its interval; the joint is part of the title."""
    found = []
    for name, value in cause.estimate.items():
        if name == "joint":
            continue
        label, unit = _estimated(cause.cause, name)
        text = f"{label} {numbers.quantity(value, unit)}"
        if name in cause.interval:
            text += f" ({numbers.interval(*cause.interval[name], unit)})"
        found.append(text)
    return tuple(found)


def _estimated(cause: str, name: str) -> tuple[str, str]:
    """What an estimate is in words, and its unit."""
    kind = CATALOGUE.get(cause)
    if kind is not None and kind.parameter.name == name:
        return kind.parameter.meaning, kind.parameter.unit
    stem, _, joint = name.partition("_")
    at = f", joint {joint}" if joint.isdigit() else ""
    if stem == "viscous":
        return f"added viscous friction{at}", "N*m*s/rad"
    if stem == "coulomb":
        return f"added dry friction{at}", "N*m"
    return words(name), "1"


def param_row(change: ParamChange) -> ParamRow:
    """One changed parameter. All its numbers share a unit, so that they can be compared at a glance."""
    (old, new, low, high), unit = numbers.in_one_unit([change.old, change.new, change.low, change.high], change.unit)
    span = change.high - change.low

    def place(value: float) -> float:
        return min(max((value - change.low) / span, 0.0), 1.0) if span > 0 else 0.0

    step = numbers.percent_change(change.new - change.old, span) if span > 0 else None
    return ParamRow(
        name=change.name,
        unit=unit or "1",
        old=old,
        new=new,
        allowed=f"{low} to {high}",
        step=step or numbers.MISSING,
        old_at=place(change.old),
        new_at=place(change.new),
    )


def clear(delta: MetricDelta) -> int:
    """-1 where the candidate is clearly better, 1 where it is clearly worse, 0 where the runs do not say."""
    if delta.n_pairs < numbers.MIN_PAIRS or delta.ci_low <= 0.0 <= delta.ci_high:
        return 0
    return 1 if delta.ci_low > 0.0 else -1


def delta_rows(report: ValidationReport) -> tuple[DeltaRow, ...]:
    """The paired comparison, regressions first; lower is better for every metric."""
    return tuple(_delta_row(delta, report) for delta in sorted(report.deltas, key=lambda d: clear(d) != 1))


def _inside_limit(metric: str, report: ValidationReport) -> bool:
    """Whether the gate that limits this metric's growth has passed."""
    limits = [gate for gate in report.gates if gate.name.startswith(_LIMIT_GATE)]
    return any(gate.verdict is Verdict.PASS and gate.name.removeprefix(_LIMIT_GATE) in metric for gate in limits)


def _delta_row(delta: MetricDelta, report: ValidationReport) -> DeltaRow:
    (before, after), unit = numbers.in_one_unit([delta.before, delta.after], delta.unit)
    few = delta.n_pairs < numbers.MIN_PAIRS
    verdict = "too few runs" if few else {-1: "better", 0: "no clear change", 1: "worse"}[clear(delta)]
    if verdict == "worse" and _inside_limit(delta.metric, report):
        verdict = "worse, inside its limit"
    limits = (delta.ci_low, delta.ci_high, delta.delta, delta.before)
    return DeltaRow(
        metric=title(words(delta.metric)),
        unit=unit or "1",
        before=before,
        after=after,
        change="too few runs" if few else numbers.change(delta.delta, delta.before, delta.unit),
        interval="too few runs" if few else numbers.change_interval(*limits, delta.unit),
        verdict=verdict,
        pairs=numbers.count(delta.n_pairs),
    )


def levels(report: ValidationReport) -> str:
    """The confidence level of the intervals: "95 %"."""
    return " and ".join(sorted({numbers.share(delta.level) for delta in report.deltas}))


def reproduced(report: ValidationReport) -> bool:
    """Whether the twin repeats the incident well enough to be believed, by the gate that judged it."""
    return all(gate.verdict is Verdict.PASS for gate in report.gates if "fidelity" in gate.name)


def truth_line(row: TruthRow) -> TruthLine:
    """One metric on the true state, its three values in one unit."""
    (nominal, faulted, patched), unit = numbers.in_one_unit([row.nominal, row.faulted, row.patched], row.unit)
    return TruthLine(
        metric=title(words(row.metric)), unit=unit or "1", nominal=nominal, faulted=faulted, patched=patched
    )


def scenario_table(report: ValidationReport) -> ScenarioTable:
    """Every scenario with every metric, one unit per column."""
    units = {delta.metric: delta.unit for delta in report.deltas}
    names = list(units) or sorted({name for s in report.scenarios for name in s.before})
    ranked = sorted(report.scenarios, key=lambda s: -_growth(s, names[0])) if names else list(report.scenarios)
    columns = []
    headings = []
    for name in names:
        pairs = [(s.before.get(name), s.after.get(name)) for s in ranked]
        texts, unit = numbers.in_one_unit([value for pair in pairs for value in pair], units.get(name, "1"))
        headings.append(title(f"{words(name)} [{unit}]" if unit else words(name)))
        columns.append([(texts[2 * k], texts[2 * k + 1], _change_of(*pair)) for k, pair in enumerate(pairs)])
    rows = tuple((s.scenario, tuple(column[k] for column in columns)) for k, s in enumerate(ranked))
    return ScenarioTable(metrics=tuple(headings), rows=rows)


def _growth(scenario: ScenarioResult, metric: str) -> float:
    before, after = scenario.before.get(metric), scenario.after.get(metric)
    return after / before if before and after is not None else 0.0


def _change_of(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return numbers.MISSING
    return numbers.percent_change(after - before, before) or "baseline near zero"


def evidence_sentence(report: ValidationReport) -> str:
    """On what the comparison rests."""
    pairs = max((delta.n_pairs for delta in report.deltas), default=0)
    return (
        f"{numbers.count(pairs)} paired runs on {numbers.count(len(report.scenarios))} scenarios, "
        f"{numbers.count(report.rollouts)} rollouts in all; the twin reproduces the incident with fidelity "
        f"{numbers.figure(report.fidelity)} of 1. Lower is better for every metric."
    )


def worst_sentence(report: ValidationReport) -> str:
    """The scenario in which the candidate does worst, with its numbers."""
    named = [s for s in report.scenarios if report.worst.startswith(s.scenario)]
    if not named or not report.deltas:
        return report.worst or "No scenario was run."
    found = max(named, key=lambda s: _growth(s, report.deltas[0].metric))
    parts = []
    for delta in report.deltas:
        before, after = found.before.get(delta.metric), found.after.get(delta.metric)
        if before is None or after is None:
            continue
        (first, last), unit = numbers.in_one_unit([before, after], delta.unit)
        parts.append(f"{words(delta.metric)} {first} to {last} {unit}".rstrip() + f" ({_change_of(before, after)})")
    return f"{found.scenario}: {'; '.join(parts)}."


def unknowns(report: ValidationReport) -> tuple[str, ...]:
    """What the evidence does not cover."""
    revert = (
        "Once the fault is gone, the incumbent is the better controller: the patch runs only while a revert is armed."
    )
    found = (*map(sentence, report.unknowns), *((revert,) if report.needs_revert_trigger else ()))
    return found or ("The validation has named nothing.",)


def title(text: str) -> str:
    """The same with a capital in front."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """A remark as a sentence: capital in front, full stop at the end."""
    return title(text) + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def limit_table(values: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The canary's limits: headings, and one row per joint or for the whole robot.

    A name says its unit and joint: "settled_error_rad_2" is in rad, of joint 2.
    """
    columns: dict[str, dict[str, float]] = {}
    units = {}
    for name, value in values.items():
        found = _LIMIT_NAME.fullmatch(name)
        stem, unit, joint = (name, "1", None) if found is None else found.groups()
        columns.setdefault(stem, {})[f"joint {joint}" if joint else "robot"] = value
        units[stem] = _UNITS.get(unit, "1")
    places = sorted({place for column in columns.values() for place in column}, key=lambda p: (p != "robot", len(p), p))
    headings, texts = ["Where"], []
    for stem, column in columns.items():
        shown, unit = numbers.in_one_unit([column.get(place) for place in places], units[stem])
        headings.append(title(f"{words(stem)} [{unit}]" if unit else words(stem)))
        texts.append([text if place in column else "" for text, place in zip(shown, places, strict=True)])
    return tuple(headings), tuple((place, *(text[k] for text in texts)) for k, place in enumerate(places))


def outcome_rows(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """What happened on the robot: (label, text)."""
    missed = "not measured in lockstep" if outcome.missed_deadlines is None else numbers.count(outcome.missed_deadlines)
    rows = [
        ("Stages that ran", ", ".join(outcome.stages) or "none"),
        ("From first authority to the end", numbers.quantity(outcome.duration_s, "s")),
        ("Largest command step during the swap", numbers.quantity(outcome.max_command_step, "N*m")),
        ("Missed deadlines", missed),
    ]
    if outcome.rolled_back:
        rows.insert(0, ("Rolled back because", outcome.reason))
    return tuple(rows)


def recovery_sentence(story: Story) -> str:
    """How much of the loss came back, and what that means."""
    if story.recovery_ratio is None:
        return "Recovery: not measured, or too little was lost for a ratio."
    return f"Recovery: {numbers.share(story.recovery_ratio)} of the lost tracking performance came back."


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One question and its answer."""

    name: str
    verdict: str
    why: str


def gate_rows(report: ValidationReport) -> tuple[GateRow, ...]:
    """The gates, those that did not pass first."""
    ranked = sorted(report.gates, key=lambda gate: gate.verdict is Verdict.PASS)
    return tuple(
        GateRow(name=title(words(g.name)), verdict=VERDICT_WORDS[g.verdict], why=sentence(g.why)) for g in ranked
    )
