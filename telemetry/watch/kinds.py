"""Which balances a kind of robot keeps; packages add kinds of their own as entry points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.extensions import Registry
from core.robot import Robot
from telemetry.watch.diffdrive import DiffdriveBalances
from telemetry.watch.fixed_base import FixedBaseBalances
from telemetry.watch.legged import LeggedBalances
from telemetry.watch.plain import PlainBalances
from telemetry.watch.quadrotor import QuadrotorBalances
from telemetry.watch.row import Balances


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedKind:
    """A kind of robot that can be watched."""

    name: str  # as in robot.toml
    balances: Callable[[Robot], Balances]


WATCHED = Registry(
    "remend.balances",
    WatchedKind,
    (
        WatchedKind(name="fixed_base", balances=FixedBaseBalances),
        WatchedKind(name="quadrotor", balances=QuadrotorBalances),
        WatchedKind(name="diffdrive", balances=DiffdriveBalances),
        WatchedKind(name="legged", balances=LeggedBalances),
    ),
)


def balances_of(robot: Robot) -> Balances:
    """What this robot keeps in balance; for a kind that nobody has described, what every robot does."""
    return WATCHED[robot.kind].balances(robot) if robot.kind in WATCHED else PlainBalances(robot)
