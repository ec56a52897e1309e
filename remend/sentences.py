"""What a story says in sentences: where the healing stands, and what an operator must not overlook."""

from __future__ import annotations

from dataclasses import dataclass

from core.records import Outcome, ValidationReport
from core.status import Verdict
from remend import numbers, views
from remend.story import Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """Where the healing stands: a status in two or three words, and one sentence."""

    status: str
    tone: str  # "good", "bad" or "open"; drawn together with the word, never instead of it
    sentence: str


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
        found.append(("Most likely cause", f"{views.cause_title(top)} ({numbers.share(top.probability)})"))
    if story.report is not None and story.report.deltas:
        first = views.delta_row(story.report.deltas[0], story.report)
        found.append((f"{first.metric}, {first.pairs} paired runs", f"{first.change} ({first.interval})"))
    if story.recovery_ratio is not None:
        found.append(("Recovered on the true state", numbers.share(story.recovery_ratio)))
    return tuple(found)


def evidence_sentence(report: ValidationReport) -> str:
    """On what the comparison rests."""
    pairs = max((delta.n_pairs for delta in report.deltas), default=0)
    return (
        f"{numbers.count(pairs)} paired runs on {numbers.count(len(report.scenarios))} scenarios, "
        f"{numbers.count(report.rollouts)} rollouts in all; the twin reproduces the incident with fidelity "
        f"{numbers.figure(report.fidelity)} of 1. Lower is better for every metric."
    )


def worst_case(report: ValidationReport) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The scenario in which the candidate does worst, and (metric, text) of what happens there."""
    named = [s for s in report.scenarios if report.worst.startswith(s.scenario)]
    if not named or not report.deltas:
        return report.worst or "No scenario was run.", ()
    found = max(named, key=lambda s: views.growth(s, report.deltas[0].metric))
    rows = []
    for delta in report.deltas:
        before, after = found.before.get(delta.metric), found.after.get(delta.metric)
        if before is None or after is None:
            continue
        (first, last), unit = numbers.in_one_unit([before, after], delta.unit)
        rows.append(
            (
                views.title(views.words(delta.metric)),
                f"{first} to {last} {unit}".rstrip() + f" ({views.change_of(before, after)})",
            )
        )
    return views.title(found.scenario), tuple(rows)


def unknowns(report: ValidationReport) -> tuple[str, ...]:
    """What the evidence does not cover."""
    revert = (
        "Once the fault is gone, the incumbent is the better controller: the patch runs only while a revert is armed."
    )
    found = (*map(views.sentence, report.unknowns), *((revert,) if report.needs_revert_trigger else ()))
    return found or ("The validation has named nothing.",)


def outcome_rows(outcome: Outcome, command_unit: str = "N*m") -> tuple[tuple[str, str], ...]:
    """What happened on the robot: (label, text)."""
    missed = "not measured in lockstep" if outcome.missed_deadlines is None else numbers.count(outcome.missed_deadlines)
    rows = [
        ("Stages that ran", ", ".join(outcome.stages) or "none"),
        ("From first authority to the end", numbers.quantity(outcome.duration_s, "s")),
        ("Largest command step during the swap", numbers.quantity(outcome.max_command_step, command_unit)),
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
