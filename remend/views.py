"""Records as rows of text: shared by the console, the report and the dashboard.

Every number here is a record's, and its text the formatter's.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.records import Cause, Diagnosis, MetricDelta, ParamChange, ScenarioResult, ValidationReport
from core.stats import Interval, paired_interval
from core.status import Verdict
from patcher.causes import words_of
from remend import numbers
from remend.story import Strip, TruthRow
from sim.faults.catalogue import CATALOGUE
from sim.filmstrip import Picture

METRIC_WORDS = {
    "rms_tracking_error": "RMS tracking error",
    "max_tracking_error": "largest tracking error",
    "rms_effort": "RMS effort",
    "torque_variation": "torque variation",
}
VERDICT_WORDS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "inconclusive"}
_LIMIT_NAME = re.compile(r"(.+?)(?:_(nm|s))?(?:_(\d+))?")
_NOTHING = "0 to 0 %"
_LIMIT_GATE = "non_inferior_"
NOT_REPRODUCED = "The simulation does not reproduce this incident."


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
            check=" ".join(dict.fromkeys(words_of(fault).check for fault, _ in _faults(cause))),
        )
        for cause in kept
    )


def cause_title(cause: Cause) -> str:
    """A cause in words, with its joint: "weak actuator, joint 3"; two causes joined by "and"."""
    titles = []
    for fault, prefix in _faults(cause):
        kind = CATALOGUE.get(fault)
        at = None if kind is None else cause.estimate.get(f"{prefix}{kind.key}")
        titles.append(words_of(fault).title + ("" if at is None or kind is None else f", {kind.key} {round(at)}"))
    return " and ".join(titles)


def _faults(cause: Cause) -> list[tuple[str, str]]:
    """Each fault of a cause, and what its estimates begin with where there are two."""
    faults = cause.cause.split("+")
    if len(faults) == 1:
        return [(cause.cause, "")]
    return [(fault, f"{fault}2." if fault in faults[:k] else f"{fault}.") for k, fault in enumerate(faults)]


def estimates(cause: Cause) -> tuple[str, ...]:
    """Every estimate of a cause with its interval; the joint is part of the title."""
    found = []
    for fault, prefix in _faults(cause):
        kind = CATALOGUE.get(fault)
        for full, value in cause.estimate.items():
            name = full.removeprefix(prefix)
            if not full.startswith(prefix) or (kind is not None and name == kind.key):
                continue
            label, unit = _estimated(fault, name)
            text = f"{label} {numbers.quantity(value, unit)}"
            if full in cause.interval:
                text += f" ({numbers.interval(*cause.interval[full], unit)})"
            found.append(text)
    return tuple(found)


def _estimated(cause: str, name: str) -> tuple[str, str]:
    """What an estimate is in words, and its unit."""
    kind = CATALOGUE.get(cause)
    for parameter in () if kind is None else kind.parameters:
        if parameter.name == name:
            return parameter.meaning, parameter.unit
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


def delta_rows(report: ValidationReport) -> tuple[DeltaRow, ...]:
    """The paired comparison, regressions first; lower is better for every metric."""
    rows = [delta_row(delta, report) for delta in report.deltas]
    return tuple(sorted(rows, key=lambda row: not row.verdict.startswith("worse")))


def _ratio(delta: MetricDelta, report: ValidationReport) -> Interval | None:
    """A decrease as the mean of the paired ratios, minus 1: unlike a difference, it cannot pass -100 %.

    None for a growth, and where the scenarios do not carry every pair. A growth stays a share of the incumbent's mean,
    which is what the gates limit.
    """
    pairs = [(s.before.get(delta.metric), s.after.get(delta.metric)) for s in report.scenarios]
    known = [(a, b) for a, b in pairs if a is not None and b is not None and a > 0.0 and b > 0.0]
    if delta.delta >= 0.0 or len(known) != delta.n_pairs or len(known) < numbers.MIN_PAIRS:
        return None
    found = paired_interval([math.log(after / before) for before, after in known], delta.level)
    return Interval(mean=math.expm1(found.mean), low=math.expm1(found.low), high=math.expm1(found.high))


def _inside_limit(metric: str, report: ValidationReport) -> bool:
    """Whether the gate that limits this metric's growth has passed."""
    limits = [gate for gate in report.gates if gate.name.startswith(_LIMIT_GATE)]
    return any(gate.verdict is Verdict.PASS and gate.name.removeprefix(_LIMIT_GATE) in metric for gate in limits)


def delta_row(delta: MetricDelta, report: ValidationReport) -> DeltaRow:
    (before, after), unit = numbers.in_one_unit([delta.before, delta.after], delta.unit)
    ratio = _ratio(delta, report)
    mean, low, high = delta.delta, delta.ci_low, delta.ci_high
    change = numbers.change(mean, delta.before, delta.unit)
    interval = numbers.change_interval(low, high, mean, delta.before, delta.unit)
    if ratio is not None:
        mean, low, high = ratio.mean, ratio.low, ratio.high
        change, interval = numbers.change(mean, 1.0, "1"), numbers.change_interval(low, high, mean, 1.0, "1")
    verdict = "better" if high < 0.0 else "worse" if low > 0.0 else "no clear change"
    if interval == _NOTHING:  # clear perhaps, but too small to be shown
        verdict = "no clear change"
    if verdict == "worse" and _inside_limit(delta.metric, report):
        verdict = "worse, inside its limit"
    if delta.n_pairs < numbers.MIN_PAIRS:
        change = interval = verdict = "too few runs"
    return DeltaRow(
        metric=title(words(delta.metric)),
        unit=unit or "1",
        before=before,
        after=after,
        change=change,
        interval=interval,
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
    ranked = sorted(report.scenarios, key=lambda s: -growth(s, names[0])) if names else list(report.scenarios)
    columns = []
    headings = []
    for name in names:
        pairs = [(s.before.get(name), s.after.get(name)) for s in ranked]
        texts, unit = numbers.in_one_unit([value for pair in pairs for value in pair], units.get(name, "1"))
        headings.append(title(f"{words(name)} [{unit}]" if unit else words(name)))
        columns.append([(texts[2 * k], texts[2 * k + 1], change_of(*pair)) for k, pair in enumerate(pairs)])
    rows = tuple((s.scenario, tuple(column[k] for column in columns)) for k, s in enumerate(ranked))
    return ScenarioTable(metrics=tuple(headings), rows=rows)


def growth(scenario: ScenarioResult, metric: str) -> float:
    before, after = scenario.before.get(metric), scenario.after.get(metric)
    return after / before if before and after is not None else 0.0


def change_of(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return numbers.MISSING
    return numbers.percent_change(after - before, before) or "baseline near zero"


def title(text: str) -> str:
    """The same with a capital in front."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """A remark as a sentence: capital in front, full stop at the end."""
    return title(text) + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def limit_table(
    values: Mapping[str, float], units: Sequence[str] = (), command_unit: str = "N*m"
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The canary's limits: headings, and one row per joint or for the whole robot.

    A name says its joint or its unit: "settled_error_2" is of joint 2, in the joint's unit; "settle_s" is a time.

    Args:
        units: of the joints, "rad" or "m"; all in rad without them.
        command_unit: of a command.
    """
    of_joints = " or ".join(sorted(set(units), key="m".__eq__)) or "rad"
    columns: dict[str, dict[str, float]] = {}
    unit_of = {}
    for name, value in values.items():
        found = _LIMIT_NAME.fullmatch(name)
        assert found is not None, "any name has a stem"
        stem, unit, joint = found.groups()
        columns.setdefault(stem, {})[f"joint {joint}" if joint else "robot"] = value
        unit_of[stem] = of_joints if joint else {"nm": command_unit, "s": "s"}.get(unit, "1")
    places = sorted({place for column in columns.values() for place in column}, key=lambda p: (p != "robot", len(p), p))
    headings, texts = ["Where"], []
    for stem, column in columns.items():
        shown, unit = numbers.in_one_unit([column.get(place) for place in places], unit_of[stem])
        headings.append(title(f"{words(stem)} [{unit}]" if unit else words(stem)))
        texts.append([text if place in column else "" for text, place in zip(shown, places, strict=True)])
    return tuple(headings), tuple((place, *(text[k] for text in texts)) for k, place in enumerate(places))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One question and its answer."""

    name: str
    verdict: str
    why: str


def gate_rows(report: ValidationReport) -> tuple[GateRow, ...]:
    """The gates, those that did not pass first."""
    ranked = sorted(report.gates, key=lambda gate: gate.verdict is Verdict.PASS)
    return tuple(GateRow(name=title(words(g.name)), verdict=VERDICT_WORDS[g.verdict], why=g.why) for g in ranked)


@dataclass(frozen=True, slots=True, kw_only=True)
class StripRow:
    """Pictures of one scenario: for each controller, (picture as a data URL, moment, what it shows)."""

    title: str
    scenario: str
    controllers: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]


def strip_rows(strip: Strip) -> StripRow:
    """A strip as rows of pictures, the incumbent's first."""
    rows = (("before", strip.before), ("after", strip.after))
    return StripRow(
        title=strip.title,
        scenario=strip.scenario,
        controllers=tuple((name, tuple(map(_shown, pictures))) for name, pictures in rows),
    )


def _shown(picture: Picture) -> tuple[str, str, str]:
    url = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    off = "lost" if picture.lost else f"{numbers.share(picture.error)} off"
    return url, numbers.quantity(picture.t_s, "s"), off
