"""A patch on its way to a robot: its stages, and how far what the robot shows is from what would take it back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from controllers.canary import CanaryLimits
from core.robot import CanaryPlan, Robot
from core.status import PatchStatus
from remend import ledger, numbers
from remend.ledger import Patch
from remend.service.pulse import Sample
from remend.service.service import Service
from remend.web.resources import RobotShown, robot_shown
from remend.web.views.inbox import RobotLine, robot_line
from remend.web.views.patch import HistoryRow, Standing, standing
from remend.web.views.plan import known_robot
from remend.web.views.states import STALE_S, patch_pill
from remend.web.views.times import moment
from sim.canary_limits import canary_limits

_NOW_S = 1.0  # what counts as now
_CLOSE = 0.8  # of a limit
_S = PatchStatus
_TRIAL = (_S.SHADOW, _S.CANARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """A rule that takes the patch back, and how far the robot is from it."""

    name: str
    limit: str
    now: str  # "" where nothing is judged
    worst: str  # since the trial began
    used: float | None  # share of the limit, now
    word: str  # "kept", "close" or "over the limit"; "" where nothing is judged
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPage:
    """Everything that the page shows."""

    id: str
    title: str
    incident_id: str
    line: RobotLine
    standing: Standing
    share: str  # of the command that the patch has; "" if it has none
    says: str  # where it is, in a sentence
    judged: bool  # whether what is shown is of this moment
    rules: tuple[RuleRow, ...]
    missed: str
    held: str
    history: tuple[HistoryRow, ...]


def deployment_page(service: Service, connection: Connection, patch_id: str) -> DeploymentPage:
    """The page of one deployment; it has the id of its patch.

    Raises:
        Missing: no such patch, or its robot is not looked after here.
    """
    patch = ledger.patch(connection, patch_id)
    incident = ledger.incident(connection, patch.candidate.incident_id)
    care = service.care(incident.robot_id)
    shown, now_ns = robot_shown(care), service.clock.wall_ns()
    robot = known_robot(care.entry.model)
    fresh = shown.silent_s is not None and shown.silent_s <= STALE_S
    judged = fresh and patch.status is _S.CANARY
    age_s = (now_ns - patch.moves[-1].at_ns) * 1e-9
    samples = care.board.course()[0] if judged else ()
    rules = _rules(robot, patch, samples, shown, age_s) if robot is not None else ()
    return DeploymentPage(
        id=patch_id,
        title=patch.candidate.rationale,
        incident_id=incident.id,
        line=robot_line(shown),
        standing=standing(service, patch, incident),
        share=numbers.share(shown.share) if shown.share and patch.status is _S.CANARY and fresh else "",
        says=_says(patch, shown, fresh=fresh),
        judged=judged,
        rules=rules,
        missed="not known" if shown.missed_deadlines is None or not fresh else numbers.count(shown.missed_deadlines),
        held=shown.held or "",
        history=tuple(
            HistoryRow(at=moment(m.at_ns, now_ns), actor=m.actor, word=patch_pill(m.after).word, why=m.why)
            for m in patch.moves
        ),
    )


_SAYS = {
    **dict.fromkeys((_S.APPROVED, _S.STAGED), "It is on its way; nothing of it runs yet."),
    _S.SHADOW: "It is computed beside the controller and commands nothing.",
    _S.ACTIVE: "The trial is over: the robot is committed to it. The controller before stays ready.",
    **dict.fromkeys(
        (_S.PROPOSED, _S.CHECKED, _S.VALIDATING, _S.AWAITING_APPROVAL, _S.INCONCLUSIVE),
        "Nobody has approved it: nothing of it runs.",
    ),
}


def _says(patch: Patch, robot: RobotShown, *, fresh: bool) -> str:
    if patch.status in _TRIAL and not fresh:
        return "What the robot does now is not known here. It judges the patch by itself, and takes it back alone."
    if patch.status is _S.CANARY:
        share = numbers.share(robot.share) if robot.share else "A first share"
        return f"{share} of the command is the patch's. The robot takes it back by itself when it breaks a rule."
    return _SAYS.get(patch.status, "It does not run.")


def _rules(
    robot: Robot, patch: Patch, samples: Sequence[Sample], shown: RobotShown, age_s: float
) -> tuple[RuleRow, ...]:
    """The rules that the robot's monitor has, with what it shows.

    Args:
        samples: of the last minute; none where nothing is judged.
        age_s: since the trial began.
    """
    try:
        limits = canary_limits(patch.report, robot.dof) if patch.report else None
    except KeyError:  # nothing was predicted, or of another model than the robot has by now
        limits = None
    if limits is None:
        return ()
    settled = bool(shown.share and shown.share >= 1.0) and age_s > _settled_s(robot.canary, limits)
    allowed = limits.settled_error if settled else limits.ramp_error
    last_s = samples[-1].t_s[-1] if samples else 0.0
    trial = [each for each in samples if each.t_s[-1] > last_s - age_s and each.low]
    now = [each for each in trial if each.t_s[-1] > last_s - _NOW_S]
    rows = []
    for i in robot.tracked:
        rows.append(
            _row(
                f"Tracking error of {robot.joints[i]}",
                allowed[i],
                robot.units[i],
                [_peak(each, i, limits.offset[i]) for each in now],
                [_peak(each, i, limits.offset[i]) for each in trial],
            )
        )
    rows.append(
        _row(
            "Change of the command per tick",
            limits.variation_nm,
            robot.command_unit,
            [each.variation for each in now],
            [each.variation for each in trial],
        )
    )
    return tuple(sorted(rows, key=lambda row: -(row.used or 0.0)))  # the nearest to its limit first


def _settled_s(plan: CanaryPlan, limits: CanaryLimits) -> float:
    return plan.full_authority_s + limits.settle_s


def _peak(sample: Sample, i: int, offset: float) -> float:
    """The largest error of a stretch, without the sensor's offset that the diagnosis found; NaN stays NaN."""
    ends = (sample.low[i] + offset, sample.high[i] + offset)
    return math.nan if any(map(math.isnan, ends)) else max(map(abs, ends))


def _row(name: str, limit: float, unit: str, now: Sequence[float], trial: Sequence[float]) -> RuleRow:
    allowed = numbers.quantity(limit, unit)
    if not now:
        return RuleRow(name=name, limit=allowed, now="", worst="", used=None, word="", tone="plain")
    here, worst = _largest(now), _largest(trial)
    used = here / limit if limit > 0.0 and math.isfinite(here) else math.inf  # what cannot be compared is the worst
    word, tone = ("over the limit", "bad") if not used <= 1.0 else ("close", "open") if used > _CLOSE else ("kept", "")
    return RuleRow(
        name=name,
        limit=allowed,
        now=numbers.quantity(here, unit),
        worst=numbers.quantity(worst, unit),
        used=min(used, 1.0),
        word=word,
        tone=tone or "plain",
    )


def _largest(values: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, values)) else max(values)
