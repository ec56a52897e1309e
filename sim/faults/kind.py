"""What a fault kind is: a name, its parameters with units and ranges, and the effect that they have on a robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.robot import Robot
from sim.effect import Effect

FIXED_BASE, QUADROTOR, DIFFDRIVE, LEGGED = "fixed_base", "quadrotor", "diffdrive", "legged"
ALL = frozenset({FIXED_BASE, QUADROTOR, DIFFDRIVE, LEGGED})
JOINTED = frozenset({FIXED_BASE, LEGGED})

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One number of a fault."""

    name: str
    unit: str
    default: float
    low: float
    high: float
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One way to degrade."""

    name: str
    meaning: str  # one line
    parameters: tuple[Parameter, ...]
    target: str  # "robot", "joint" (a coordinate with a bearing), "sensor" (any coordinate) or "actuator"
    effect: Callable[[Robot, Values, tuple[int, ...]], Effect]  # robot, parameters, targets -> effect at full severity
    kinds: frozenset[str] = ALL  # kinds of robot that can have it
    key: str = "joint"  # what the target is called in the notation

    def applies_to(self, robot: Robot) -> bool:
        """Whether this robot can have the fault. Kinds of robot that are not shipped may have every fault."""
        return robot.kind in self.kinds or robot.kind not in ALL

    def targets(self, robot: Robot) -> tuple[int, ...]:
        """Indices of the coordinates or actuators that the fault can sit in; empty if it is the whole robot's."""
        if self.target == "joint":
            driven = [joint for joint in robot.drives if joint is not None]
            return tuple(range(robot.dof)) if robot.kind == FIXED_BASE else tuple(sorted(driven))
        return tuple(range({"robot": 0, "sensor": robot.dof, "actuator": len(robot.actuators)}[self.target]))
