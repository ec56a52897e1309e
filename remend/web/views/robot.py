"""One robot: how it is, what it runs, what it ran before, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from core.errors import RemendError
from remend import numbers
from remend.chart import Chart, Line
from remend.figures import Figure, drawn
from remend.service.board import Board
from remend.service.orders import Order, Verb, order_of, order_result
from remend.service.pulse import FalseAlarms
from remend.service.service import Service
from remend.versions import Versions
from remend.web import queries
from remend.web.resources import patches_shown, robot_shown
from remend.web.views.inbox import RobotLine, robot_line
from remend.web.views.states import STALE_S, Pill, is_lost, patch_pill
from remend.web.views.times import Moment, moment

_SHOWN = 12  # versions and patches in a list
_ASKED = {
    Verb.ROLL_BACK: "the robot to roll back",
    Verb.CANCEL: "for the search to end",
    Verb.HOLD: "the robot to stop and stay where it is",
    Verb.RESUME: "the robot to go on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One controller that the robot was committed to."""

    role: str  # "active", "previous" or ""
    sha: str
    message: str
    author: str
    at: Moment
    patch_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRow:
    """One patch that was made for the robot."""

    id: str
    title: str
    pill: Pill
    proposer: str
    since: Moment
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """What was asked of the robot, and what became of it."""

    id: str
    says: str
    tone: str
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotPage:
    """Everything that the page shows."""

    line: RobotLine
    lost: bool  # it says nothing any more
    model: str
    simulated: bool
    fault: str  # injected into a simulated robot
    stage: str
    share: str
    active_sha: str
    held: str  # why it is held, "" while it is not
    missed: str
    false_alarms: str
    starts: int
    doing: str
    done: int
    total: int
    joints: tuple[tuple[str, str, str], ...]  # (name, unit, RMS error of the last seconds)
    figures: tuple[Figure, ...]
    lines: tuple[tuple[str, bool], ...]  # (what the caretaker said, grave)
    versions: tuple[VersionRow, ...]
    patches: tuple[PatchRow, ...]
    order: OrderRow | None


def robot_page(service: Service, connection: Connection, robot_id: str, order_id: str) -> RobotPage:
    """The page of one robot.

    Args:
        order_id: of an order that was just placed, or "".

    Raises:
        Missing: no such robot, or no such order.
    """
    care = service.care(robot_id)
    shown, now_ns = robot_shown(care), service.clock.wall_ns()
    fresh = shown.silent_s is not None and shown.silent_s <= STALE_S
    missed = shown.missed_deadlines
    return RobotPage(
        line=robot_line(shown),
        lost=is_lost(shown),
        model=shown.model,
        simulated=shown.simulated,
        fault=care.entry.fault if shown.simulated else "",
        stage=shown.stage or "not known yet",
        share="" if not shown.share else numbers.share(shown.share),
        active_sha=shown.active_sha or "",
        held=shown.held or "",
        missed="not measured" if missed is None else numbers.count(missed),
        false_alarms=_false_alarms(shown.false_alarms),
        starts=care.starts,
        doing=shown.doing or "nothing yet",
        done=shown.done,
        total=shown.total,
        joints=_joints(care.board) if fresh else (),
        figures=_figures(care.board) if fresh else (),
        lines=tuple((line.text, line.grave) for line in reversed(care.board.now().lines) if line.text)[:_SHOWN],
        versions=_versions(service, robot_id, shown.active_sha, now_ns),
        patches=_patches(service, connection, robot_id),
        order=_order(connection, order_of(connection, order_id)) if order_id else None,
    )


def _false_alarms(said: FalseAlarms | None) -> str:
    if said is None:
        return "not counted yet"
    admitted = f"{numbers.figure(said.admitted_per_hour)} per hour admitted"
    return f"{said.count} in {numbers.figure(said.healthy_h)} h of healthy work; {admitted}, threshold {said.basis}"


def _versions(service: Service, robot_id: str, active_sha: str | None, now_ns: int) -> tuple[VersionRow, ...]:
    try:
        history = Versions.open(service.home, service.clock).history(robot_id)[:_SHOWN]
    except RemendError:
        return ()
    rows: list[VersionRow] = []
    roles = {active_sha: "active"}
    for k, version in enumerate(history):
        role = roles.pop(version.artefact_sha, "")
        if not role and k and rows[-1].role == "active":
            role = "previous"
        first, _, rest = version.message.partition("\n")
        patch = next((word for word in rest.split() if word.startswith("pat_")), "")
        rows.append(
            VersionRow(
                role=role,
                sha=version.artefact_sha,
                message=first,
                author=version.author,
                at=moment(version.at_s * 10**9, now_ns),
                patch_id=patch,
            )
        )
    return tuple(rows)


def _patches(service: Service, connection: Connection, robot_id: str) -> tuple[PatchRow, ...]:
    names, now_ns = queries.patches_of_robot(connection, robot_id, _SHOWN), service.clock.wall_ns()
    return tuple(
        PatchRow(
            id=patch.id,
            title=patch.rationale,
            pill=patch_pill(patch.status),
            proposer=patch.proposer,
            since=moment(patch.since_ns, now_ns),
            why=patch.why,
        )
        for patch in patches_shown(service, connection, names)
    )


def _order(connection: Connection, order: Order) -> OrderRow:
    result = order_result(connection, order.id)
    asked = f"{order.actor} asked {_ASKED[order.verb]}"
    if result is None:
        return OrderRow(id=order.id, says=f"{asked}; there is no answer yet.", tone="open", answered=False)
    said = f"{asked}: {result.what}."
    return OrderRow(id=order.id, says=said, tone="plain" if result.done else "bad", answered=True)


def _joints(board: Board) -> tuple[tuple[str, str, str], ...]:
    layout, (samples, _) = board.now().layout, board.course()
    rows = [row for sample in samples for row in sample.error]
    if layout is None or not rows:
        return ()
    rms = np.sqrt(np.nanmean(np.square(np.array(rows[-200:])), axis=0))
    found = []
    for name, unit, value in zip(layout.joints, layout.units, rms.tolist(), strict=True):
        (text,), shown = numbers.in_one_unit([value], unit)
        found.append((name, shown, text))
    return tuple(found)


def _figures(board: Board) -> tuple[Figure, ...]:
    """The last minute as it was when the page was made; scripts draw it anew as it goes on."""
    layout, (samples, ratios) = board.now().layout, board.course()
    found = []
    if len(ratios) > 1:
        t, y = np.array([r.t_s for r in ratios]), np.array([r.ratio for r in ratios])
        alt = f"The test ratio is {numbers.figure(float(y[-1]))} now; at 1 it alarms."
        chart = Chart(
            alt=alt, y_label="test ratio", unit="1", lines=(Line(look="plain", x=t, y=y),), level=1.0, log=True
        )
        found.append(drawn(chart, "Test ratio", alt))
    if layout is not None and samples:
        t = np.array([t for sample in samples for t in sample.t_s])
        error = np.abs(np.array([row for sample in samples for row in sample.error]))
        worst = int(np.argmax(np.nanmax(error, axis=0)))
        alt = f"Tracking error of {layout.joints[worst]}, the largest of the last minute."
        line = Line(look="plain", x=t, y=error[:, worst])
        chart = Chart(alt=alt, y_label="|error|", unit=layout.units[worst], lines=(line,), from_zero=True)
        found.append(drawn(chart, "Tracking error", alt))
    return tuple(found)
