"""`robot.toml`: what Remend must know of a robot, read once and checked key by key.

All lists run in the order of `joints`. SI units throughout; limits of position, speed and torque come from the URDF.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadInput
from core.urdf import JointLimits, read_joint_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Motor, gear and bus of the healthy robot."""

    rotor_inertia: tuple[float, ...]  # reflected to the joint
    command_delay_s: float  # from command to torque
    command_rate: tuple[float, ...]  # fastest torque change that the envelope lets through


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensors:
    """Standard deviation of the measurement noise."""

    position_noise: float
    velocity_noise: float
    effort_noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpace:
    """Where the robot works, for tasks drawn from a seed."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    speed_fraction: float
    torque_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeLimits:
    """Settings of the safety envelope. Never patchable."""

    power_w: float
    speed_fraction: float
    braking_fraction: float
    reject_factor: float
    stale_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPlan:
    """How authority moves from the incumbent to the candidate."""

    stages: tuple[float, ...]  # share of the candidate's command
    hold_s: tuple[float, ...]  # how long each stage is watched
    fade_s: float  # time over which the offset of the swap fades
    shadow_s: float  # how long the candidate is computed before it commands

    @property
    def full_authority_s(self) -> float:
        """Time from the first share to full authority, if the robot moves all the while [s]."""
        return self.fade_s * self.stages[-1] + sum(self.hold_s[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Robot:
    """One robot model: URDF plus everything the URDF cannot say."""

    name: str
    title: str
    folder: Path
    urdf: Path
    joints: tuple[str, ...]
    control_rate_hz: int
    controller: str  # name of the nominal law
    safety_controller: str  # name of the law that takes over when all else fails
    home: tuple[float, ...]
    payload_link: str
    payload_point_m: tuple[float, float, float]  # in the frame of `payload_link`
    limits: JointLimits
    drive: Drive
    sensors: Sensors
    tasks: TaskSpace
    envelope: EnvelopeLimits
    canary: CanaryPlan

    @property
    def dof(self) -> int:
        """Number of actuated joints."""
        return len(self.joints)

    @property
    def dt_s(self) -> float:
        """Control period [s]."""
        return 1.0 / self.control_rate_hz

    def joint_index(self, joint: str) -> int:
        """Index from 0 of a joint given by name or by its number from 1.

        Raises:
            BadInput: there is no such joint.
        """
        if joint in self.joints:
            return self.joints.index(joint)
        if joint.isdecimal() and 1 <= int(joint) <= self.dof:
            return int(joint) - 1
        raise BadInput(f"{self.name} has no joint '{joint}'; give 1 to {self.dof} or one of {', '.join(self.joints)}")


class _Table:
    """A TOML table that knows where it stands, so that each complaint names file and key."""

    def __init__(self, file: Path, data: dict[str, Any], prefix: str = "") -> None:
        self.file, self.data, self.prefix, self.read = file, data, prefix, set[str]()

    def _fail(self, key: str, what: str) -> BadInput:
        return BadInput(f"{self.file}: {self.prefix}{key} {what}")

    def get(self, key: str) -> Any:
        self.read.add(key)
        if key not in self.data:
            raise self._fail(key, "is missing; add it")
        return self.data[key]

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise self._fail(key, "must be a text in quotes")
        return value

    def number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float:
        return self._number(key, self.get(key), low, high)

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self._fail(key, f"must be a number between {low:g} and {high:g}, not {value!r}")
        return float(value)

    def numbers(self, key: str, length: int | None, low: float = -1e12, high: float = 1e12) -> tuple[float, ...]:
        value = self.get(key)
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise self._fail(key, f"must be a list of {length if length is not None else 'numbers'} entries")
        return tuple(self._number(key, item, low, high) for item in value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self._fail(key, "must be a list of texts in quotes")
        return tuple(value)

    def table(self, key: str) -> _Table:
        value = self.get(key)
        if not isinstance(value, dict):
            raise self._fail(key, "must be a table")
        return _Table(self.file, value, f"{self.prefix}{key}.")

    def close(self) -> None:
        unknown = sorted(set(self.data) - self.read)
        if unknown:
            raise self._fail(unknown[0], f"is not known here; use one of {', '.join(sorted(self.read))}")


def load_robot(file: Path) -> Robot:
    """Read a `robot.toml` and the limits of its URDF.

    Raises:
        BadInput: the file or a key is missing, mistyped, out of range or unknown.
    """
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{file}: no such file; give the path of a robot.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{file}: cannot be read as TOML ({error}); correct that line") from None
    top = _Table(file, data)
    rate_hz = top.number("control_rate_hz", 10, 2000)
    if rate_hz != int(rate_hz):
        raise BadInput(f"{file}: control_rate_hz must be a whole number, not {rate_hz:g}")
    urdf = file.parent / top.text("urdf")
    joints = top.texts("joints")
    n = len(joints)
    payload, drive, sensors = top.table("payload"), top.table("drive"), top.table("sensors")
    tasks, envelope, canary = top.table("tasks"), top.table("envelope"), top.table("canary")
    point = payload.numbers("point_m", 3)
    stages = canary.numbers("stages", None, 0.0, 1.0)
    robot = Robot(
        name=top.text("name"),
        title=top.text("title"),
        folder=file.parent,
        urdf=urdf,
        joints=joints,
        control_rate_hz=int(rate_hz),
        controller=top.text("controller"),
        safety_controller=top.text("safety_controller"),
        home=top.numbers("home", n),
        payload_link=payload.text("link"),
        payload_point_m=(point[0], point[1], point[2]),
        limits=read_joint_limits(urdf, joints),
        drive=Drive(
            rotor_inertia=drive.numbers("rotor_inertia", n, 0.0, 100.0),
            command_delay_s=drive.number("command_delay_s", 0.0, 0.1),
            command_rate=drive.numbers("command_rate", n, 0.0),
        ),
        sensors=Sensors(
            position_noise=sensors.number("position_noise", 0.0, 0.1),
            velocity_noise=sensors.number("velocity_noise", 0.0, 10.0),
            effort_noise=sensors.number("effort_noise", 0.0, 100.0),
        ),
        tasks=TaskSpace(
            low=tasks.numbers("low", n),
            high=tasks.numbers("high", n),
            speed_fraction=tasks.number("speed_fraction", 0.01, 1.0),
            torque_fraction=tasks.number("torque_fraction", 0.05, 1.0),
        ),
        envelope=EnvelopeLimits(
            power_w=envelope.number("power_w", 0.1),
            speed_fraction=envelope.number("speed_fraction", 0.1, 2.0),
            braking_fraction=envelope.number("braking_fraction", 0.05, 1.0),
            reject_factor=envelope.number("reject_factor", 1.0, 100.0),
            stale_after_s=envelope.number("stale_after_s", 1e-4, 1.0),
        ),
        canary=CanaryPlan(
            stages=stages,
            hold_s=canary.numbers("hold_s", len(stages), 0.0, 3600.0),
            fade_s=canary.number("fade_s", 0.0, 60.0),
            shadow_s=canary.number("shadow_s", 0.0, 3600.0),
        ),
    )
    for table in (payload, drive, sensors, tasks, envelope, canary, top):
        table.close()
    _check(file, robot)
    return robot


def _check(file: Path, robot: Robot) -> None:
    """Relations between keys that no single key can show."""
    limits = robot.limits
    for i, joint in enumerate(robot.joints):
        if not limits.lower[i] <= robot.tasks.low[i] < robot.tasks.high[i] <= limits.upper[i]:
            raise BadInput(f"{file}: tasks.low and high of {joint} must be a range inside its joint limits")
        if not limits.lower[i] < robot.home[i] < limits.upper[i]:
            raise BadInput(f"{file}: home of {joint} must lie inside its joint limits")
    if (
        not robot.canary.stages
        or robot.canary.stages[-1] != 1.0
        or list(robot.canary.stages) != sorted(robot.canary.stages)
    ):
        raise BadInput(f"{file}: canary.stages must rise and end at 1.0")
