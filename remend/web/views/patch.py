"""The decision page: one patch, and everything that speaks for and against it, in the order of the argument."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy import Connection

from core.errors import RemendError
from core.records import Diagnosis, Incident, ValidationReport
from core.status import PatchStatus, Verdict
from patcher.bandit import Asked
from remend import ledger, numbers, sentences, tables, views
from remend.contenders import ContenderRow, contender_rows
from remend.figures import Figure
from remend.ledger import Patch
from remend.report import diff_kind
from remend.second_person import first_approval
from remend.service import accounts, exhibit
from remend.service.exhibit import Exhibit
from remend.service.freeze import frozen
from remend.service.risk import Risk, risk_of
from remend.service.service import Service
from remend.versions import Versions
from remend.views import CauseRow, DeltaRow, GateRow, ParamRow, ScenarioTable, StripRow
from remend.web import queries
from remend.web.identity import Identity
from remend.web.resources import robot_shown
from remend.web.views.decision import Attempt, DecisionBlock, decision_block
from remend.web.views.plan import Step, canary_plan, steps
from remend.web.views.states import Pill, patch_pill
from remend.web.views.times import Moment, moment

_UNFINISHED = (PatchStatus.PROPOSED, PatchStatus.CHECKED, PatchStatus.VALIDATING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the patch is: the part that changes while somebody looks."""

    pill: Pill
    why: str
    since: Moment
    rev: int  # of the status
    doing: str  # what is under way, "" if nothing is
    done: int
    total: int
    steps: tuple[Step, ...]
    outcome: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The diagnosis."""

    summary: str
    advice: str
    fidelity: float
    causes: tuple[CauseRow, ...]
    rival: str
    unobservable: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The report."""

    id: str
    sentence: str
    level: str
    deltas: tuple[DeltaRow, ...]
    reproduced: bool
    worst: str
    worst_rows: tuple[tuple[str, str], ...]
    unknowns: tuple[str, ...]
    gates: tuple[GateRow, ...]
    passed: int
    verdict: str
    limits: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]] | None
    scenarios: ScenarioTable


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One step in the life of the patch."""

    at: Moment
    actor: str
    word: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchPage:
    """Everything that the page shows."""

    id: str
    title: str
    robot_id: str
    robot_title: str
    incident_id: str
    kind: str
    proposer: str
    search_rollouts: int
    risk: Risk
    gist: tuple[tuple[str, str], ...]
    standing: Standing
    why: Why | None
    params: tuple[ParamRow, ...]
    diff: tuple[tuple[str, str], ...]
    diff_fault: str  # why there is none
    evidence: Evidence | None
    figures: dict[str, Figure | None]
    strips: tuple[StripRow, ...]
    contenders: tuple[ContenderRow, ...]
    asked: tuple[Asked, ...]
    kept: tuple[int, int]  # of the last patches that came to a robot: held, all
    decision: DecisionBlock
    hashes: tuple[tuple[str, str], ...]
    shown: tuple[tuple[str, str], ...]  # what a decision is bound to: (field, sha256)
    history: tuple[HistoryRow, ...]
    has_report: bool  # as a file


def patch_page(
    service: Service, connection: Connection, patch_id: str, who: Identity, attempt: Attempt | None = None
) -> PatchPage:
    """The page of one patch for one reader.

    Raises:
        Missing: no such patch.
    """
    patch = ledger.patch(connection, patch_id)
    incident = ledger.incident(connection, patch.candidate.incident_id)
    diagnoses = ledger.records(connection, tables.diagnoses, Diagnosis, incident_id=incident.id)
    diagnosis = diagnoses[-1] if diagnoses else None
    seen = exhibit.read(service.home, patch_id)
    report, candidate, now_ns = patch.report, patch.candidate, service.clock.wall_ns()
    risk = risk_of(candidate, report, simulated=service.is_simulated(incident.robot_id))
    diff, fault = _diff(service, patch)
    first = first_approval(connection, patch, now_ns)
    persons = service.agency.of(incident.robot_id).of_kind(candidate.kind).persons
    expires_ns = patch.moves[-1].at_ns + round(service.settings.decision_hours * accounts.HOUR_NS)
    return PatchPage(
        id=patch_id,
        title=candidate.rationale,
        robot_id=incident.robot_id,
        robot_title=seen.robot_title if seen else "",
        incident_id=incident.id,
        kind=candidate.kind,
        proposer=candidate.proposer,
        search_rollouts=candidate.search_rollouts,
        risk=risk,
        gist=_gist(diagnosis, report),
        standing=standing(service, patch, incident),
        why=None if diagnosis is None else _why(diagnosis),
        params=tuple(map(views.param_row, candidate.changes)),
        diff=diff,
        diff_fault=fault,
        evidence=None if report is None else _evidence(report, seen),
        figures=_figures(seen),
        strips=() if seen is None else seen.strips,
        contenders=() if seen is None else contender_rows(seen.contenders, patch_id),
        asked=() if seen is None else seen.asked,
        kept=queries.record_of_promises(connection),
        decision=decision_block(
            patch,
            risk,
            who,
            accounts.users(connection),
            frozen(connection),
            expires_ns,
            now_ns,
            _successor(connection, patch, incident),
            attempt or Attempt(),
            persons,
            first,
        ),
        hashes=_hashes(patch, incident),
        shown=(*shown_now(patch), ("first_id", first.id if first else "")),
        history=tuple(
            HistoryRow(at=moment(m.at_ns, now_ns), actor=m.actor, word=patch_pill(m.after).word, why=m.why)
            for m in patch.moves
        ),
        has_report=(exhibit.folder_of(service.home, patch_id) / exhibit.REPORT).is_file(),
    )


def standing(service: Service, patch: Patch, incident: Incident) -> Standing:
    """Where a patch is at this moment."""
    care = service.cares.get(incident.robot_id)
    robot = None if care is None else robot_shown(care)
    now_ns, last = service.clock.wall_ns(), patch.moves[-1]
    busy = robot is not None and patch.status in _UNFINISHED and robot.doing not in (None, "watching")
    layout = None if care is None else care.board.now().layout
    command_unit = "N*m" if layout is None else layout.command_unit
    return Standing(
        pill=patch_pill(patch.status),
        why=last.why,
        since=moment(last.at_ns, now_ns),
        rev=last.rev,
        doing=robot.doing or "" if busy and robot else "",
        done=robot.done if busy and robot else 0,
        total=robot.total if busy and robot else 0,
        steps=steps(patch, robot, canary_plan(care.entry.model) if care else None, now_ns),
        outcome=sentences.outcome_rows(patch.outcomes[-1], command_unit) if patch.outcomes else (),
    )


def shown_now(patch: Patch) -> tuple[tuple[str, str], ...]:
    """What a decision on a patch names, as (form field, sha256)."""
    return (
        ("base_sha", patch.candidate.base_sha),
        ("result_sha", patch.candidate.result_sha),
        ("report_sha", patch.report.sha256 if patch.report else ""),
    )


def _gist(diagnosis: Diagnosis | None, report: ValidationReport | None) -> tuple[tuple[str, str], ...]:
    """The argument in four figures: (label, text)."""
    found = []
    if diagnosis is not None and diagnosis.causes:
        top = diagnosis.causes[0]
        found.append(("Most likely cause", f"{views.title(views.cause_title(top))}, {numbers.share(top.probability)}"))
    if report is not None and report.deltas:
        first = views.delta_row(report.deltas[0], report)
        found.append((f"{first.metric}, {first.pairs} paired runs", f"{first.change} ({first.interval})"))
        _, rows = sentences.worst_case(report)
        if rows:
            found.append(("In the worst scenario", rows[0][1]))
    if report is not None:
        passed = sum(gate.verdict is Verdict.PASS for gate in report.gates)
        found.append(("Gates that passed", f"{passed} of {len(report.gates)}"))
    return tuple(found)


def _why(diagnosis: Diagnosis) -> Why:
    rows = views.cause_rows(diagnosis)
    rival = ""
    if len(rows) > 1:
        second = rows[1]
        rival = f"Could also be: {second.cause[:1].lower() + second.cause[1:]} ({second.probability}). {second.check}"
    return Why(
        summary=diagnosis.summary,
        advice=diagnosis.advice,
        fidelity=diagnosis.fidelity,
        causes=rows,
        rival=rival,
        unobservable=diagnosis.unobservable,
    )


def _evidence(report: ValidationReport, seen: Exhibit | None) -> Evidence:
    worst, rows = sentences.worst_case(report)
    units, command_unit = (seen.units, seen.command_unit) if seen else ((), "N*m")
    return Evidence(
        id=report.id,
        sentence=sentences.evidence_sentence(report),
        level=views.levels(report),
        deltas=views.delta_rows(report),
        reproduced=views.reproduced(report),
        worst=worst,
        worst_rows=rows,
        unknowns=sentences.unknowns(report),
        gates=views.gate_rows(report),
        passed=sum(gate.verdict is Verdict.PASS for gate in report.gates),
        verdict=report.verdict.value,
        limits=views.limit_table(report.canary_limit, units, command_unit) if report.canary_limit else None,
        scenarios=views.scenario_table(report),
    )


def _figures(seen: Exhibit | None) -> dict[str, Figure | None]:
    found: dict[str, Figure | None] = dict.fromkeys(("ratio", "course", "overlay", "motion", "canary"))
    for each in seen.drawings if seen else ():
        found[each.name] = Figure(
            svg=Markup(each.svg),  # noqa: S704 drawn by remend.chart, kept in the home folder
            title=each.title,
            caption=each.caption,
            legend=each.legend,
            rows=each.rows,
        )
    return found


def _diff(service: Service, patch: Patch) -> tuple[tuple[tuple[str, str], ...], str]:
    try:
        versions = Versions.open(service.home, service.clock)
        text = versions.diff(patch.candidate.base_sha, patch.candidate.result_sha)
    except RemendError as error:
        return (), str(error)
    return tuple((diff_kind(line), line) for line in text.splitlines()), ""


def _successor(connection: Connection, patch: Patch, incident: Incident) -> str:
    """A later patch for the same incident, if this one is over."""
    if patch.status is PatchStatus.SUPERSEDED:  # whoever moved it said by what
        first = patch.moves[-1].why.partition(" ")[0]
        return first if first.startswith("pat_") else ""
    if patch.status not in (PatchStatus.EXPIRED, PatchStatus.REJECTED):
        return ""
    names = ledger.patches_of(connection, incident.id)
    later = names[names.index(patch.id) + 1 :]
    return later[-1] if later else ""


def _hashes(patch: Patch, incident: Incident) -> tuple[tuple[str, str], ...]:
    rows = [
        ("Incident", incident.sha256),
        ("Telemetry", incident.telemetry_sha),
        ("Patch", patch.candidate.sha256),
        ("Controller before", patch.candidate.base_sha),
        ("Controller after", patch.candidate.result_sha),
    ]
    if patch.report is not None:
        rows.append(("Report", patch.report.sha256))
        rows.append(("Gates' policy", patch.report.policy_sha or "not named"))
        rows.append(("Seed of the sealed scenarios", str(patch.report.seed)))
    return tuple(rows)
