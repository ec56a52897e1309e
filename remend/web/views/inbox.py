"""What needs somebody: decisions, incidents without a patch, patches on trial, robots that say nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from core.status import PatchStatus, Verdict
from remend import ledger, tables
from remend.second_person import first_approval
from remend.service.handling import Handling
from remend.service.service import Service
from remend.web import queries
from remend.web.resources import IncidentShown, RobotShown, incident_shown, patch_summary, robot_shown
from remend.web.views.states import IN_FLIGHT, STALE_S, Pill, is_lost, patch_pill, robot_pill, severity_pill
from remend.web.views.times import Moment, ago, duration, moment
from remend.web.views.wording import cause_words, trouble

MOST = 60  # of each kind
_SILENCED = (Handling.MUTED, Handling.CLOSED)
_BUSY = (PatchStatus.AWAITING_APPROVAL, *IN_FLIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that needs somebody."""

    kind: str  # "decisions", "incidents", "trials" or "robots"
    href: str
    title: str
    pills: tuple[Pill, ...]
    robot_id: str
    says: str
    since: Moment | None
    due: str  # "expires in 3 h"
    rank: tuple[int, int, int]  # most urgent first


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A filter with how many it shows."""

    kind: str
    label: str
    number: int
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotLine:
    """A robot in the list below."""

    robot_id: str
    title: str
    pill: Pill
    ratio: float | None  # None: not known, or too old to be shown
    silent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxPage:
    """Everything that the page shows."""

    counts: tuple[Count, ...]
    show: str  # the chosen filter, "" for all
    items: tuple[Item, ...]
    robots: tuple[RobotLine, ...]
    calm: str  # said when nothing needs anybody
    first_run: bool


_LABELS = {
    "decisions": "to decide",
    "incidents": "open incidents",
    "trials": "on trial",
    "robots": "robots to look at",
}


def inbox_page(service: Service, connection: Connection, show: str) -> InboxPage:
    """The inbox, everything or one kind."""
    robots = [robot_shown(care) for care in service.cares.values()]
    items = [
        *_decisions(service, connection),
        *_incidents(service, connection),
        *_trials(service, connection),
        *_robots(robots),
    ]
    items.sort(key=lambda item: item.rank)
    show = show if show in _LABELS else ""
    newest = ledger.newest(connection, tables.incidents, 1)
    return InboxPage(
        counts=tuple(
            Count(kind=kind, label=label, number=sum(i.kind == kind for i in items), chosen=kind == show)
            for kind, label in _LABELS.items()
        ),
        show=show,
        items=tuple(item for item in items if show in ("", item.kind)),
        robots=tuple(map(robot_line, robots)),
        calm=_calm(connection, newest, robots, service.clock.wall_ns()),
        first_run=not newest and not robots,
    )


def robot_line(robot: RobotShown) -> RobotLine:
    """One robot as it is now."""
    fresh = robot.silent_s is not None and robot.silent_s <= STALE_S
    return RobotLine(
        robot_id=robot.robot_id,
        title=robot.title or robot.model,
        pill=robot_pill(robot),
        ratio=robot.test_ratio if fresh else None,
        silent="" if fresh else "no telemetry yet" if robot.silent_s is None else duration(robot.silent_s),
    )


def _decisions(service: Service, connection: Connection) -> list[Item]:
    now_ns, found = service.clock.wall_ns(), []
    lasts_ns = round(service.settings.decision_hours * 3.6e12)
    for name in ledger.newest_patches(connection, MOST, None, (PatchStatus.AWAITING_APPROVAL,)):
        patch, incident = patch_summary(service, connection, name), None
        incident = incident_shown(connection, patch.incident_id)
        left_s = (patch.since_ns + lasts_ns - now_ns) * 1e-9
        says = f"{trouble(incident.channel, incident.kind)}. {cause_words(incident.cause)}"
        if patch.verdict not in (None, Verdict.PASS):
            says = f"The evidence is {patch.verdict}. {says}"
        pills = [severity_pill(incident.severity), Pill(word=f"{patch.risk.level.value} risk", tone="plain")]
        if first_approval(connection, ledger.patch(connection, name), now_ns) is not None:
            pills.append(Pill(word="needs a second person", tone="plain"))
        found.append(
            Item(
                kind="decisions",
                href=f"/patches/{name}",
                title=patch.rationale,
                pills=tuple(pills),
                robot_id=patch.robot_id,
                says=says,
                since=moment(patch.since_ns, now_ns),
                due=f"expires in {duration(left_s)}",
                rank=(-incident.severity.rank, 0, patch.since_ns),
            )
        )
    return found


def _incidents(service: Service, connection: Connection) -> list[Item]:
    now_ns, found = service.clock.wall_ns(), []
    for name in queries.unhealed(connection, MOST):
        incident = incident_shown(connection, name)
        if incident.handling is not None and incident.handling.handling in _SILENCED:
            continue
        if any(patch.status in _BUSY for patch in incident.patches):
            continue
        pills = [severity_pill(incident.severity)]
        if incident.handling is not None:
            pills.append(Pill(word=f"{incident.handling.actor} has it", tone="plain"))
        found.append(
            Item(
                kind="incidents",
                href=f"/incidents/{name}",
                title=trouble(incident.channel, incident.kind),
                pills=tuple(pills),
                robot_id=incident.robot_id,
                says=_what_became(incident),
                since=moment(incident.last_ns, now_ns),
                due="",
                rank=(-incident.severity.rank, 2 if incident.handling else 1, incident.last_ns),
            )
        )
    return found


def _what_became(incident: IncidentShown) -> str:
    cause = cause_words(incident.cause)
    times = f"Seen {incident.occurrences} times. " if incident.occurrences > 1 else ""
    if not incident.patches:
        return f"{times}{cause} No patch was proposed."
    words = sorted({patch_pill(patch.status).word for patch in incident.patches})
    count = len(incident.patches)
    return f"{times}{cause} {count} candidate{'' if count == 1 else 's'}: {', '.join(words)}."


def _trials(service: Service, connection: Connection) -> list[Item]:
    now_ns, found = service.clock.wall_ns(), []
    for name in ledger.newest_patches(connection, MOST, None, IN_FLIGHT):
        patch = patch_summary(service, connection, name)
        urgent = patch.status in (PatchStatus.ROLLING_BACK, PatchStatus.ROLLBACK_FAILED)
        found.append(
            Item(
                kind="trials",
                href=f"/patches/{name}#plan",
                title=patch.rationale,
                pills=(patch_pill(patch.status),),
                robot_id=patch.robot_id,
                says="It runs on the robot, or is about to.",
                since=moment(patch.since_ns, now_ns),
                due="",
                rank=(-3 if urgent else 0, 0, patch.since_ns),
            )
        )
    return found


def _robots(robots: list[RobotShown]) -> list[Item]:
    return [
        Item(
            kind="robots",
            href=f"/robots/{robot.robot_id}",
            title=f"{robot.robot_id}: {robot_pill(robot).word}",
            pills=(Pill(word="silent", tone="bad"),),
            robot_id=robot.robot_id,
            says="Its last telemetry is old; what is shown of it is not what is so now.",
            since=None,
            due="",
            rank=(-1, 0, 0),
        )
        for robot in robots
        if is_lost(robot)
    ]


def _calm(connection: Connection, newest: tuple[str, ...], robots: list[RobotShown], now_ns: int) -> str:
    count = sum(robot.silent_s is not None and robot.silent_s <= STALE_S for robot in robots)
    reporting = f"{count} of {len(robots)} robot{'' if len(robots) == 1 else 's'} reporting"
    last = (
        f"last incident {ago(incident_shown(connection, newest[0]).last_ns, now_ns)}" if newest else "no incident yet"
    )
    return f"Nothing needs you: {last}, {reporting}."
