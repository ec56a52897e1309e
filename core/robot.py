"""What Remend knows of a robot: its coordinates, actuators, limits, sensors, and the settings of envelope and canary.

A robot has n coordinates and m actuators. Coordinates are joints, and the position and attitude of a base that moves;
not each has an actuator. Lists per coordinate run in the order of `joints`, lists per actuator in that of `actuators`.
SI units: a coordinate is in its own unit, rad or m; an effort is a torque [N*m] or a force [N].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BadInput
from core.ports import OUTPUTS, Ports

FIXED_BASE = "fixed_base"  # the kind whose coordinates are the joints of a URDF bolted to the ground


@dataclass(frozen=True, slots=True, kw_only=True)
class JointLimits:
    """Limits of n coordinates and m actuators."""

    lower: tuple[float, ...]  # n
    upper: tuple[float, ...]  # n
    speed: tuple[float, ...]  # n
    damping: tuple[float, ...]  # n, viscous friction of the healthy robot [N*m*s/rad or N*s/m]
    effort_low: tuple[float, ...]  # m, range of a command, in the unit of the robot's mode
    effort_high: tuple[float, ...]  # m
    effort: tuple[float, ...]  # m, largest magnitude of the drive's effort [N*m or N], in position mode too


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Motors, gears and bus of the healthy robot."""

    rotor_inertia: tuple[float, ...]  # n, reflected to the coordinate [kg*m^2 or kg]; 0 without a motor
    command_delay_s: float  # from command to effort
    command_rate: tuple[float, ...]  # m, fastest change of a command that the envelope lets through


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensors:
    """Standard deviation of the measurement noise."""

    position_noise: tuple[float, ...]  # n
    velocity_noise: tuple[float, ...]  # n
    effort_noise: tuple[float, ...]  # m


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpace:
    """Where the robot works, for tasks drawn from a seed."""

    kinds: tuple[str, ...]  # names of the task kinds that suit this robot
    low: tuple[float, ...]  # n
    high: tuple[float, ...]  # n
    speed_fraction: float
    effort_fraction: float
    run_s: float  # of a simulated run that is long enough to show what a fault does


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What the healthy robot uses in its tasks, of what it has."""

    effort_typical: tuple[float, ...]  # m, root mean square [N*m or N]
    effort_peak: tuple[float, ...]  # m, what its tasks go beyond a tenth of the time
    position_typical: tuple[float, ...]  # n, root mean square


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeLimits:
    """Settings of the safety envelope. Never patchable."""

    power_w: float  # infinite outside torque mode, where no command is a power
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
    settle_s: float  # full authority needs this long before the candidate is held to its own tracking error

    @property
    def full_authority_s(self) -> float:
        """Time from the first share to full authority, if the robot moves all the while [s]."""
        return self.fade_s * self.stages[-1] + sum(self.hold_s[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Robot:
    """One robot model: URDF plus everything the URDF cannot say."""

    name: str
    title: str
    kind: str  # "fixed_base", "quadrotor", "diffdrive", "legged"; selects plant and twin
    folder: Path
    urdf: Path
    joints: tuple[str, ...]  # n names of coordinates
    units: tuple[str, ...]  # n, "rad" or "m"
    tracked: tuple[int, ...]  # indices of the coordinates by which tracking is judged
    actuators: tuple[str, ...]  # m names; an actuator named like a coordinate drives it directly
    mode: str  # what a command is: "torque", "position" or "thrust"
    control_rate_hz: int
    physics_rate_hz: int  # of the nominal simulation, a whole multiple of the control rate
    controller: str  # name of the nominal law
    safety_controller: str  # name of the law that takes over when all else fails
    home: tuple[float, ...]  # n
    lost_error: tuple[float, ...]  # n, a coordinate this far off its reference has been lost
    payload_link: str
    payload_point_m: tuple[float, float, float]  # in the frame of `payload_link`
    payload_tolerance_kg: float  # loads that differ by less from the one at work while learning are healthy
    constants: Mapping[str, float | tuple[float, ...]] = field(hash=False)  # further numbers of a kind
    limits: JointLimits
    drive: Drive
    sensors: Sensors
    tasks: TaskSpace
    uses: Uses | None  # None: nobody has measured it
    envelope: EnvelopeLimits
    canary: CanaryPlan

    @property
    def dof(self) -> int:
        """Number of coordinates n."""
        return len(self.joints)

    @property
    def dt_s(self) -> float:
        """Control period [s]."""
        return 1.0 / self.control_rate_hz

    @property
    def substeps(self) -> int:
        """Steps of the nominal simulation in one control period."""
        return self.physics_rate_hz // self.control_rate_hz

    @property
    def ports(self) -> Ports:
        """What a law has to fit."""
        return Ports(joints=self.dof, actuators=len(self.actuators), output=self.command_name)

    @property
    def drives(self) -> tuple[int | None, ...]:
        """(m,) index of the coordinate that each actuator drives directly; None where it drives none, as a rotor."""
        return tuple(self.joints.index(name) if name in self.joints else None for name in self.actuators)

    @property
    def command_name(self) -> str:
        """Name of the law's output."""
        return OUTPUTS[self.mode]

    @property
    def command_unit(self) -> str:
        """Unit of a command."""
        return self.effort_unit if self.mode != "position" else _either(self._driven_units)

    @property
    def effort_unit(self) -> str:
        """Unit of a drive's effort: a rotor and a slide push, a joint turns; "N*m or N" where both are there."""
        if self.mode == "thrust":
            return "N"
        return _either("N" if unit == "m" else "N*m" for unit in self._driven_units)

    @property
    def tracking_unit(self) -> str:
        """Unit of the tracking error over all tracked coordinates; "1" where some are in rad and some in m."""
        units = {self.units[joint] for joint in self.tracked}
        return units.pop() if len(units) == 1 else "1"

    @property
    def tracking_scale(self) -> tuple[float, ...]:
        """What the error of each tracked coordinate is divided by before errors are averaged.

        Radians and metres cannot be; their shares of the error at which a coordinate counts as lost can.
        """
        shares = self.tracking_unit == "1"
        return tuple(self.lost_error[joint] if shares else 1.0 for joint in self.tracked)

    @property
    def _driven_units(self) -> list[str]:
        return ["rad" if joint is None else self.units[joint] for joint in self.drives]

    def joint_index(self, joint: str) -> int:
        """Index from 0 of a coordinate given by name or by its number from 1.

        Raises:
            BadInput: there is no such coordinate.
        """
        return _index(self.name, "joint", self.joints, joint)

    def actuator_index(self, actuator: str) -> int:
        """Index from 0 of an actuator given by name or by its number from 1.

        Raises:
            BadInput: there is no such actuator.
        """
        return _index(self.name, "actuator", self.actuators, actuator)


def _either(units: Iterable[str]) -> str:
    """The units of a list in words: those that turn before those that slide."""
    return " or ".join(sorted(set(units), key=lambda unit: unit in ("m", "N")))


def _index(robot: str, noun: str, names: tuple[str, ...], wanted: str) -> int:
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise BadInput(f"{robot} has no {noun} '{wanted}'; give 1 to {len(names)} or one of {', '.join(names)}")
