"""What stands around every page: who looks, how the robots are, whether patching is frozen, what waits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from core.ids import new_id
from core.status import PatchStatus
from remend.service.accounts import Role
from remend.service.freeze import Freeze, frozen
from remend.service.handling import Handling
from remend.service.orders import Verb
from remend.service.service import Service
from remend.web import queries
from remend.web.confirmation import is_confirmed
from remend.web.identity import Identity
from remend.web.resources import RobotShown, robot_shown
from remend.web.views.states import Pill, robot_pill
from remend.web.views.times import Moment, moment

_RECORDS = (
    "incident",
    "occurrence",
    "diagnosis",
    "candidate",
    "report",
    "approve",
    "first_approve",
    "reject",
    "outcome",
    "auto_approve",
)
_OTHER = (
    "freeze",
    "thaw",
    "answered",
    "robot",
    "user_added",
    "user_removed",
    "role_changed",
    "revoked",
    "policy",
    "telemetry_dropped",
)
VERBS = " ".join((*_RECORDS, *PatchStatus, *Verb, *Handling, *_OTHER))  # of the stream of events


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One robot in the header."""

    robot_id: str
    pill: Pill
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenBanner:
    """The freeze that is in force."""

    actor: str
    reason: str
    at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Chrome:
    """The frame of a page."""

    name: str  # empty: nobody has signed in
    role: str
    may_operate: bool
    may_admin: bool
    ask_password: bool  # again, before what only its holder may do
    robots: tuple[Chip, ...]
    frozen: FrozenBanner | None
    read_only: str  # why nothing can be changed; empty if it can
    waiting: int  # patches that wait for a decision
    key: str  # makes an order of the frame, sent twice, one order
    here: str  # where forms of the frame lead back to
    seq: int  # last row of the audit log
    verbs: str


def chrome_of(service: Service, connection: Connection, who: Identity | None, here: str) -> Chrome:
    """The frame for one reader; who has not signed in is told nothing."""
    if who is None:
        return Chrome(
            name="",
            role="",
            may_operate=False,
            may_admin=False,
            ask_password=False,
            robots=(),
            frozen=None,
            read_only=service.read_only,
            waiting=0,
            key="",
            here="/",
            seq=0,
            verbs="",
        )
    return Chrome(
        name=who.name,
        role=who.role.value,
        may_operate=who.may(Role.OPERATOR),
        may_admin=who.may(Role.ADMIN),
        ask_password=not is_confirmed(service, who),
        robots=tuple(_chip(robot_shown(care)) for care in service.cares.values()),
        read_only=service.read_only,
        frozen=_banner(frozen(connection), service.clock.wall_ns()),
        waiting=queries.count_in_status(connection, PatchStatus.AWAITING_APPROVAL),
        key=new_id("key", service.clock),
        here=here,
        seq=queries.last_seq(connection),
        verbs=VERBS,
    )


def _chip(robot: RobotShown) -> Chip:
    return Chip(robot_id=robot.robot_id, pill=robot_pill(robot), held=robot.held is not None)


def _banner(freeze: Freeze | None, now_ns: int) -> FrozenBanner | None:
    if freeze is None:
        return None
    return FrozenBanner(actor=freeze.actor, reason=freeze.reason, at=moment(freeze.at_ns, now_ns))
