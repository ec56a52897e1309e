"""Channels: what each column of a telemetry stream is, in which unit, and between which limits.

A robot's own frame declares its channels. A bare file says nothing but names, so roles are guessed from the words that
loggers use; a declaration overrules the guess:

    [channels."elbow.current"]
    role = "effort"
    unit = "A"
    low = -12.0
    high = 12.0
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from core.errors import BadInput
from core.robot import Robot
from core.toml_file import read_toml
from core.toml_table import Table


class Role(StrEnum):
    """What a channel says. Commands and references are inputs: they are never a symptom by themselves."""

    COMMAND = "command"  # what a drive was told
    REFERENCE = "reference"  # where the robot should be
    POSITION = "position"
    VELOCITY = "velocity"
    EFFORT = "effort"  # torque, force or motor current
    IMU = "imu"
    OTHER = "other"


INPUTS = frozenset({Role.COMMAND, Role.REFERENCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One column of a stream."""

    name: str
    role: Role = Role.OTHER
    unit: str = ""  # "" where nobody said
    low: float = -math.inf  # smallest value that the drive or sensor can give, in `unit`
    high: float = math.inf

    @property
    def is_input(self) -> bool:
        return self.role in INPUTS


def _words(words: str) -> re.Pattern[str]:
    return re.compile(rf"(^|[^a-z])({words})([^a-z]|$)", re.I)


# In this order: "q_ref" is a reference and no position, "angular_velocity" of an IMU no joint velocity.
_NAMES = (
    (Role.REFERENCE, _words("refs?|references?|setpoints?|desired|targets?")),
    (Role.COMMAND, _words("cmd|cmds|commands?|commanded|inputs?|u")),
    (
        Role.IMU,
        _words(
            "imu|gyro|gyroscope|acc|accel|accelerometer|acceleration|orientation|angular_velocity|linear_acceleration"
        ),
    ),
    (Role.VELOCITY, _words("qd|dq|vel|velocity|velocities|speed|omega|rpm")),
    (Role.EFFORT, _words("efforts?|torques?|tau|currents?|force")),
    (Role.POSITION, _words("q|pos|positions?|angle|encoder")),
)

_RATE = {"rad": "rad/s", "m": "m/s"}
_SECOND_RATE = {"rad": "rad/s^2", "m": "m/s^2"}


def role_of(name: str) -> Role:
    """The role that a channel's name suggests; OTHER where it suggests none."""
    return next((role for role, pattern in _NAMES if pattern.search(name)), Role.OTHER)


def channels_by_name(names: Iterable[str]) -> tuple[Channel, ...]:
    """Channels of a bare file: roles from the names, no units, no limits."""
    return tuple(Channel(name=name, role=role_of(name)) for name in names)


def robot_channels(robot: Robot) -> tuple[Channel, ...]:
    """The channels of a robot's telemetry, in the column order of `core.block.Block` after seq and stamp.

    Limits are those of what a drive can give and what a command may ask for. A position has none here: a joint that
    stands at its stop is where the task sent it more often than it is a defect.
    """
    limits, driven = robot.limits, [None if i is None else robot.units[i] for i in robot.drives]
    efforts = ["N" if robot.mode == "thrust" or unit == "m" else "N*m" for unit in driven]
    commands = efforts if robot.mode != "position" else [unit or "rad" for unit in driven]

    def of(names: Sequence[str], field: str, role: Role, units: Sequence[str]) -> list[Channel]:
        return [Channel(name=f"{name}.{field}", role=role, unit=unit) for name, unit in zip(names, units, strict=True)]

    def limited(channels: list[Channel], low: Iterable[float], high: Iterable[float]) -> list[Channel]:
        return [replace(c, low=lo, high=hi) for c, lo, hi in zip(channels, low, high, strict=True)]

    rates = [_RATE[unit] for unit in robot.units]
    return (
        *of(robot.joints, "q", Role.POSITION, robot.units),
        *of(robot.joints, "qd", Role.VELOCITY, rates),
        *limited(of(robot.actuators, "tau_meas", Role.EFFORT, efforts), (-e for e in limits.effort), limits.effort),
        *limited(of(robot.actuators, "tau_cmd", Role.COMMAND, commands), limits.effort_low, limits.effort_high),
        *of(robot.joints, "q_ref", Role.REFERENCE, robot.units),
        *of(robot.joints, "qd_ref", Role.REFERENCE, rates),
        *of(robot.joints, "qdd_ref", Role.REFERENCE, [_SECOND_RATE[unit] for unit in robot.units]),
    )


def load_declaration(path: Path) -> dict[str, Channel]:
    """Read a declaration: a TOML file with a table `[channels."NAME"]` per channel, each key optional.

    Raises:
        BadInput: no such file, no TOML, an unknown key or role, or limits the wrong way round.
    """
    data = read_toml(path, what="a channel declaration, as in docs/commands.md")
    top = Table(path, data)
    tables, declared = top.table("channels"), {}
    top.close()
    for name in data["channels"]:
        table = tables.table(name)
        guess = role_of(name)
        channel = Channel(
            name=name,
            role=Role(table.choice("role", [role.value for role in Role])) if table.has("role") else guess,
            unit=table.text("unit") if table.has("unit") else "",
            low=table.number("low") if table.has("low") else -math.inf,
            high=table.number("high") if table.has("high") else math.inf,
        )
        table.close()
        if not channel.low < channel.high:
            raise table.fail("low", f"is {channel.low:g} and must be below high, {channel.high:g}")
        declared[name] = channel
    return declared


def declare(channels: Sequence[Channel], declared: Mapping[str, Channel], where: str) -> tuple[Channel, ...]:
    """`channels` with what was declared about them.

    Raises:
        BadInput: a declared channel is not there.
    """
    names = [channel.name for channel in channels]
    for name in declared:
        if name not in names:
            known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise BadInput(f"{where} has no channel {name!r}; declare only channels that it has: {known}")
    return tuple(declared.get(channel.name, channel) for channel in channels)
