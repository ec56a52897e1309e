"""What needs somebody: decisions, incidents without a patch, patches on trial, robots that say nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from core.status import PatchStatus, Verdict
from remend import ledger, tables
from remend.second_person import first_approval
from remend.service.service import Service
from remend.web import queries
from remend.web.queries import Gravity
from remend.web.resources import (
    IncidentShown,
    PatchShown,
    RobotShown,
    incident_shown,
    incidents_shown,
    patches_shown,
    robot_shown,
)
from remend.web.views.states import IN_FLIGHT, STALE_S, Pill, is_lost, patch_pill, robot_pill, severity_pill
from remend.web.views.times import Moment, ago, duration, moment
from remend.web.views.wording import cause_words, trouble

ROWS = 40  # of a page
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One thing that needs somebody, before anything is read of it."""

    kind: str
    id: str  # of a patch, an incident or a robot
    parent: str  # id of its incident; of a robot what its state is called
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
    number: int  # of this page, from 1
    pages: int
    robots: tuple[RobotLine, ...]
    calm: str  # said when nothing needs anybody
    first_run: bool


_LABELS = {
    "decisions": "to decide",
    "incidents": "open incidents",
    "trials": "on trial",
    "robots": "robots to look at",
}


def inbox_page(service: Service, connection: Connection, show: str, number: int = 1) -> InboxPage:
    """A page of the inbox, of everything or of one kind.

    Args:
        number: of the page, from 1; what lies beyond the last one is the last one.
    """
    robots = [robot_shown(care) for care in service.cares.values()]
    entries = [*_entries(connection), *_silent(robots)]
    entries.sort(key=lambda entry: entry.rank)
    show = show if show in _LABELS else ""
    wanted = [entry for entry in entries if show in ("", entry.kind)]
    pages = max(1, math.ceil(len(wanted) / ROWS))
    number = min(max(1, number), pages)
    newest = ledger.newest(connection, tables.incidents, 1)
    return InboxPage(
        counts=tuple(
            Count(kind=kind, label=label, number=sum(e.kind == kind for e in entries), chosen=kind == show)
            for kind, label in _LABELS.items()
        ),
        show=show,
        items=_items(service, connection, wanted[ROWS * (number - 1) : ROWS * number]),
        number=number,
        pages=pages,
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


def _entries(connection: Connection) -> list[_Entry]:
    """Everything that needs somebody, by id and urgency alone: there may be thousands, and a page shows a few."""
    patches = queries.patches_in(connection, *_BUSY)
    waiting = {patch.incident_id for patch in patches if patch.status is PatchStatus.AWAITING_APPROVAL}
    alone = queries.open_incidents(connection, _BUSY)
    gravity = queries.gravity(connection, waiting | {incident.id for incident in alone})
    found = []
    for patch in patches:
        if patch.status is PatchStatus.AWAITING_APPROVAL:
            rank = (-_rank(gravity.get(patch.incident_id)), 0, patch.since_ns)
            found.append(_Entry(kind="decisions", id=patch.id, parent=patch.incident_id, rank=rank))
        else:
            urgent = patch.status in (PatchStatus.ROLLING_BACK, PatchStatus.ROLLBACK_FAILED)
            rank = (-3 if urgent else 0, 0, patch.since_ns)
            found.append(_Entry(kind="trials", id=patch.id, parent=patch.incident_id, rank=rank))
    for incident in alone:
        seen = gravity.get(incident.id)
        rank = (-_rank(seen), 2 if incident.has_somebody else 1, seen.last_ns if seen else 0)
        found.append(_Entry(kind="incidents", id=incident.id, parent=incident.id, rank=rank))
    return found


def _rank(gravity: Gravity | None) -> int:
    return gravity.severity.rank if gravity else 0


def _silent(robots: list[RobotShown]) -> list[_Entry]:
    return [
        _Entry(kind="robots", id=robot.robot_id, parent=robot_pill(robot).word, rank=(-1, 0, 0))
        for robot in robots
        if is_lost(robot)
    ]


def _items(service: Service, connection: Connection, entries: Sequence[_Entry]) -> tuple[Item, ...]:
    """Entries in words."""
    names = [entry.id for entry in entries if entry.kind in ("decisions", "trials")]
    patches = {patch.id: patch for patch in patches_shown(service, connection, names)}
    parents = [entry.parent for entry in entries if entry.kind in ("decisions", "incidents")]
    incidents = {incident.id: incident for incident in incidents_shown(connection, parents)}
    found = []
    for entry in entries:
        match entry.kind:
            case "decisions":
                found.append(_decision(service, connection, patches[entry.id], incidents[entry.parent]))
            case "trials":
                found.append(_trial(service, patches[entry.id]))
            case "incidents":
                found.append(_incident(service, incidents[entry.id]))
            case _:
                found.append(_robot(entry.id, entry.parent))
    return tuple(found)


def _decision(service: Service, connection: Connection, patch: PatchShown, incident: IncidentShown) -> Item:
    now_ns = service.clock.wall_ns()
    left_s = (patch.since_ns + round(service.settings.decision_hours * 3.6e12) - now_ns) * 1e-9
    says = f"{trouble(incident.channel, incident.kind)}. {cause_words(incident.cause)}"
    if patch.verdict not in (None, Verdict.PASS):
        says = f"The evidence is {patch.verdict}. {says}"
    pills = [severity_pill(incident.severity), Pill(word=f"{patch.risk.level.value} risk", tone="plain")]
    if first_approval(connection, ledger.patch(connection, patch.id), now_ns) is not None:
        pills.append(Pill(word="needs a second person", tone="plain"))
    return Item(
        kind="decisions",
        href=f"/patches/{patch.id}",
        title=patch.rationale,
        pills=tuple(pills),
        robot_id=patch.robot_id,
        says=says,
        since=moment(patch.since_ns, now_ns),
        due=f"expires in {duration(left_s)}",
    )


def _incident(service: Service, incident: IncidentShown) -> Item:
    pills = [severity_pill(incident.severity)]
    if incident.handling is not None:
        pills.append(Pill(word=f"{incident.handling.actor} has it", tone="plain"))
    return Item(
        kind="incidents",
        href=f"/incidents/{incident.id}",
        title=trouble(incident.channel, incident.kind),
        pills=tuple(pills),
        robot_id=incident.robot_id,
        says=_what_became(incident),
        since=moment(incident.last_ns, service.clock.wall_ns()),
        due="",
    )


def _what_became(incident: IncidentShown) -> str:
    cause = cause_words(incident.cause)
    times = f"Seen {incident.occurrences} times. " if incident.occurrences > 1 else ""
    if not incident.patches:
        return f"{times}{cause} No patch was proposed."
    words = sorted({patch_pill(patch.status).word for patch in incident.patches})
    count = len(incident.patches)
    return f"{times}{cause} {count} candidate{'' if count == 1 else 's'}: {', '.join(words)}."


def _trial(service: Service, patch: PatchShown) -> Item:
    return Item(
        kind="trials",
        href=f"/deployments/{patch.id}",
        title=patch.rationale,
        pills=(patch_pill(patch.status),),
        robot_id=patch.robot_id,
        says="It runs on the robot, or is about to.",
        since=moment(patch.since_ns, service.clock.wall_ns()),
        due="",
    )


def _robot(robot_id: str, word: str) -> Item:
    return Item(
        kind="robots",
        href=f"/robots/{robot_id}",
        title=f"{robot_id}: {word}",
        pills=(Pill(word="silent", tone="bad"),),
        robot_id=robot_id,
        says="Its last telemetry is old; what is shown of it is not what is so now.",
        since=None,
        due="",
    )


def _calm(connection: Connection, newest: tuple[str, ...], robots: list[RobotShown], now_ns: int) -> str:
    count = sum(robot.silent_s is not None and robot.silent_s <= STALE_S for robot in robots)
    reporting = f"{count} of {len(robots)} robot{'' if len(robots) == 1 else 's'} reporting"
    last = (
        f"last incident {ago(incident_shown(connection, newest[0]).last_ns, now_ns)}" if newest else "no incident yet"
    )
    return f"Nothing needs you: {last}, {reporting}."
