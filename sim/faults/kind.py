"""What a fault kind is: a name, its parameters with units and ranges, and the effect that they have on a robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from core.rigid_body import load_held_at_home
from core.robot import Robot
from sim.effect import Effect

FIXED_BASE, QUADROTOR, DIFFDRIVE, LEGGED = "fixed_base", "quadrotor", "diffdrive", "legged"
ALL = frozenset({FIXED_BASE, QUADROTOR, DIFFDRIVE, LEGGED})
JOINTED = frozenset({FIXED_BASE, LEGGED})

_GRAVITY_M_S2 = 9.81
_COMFORT = 0.5  # share of what an arm's motors hold at home that it gets as load by default
_LOAD, _WIND = 0.25, 0.5  # share of what its rotors lift that a flying robot may get as load and as wind

Values = Mapping[str, float]
Sized = Callable[[Robot, int | None], float]  # robot, place (None: the whole robot) -> default


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One number of a fault."""

    name: str
    unit: str
    default: float
    low: float
    high: float
    meaning: str
    sized: Sized | None = None  # the default where it depends on the robot; brought into the range
    at: Mapping[int, float] = field(default_factory=dict)  # default by place, on a known robot

    def default_at(self, places: tuple[int, ...]) -> float:
        """The default of a fault that sits in one place, or in the whole robot if there is none."""
        return self.at.get(places[0], self.default) if places else self.default

    @property
    def spread(self) -> tuple[float, float] | None:
        """Least and largest default over the places; None where all have the same."""
        least, most = min(self.at.values(), default=0.0), max(self.at.values(), default=0.0)
        return None if least == most else (least, most)


def _carried(parameter: Parameter, most_kg: float) -> Parameter:
    """A load that an arm which carries `most_kg` with ease gets unless told otherwise."""
    return (
        replace(parameter, default=min(parameter.default, float(f"{most_kg:.2g}")))
        if parameter.unit == "kg"
        else parameter
    )


def _lifted(parameter: Parameter, lift_n: float) -> Parameter:
    """A parameter of a robot whose rotors lift at most `lift_n`: a quarter of that as load, half of it as wind."""
    if parameter.unit == "kg":
        share = _LOAD * lift_n / _GRAVITY_M_S2 / parameter.high
        return replace(
            parameter, default=share * parameter.default, low=share * parameter.low, high=share * parameter.high
        )
    if parameter.unit == "N":
        return replace(parameter, low=max(parameter.low, -_WIND * lift_n), high=min(parameter.high, _WIND * lift_n))
    return parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One way to degrade."""

    name: str
    meaning: str  # one line
    parameters: tuple[Parameter, ...]
    target: str  # "robot", "joint" (a coordinate with a bearing), "sensor" (any coordinate), "gyro" or "actuator"
    effect: Callable[[Robot, Values, tuple[int, ...]], Effect]  # robot, parameters, targets -> effect at full severity
    kinds: frozenset[str] = ALL  # kinds of robot that can have it
    key: str = "joint"  # what the target is called in the notation

    def applies_to(self, robot: Robot) -> bool:
        """Whether this robot has a place for the fault. Kinds of robot that are not shipped may have every fault."""
        has_place = self.target == "robot" or bool(self.targets(robot))
        return has_place and (robot.kind in self.kinds or robot.kind not in ALL)

    def unit_of(self, parameter: Parameter, robot: Robot) -> str:
        """The unit of a parameter on `robot`, whose places may slide and not turn."""
        places = self.targets(robot)
        joints = places if self.target != "actuator" else [robot.drives[place] for place in places]
        slides = [joint for joint in joints if joint is not None and robot.units[joint] == "m"]
        sliding = parameter.unit.replace("N*m", "N").replace("rad", "m")
        if not slides or sliding == parameter.unit:
            return parameter.unit
        names = ", ".join(robot.joints[joint] for joint in slides)
        return sliding if len(slides) == len(places) else f"{parameter.unit}; {sliding} for {names}"

    def fitted_to(self, robot: Robot) -> FaultKind:
        """The same fault in sizes that mean something on this robot.

        Left to itself, the load of an arm is at most half of what its motors hold at home, and what leaves its tasks
        possible.
        """
        parameters = tuple(self._sized(parameter, robot) for parameter in self.parameters)
        if robot.kind == FIXED_BASE:
            from sim.tasks.demand import load_through_tasks  # noqa: PLC0415 tasks load the simulation; most readers need none

            most_kg = min(_COMFORT * load_held_at_home(robot), load_through_tasks(robot))
            parameters = tuple(_carried(parameter, most_kg) for parameter in parameters)
        elif robot.mode == "thrust":
            lift_n = sum(robot.limits.effort_high)
            parameters = tuple(_lifted(parameter, lift_n) for parameter in parameters)
        return replace(self, parameters=parameters)

    def _sized(self, parameter: Parameter, robot: Robot) -> Parameter:
        """The parameter with the defaults that its rule gives on `robot`, to two figures."""
        if parameter.sized is None:
            return parameter

        def default(place: int | None) -> float:
            assert parameter.sized is not None
            return min(max(float(f"{parameter.sized(robot, place):.2g}"), parameter.low), parameter.high)

        places = {place: default(place) for place in self.targets(robot)}
        alike = set(places.values()) if places else {default(None)}
        return replace(parameter, at=places, default=alike.pop() if len(alike) == 1 else parameter.default)

    def targets(self, robot: Robot) -> tuple[int, ...]:
        """Indices of the coordinates or actuators that the fault can sit in; empty if it is the whole robot's."""
        if self.target == "joint":
            driven = [joint for joint in robot.drives if joint is not None]
            return tuple(range(robot.dof)) if robot.kind == FIXED_BASE else tuple(sorted(driven))
        if self.target == "gyro":
            return tuple(i for i, name in enumerate(robot.joints) if name in ("roll", "pitch", "yaw"))
        return tuple(range({"robot": 0, "sensor": robot.dof, "actuator": len(robot.actuators)}[self.target]))
