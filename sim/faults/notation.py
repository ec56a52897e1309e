"""The one notation for faults.

    payload:mass=5    friction:joint=2,scale=10    actuator_loss:joint=3,gain=0.6,onset=4,ramp=2    none

Faults are joined by `+`. `joint` (`rotor`, `wheel`) is a number from 1 or a name; without it the fault sits in all of
them. `onset` [s] is when it starts, `ramp` [s] how long it grows, `lasts` [s] when it is gone again, `period` [s] and
`duty` make it come and go, `severity` scales the whole effect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from core.errors import BadInput
from core.robot import Robot
from sim.effect import Effect, combine, touched
from sim.faults.catalogue import CATALOGUE, faults_of
from sim.faults.course import Fault
from sim.faults.kind import FaultKind, Parameter

_LONG_S = 86400.0
_COURSE = {"onset": (0.0, _LONG_S), "ramp": (0.0, _LONG_S), "lasts": (0.01, _LONG_S), "period": (0.01, _LONG_S)}
_PLACES = ("joint", "rotor", "wheel")
_SHARES = {"severity": (0.0, 1.0), "duty": (0.01, 1.0)}


def parse_faults(spec: str, robot: Robot) -> tuple[Fault, ...]:
    """Read the notation of the module docstring; `none` is a healthy robot.

    Raises:
        BadInput: an unknown kind, parameter or joint, a fault this robot cannot have or that changes nothing on it, or
            a value that is no number or out of range.
    """
    if spec.strip() == "none":
        return ()
    parts = [part.strip() for part in spec.split("+")]
    if not all(parts):
        where = f"fault '{spec}': a fault is missing beside +" if len(parts) > 1 else "the fault is empty"
        raise BadInput(f"{where}; name one of {', '.join(faults_of(robot))}, or none for a healthy robot")
    return tuple(_parse_one(part, robot) for part in parts)


def full_effect(spec: str, robot: Robot) -> Effect:
    """Sum of the faults of `spec` at their severities, whenever they set in."""
    return combine([(fault.severity, fault.effect) for fault in parse_faults(spec, robot)])


def _parse_one(part: str, robot: Robot) -> Fault:
    name, _, rest = part.partition(":")
    known = faults_of(robot)
    kind = known.get(name)
    if kind is None:
        missing = f"{robot.name} cannot have it" if name in CATALOGUE else f"'{name}' is not in the catalogue"
        raise BadInput(f"fault '{part}': {missing}; use one of {', '.join(known)} or none")
    own = {p.name: p for p in kind.parameters}
    allowed = [*own, *([] if kind.target == "robot" else [kind.key]), *_COURSE, *_SHARES]
    given: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, equals, text = item.partition("=")
        if key in _PLACES and key != kind.key and kind.target != "robot":
            raise BadInput(
                f"fault '{part}': {kind.name} sits in a {kind.key}, not in a {key}; write {kind.key}={text or 1}"
            )
        if not equals or key not in allowed:
            raise BadInput(f"fault '{part}': '{item}' is not understood; write KEY=VALUE with {', '.join(allowed)}")
        if key in given:
            raise BadInput(f"fault '{part}': {key} is given twice; keep one")
        given[key] = text
    ranges = {**{p.name: (p.low, p.high) for p in kind.parameters}, **_COURSE, **_SHARES}
    numbers = {key: _number(part, key, text, *ranges[key]) for key, text in given.items() if key in ranges}
    if "duty" in numbers and "period" not in numbers:
        raise BadInput(f"fault '{part}': duty needs a period; add period=SECONDS")
    places = _targets(part, kind, robot, given.get(kind.key))
    ends = ({key: own[key].low for key in numbers if key in own}, {key: own[key].high for key in numbers if key in own})
    parts = [({name: numbers.get(name, p.default_at(at)) for name, p in own.items()}, at) for at in _apart(places)]
    if not any(touched(_sum(kind, robot, parts, end)) for end in ends):
        raise BadInput(
            f"fault '{part}': on {robot.name} it changes nothing, however large; give {_others(own, numbers)}"
        )
    effect = _sum(kind, robot, parts, {})
    if numbers.keys() & own.keys() and not touched(effect):
        raise BadInput(f"fault '{part}': that is a healthy robot; give a value that changes something, or write none")
    return Fault(
        spec=part,
        kind=name,
        effect=effect,
        onset_s=numbers.get("onset"),
        ramp_s=numbers.get("ramp", 0.0),
        severity=numbers.get("severity", 1.0),
        lasts_s=numbers.get("lasts", math.inf),
        period_s=numbers.get("period", 0.0),
        duty=numbers.get("duty", 0.5),
        values=tuple((name, float(np.mean([values[name] for values, _ in parts]))) for name in own),
        places=places,
    )


def _sum(
    kind: FaultKind, robot: Robot, parts: Sequence[tuple[dict[str, float], tuple[int, ...]]], changed: dict[str, float]
) -> Effect:
    """The effect of a fault with values of its own for each of its places, with `changed` values for all of them."""
    return combine([(1.0, kind.effect(robot, values | changed, places)) for values, places in parts])


def _apart(places: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Each place by itself, or the whole robot."""
    return [(place,) for place in places] or [()]


def _targets(part: str, kind: FaultKind, robot: Robot, text: str | None) -> tuple[int, ...]:
    able = kind.targets(robot)
    if text is None:
        return able
    index = robot.actuator_index(text) if kind.target == "actuator" else robot.joint_index(text)
    if index not in able:
        names = ", ".join(robot.joints[i] for i in able)
        raise BadInput(f"fault '{part}': {robot.joints[index]} cannot have it; use one of {names}")
    return (index,)


def _others(own: Mapping[str, Parameter], given: Mapping[str, float]) -> str:
    """The parameters that were not given, in words."""
    return " or ".join(f"{name}=" for name in own if name not in given) or "another fault"


def _number(part: str, key: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadInput(f"fault '{part}': {key}={text} must be a number between {low:g} and {high:g}")
    return value
