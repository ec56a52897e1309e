"""The fault catalogue: how a robot degrades, and the one notation for it.

    payload:mass=5    friction:joint=2,scale=10    actuator_loss:joint=3,gain=0.6,onset=4,ramp=2    none

Faults are joined by `+`. `joint` is a number from 1 or a name; a joint fault without it acts on all joints. `onset` [s]
is when the fault starts, `ramp` [s] how long it grows, `severity` scales the whole effect. An effect is additive on the
healthy robot and linear in severity, so half a fault is a meaningful fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.errors import BadInput
from core.robot import Robot


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How a degraded robot differs from the healthy one. Tuples have one entry per joint."""

    payload_kg: float  # point mass at the payload point
    viscous: tuple[float, ...]  # added viscous friction [N*m*s/rad]
    coulomb: tuple[float, ...]  # added Coulomb friction [N*m]
    gain_loss: tuple[float, ...]  # share of the motor torque that is missing
    offset: tuple[float, ...]  # encoder reading minus true position
    delay_s: float  # added command delay


def no_effect(dof: int) -> Effect:
    """The healthy robot."""
    zero = (0.0,) * dof
    return Effect(payload_kg=0.0, viscous=zero, coulomb=zero, gain_loss=zero, offset=zero, delay_s=0.0)


def combine(effects: Sequence[tuple[float, Effect]], dof: int) -> Effect:
    """Weighted sum of effects: `(severity, effect)` pairs."""

    def total(pick: Callable[[Effect], tuple[float, ...]]) -> tuple[float, ...]:
        return tuple(sum(weight * pick(effect)[i] for weight, effect in effects) for i in range(dof))

    return Effect(
        payload_kg=sum(weight * effect.payload_kg for weight, effect in effects),
        viscous=total(lambda e: e.viscous),
        coulomb=total(lambda e: e.coulomb),
        gain_loss=total(lambda e: e.gain_loss),
        offset=total(lambda e: e.offset),
        delay_s=sum(weight * effect.delay_s for weight, effect in effects),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a fault kind."""

    name: str
    unit: str
    default: float
    low: float
    high: float
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One way to degrade. `effect(robot, value, joints)` builds the full-severity effect."""

    name: str
    meaning: str
    parameter: Parameter
    per_joint: bool
    effect: Callable[[Robot, float, tuple[int, ...]], Effect]


def _on(joints: tuple[int, ...], dof: int, value: float) -> tuple[float, ...]:
    return tuple(value if i in joints else 0.0 for i in range(dof))


def _effect(robot: Robot, **changes: object) -> Effect:
    base = no_effect(robot.dof)
    values = {name: getattr(base, name) for name in base.__dataclass_fields__}
    return Effect(**{**values, **changes})


def _payload(robot: Robot, mass_kg: float, _: tuple[int, ...]) -> Effect:
    return _effect(robot, payload_kg=mass_kg)


def _friction(robot: Robot, scale: float, joints: tuple[int, ...]) -> Effect:
    added = tuple((scale - 1.0) * damping if i in joints else 0.0 for i, damping in enumerate(robot.limits.damping))
    return _effect(robot, viscous=added)


def _actuator_loss(robot: Robot, gain: float, joints: tuple[int, ...]) -> Effect:
    return _effect(robot, gain_loss=_on(joints, robot.dof, 1.0 - gain))


def _sensor_bias(robot: Robot, bias_rad: float, joints: tuple[int, ...]) -> Effect:
    return _effect(robot, offset=_on(joints, robot.dof, bias_rad))


def _delay(robot: Robot, delay_ms: float, _: tuple[int, ...]) -> Effect:
    return _effect(robot, delay_s=delay_ms / 1000.0)


CATALOGUE: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        FaultKind(
            name="payload",
            meaning="a load at the tool that the model does not know",
            parameter=Parameter(name="mass", unit="kg", default=5.0, low=0.0, high=10.0, meaning="mass of the load"),
            per_joint=False,
            effect=_payload,
        ),
        FaultKind(
            name="friction",
            meaning="viscous joint friction grown by a factor",
            parameter=Parameter(
                name="scale", unit="1", default=10.0, low=1.0, high=20.0, meaning="factor on joint damping"
            ),
            per_joint=True,
            effect=_friction,
        ),
        FaultKind(
            name="actuator_loss",
            meaning="a motor that gives only a share of the torque it is asked for",
            parameter=Parameter(name="gain", unit="1", default=0.6, low=0.3, high=1.0, meaning="share of torque left"),
            per_joint=True,
            effect=_actuator_loss,
        ),
        FaultKind(
            name="sensor_bias",
            meaning="an encoder that reads a constant angle too much",
            parameter=Parameter(
                name="rad", unit="rad", default=0.05, low=-0.2, high=0.2, meaning="reading minus truth"
            ),
            per_joint=True,
            effect=_sensor_bias,
        ),
        FaultKind(
            name="delay",
            meaning="commands that reach the motors later than they used to",
            parameter=Parameter(name="ms", unit="ms", default=6.0, low=0.0, high=20.0, meaning="added delay"),
            per_joint=False,
            effect=_delay,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault with its course over time."""

    spec: str
    kind: str
    effect: Effect
    onset_s: float | None  # None: the run decides when
    ramp_s: float = 0.0
    severity: float = 1.0

    def severity_at(self, since_onset_s: float) -> float:
        """Share of the effect in force `since_onset_s` after onset, from 0 to `severity`."""
        if since_onset_s < 0:
            return 0.0
        return self.severity * (1.0 if self.ramp_s <= 0 else min(1.0, since_onset_s / self.ramp_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCourse:
    """All faults of one robot over time."""

    dof: int
    faults: tuple[Fault, ...] = ()
    onset_s: float = 0.0  # for faults that name no onset of their own
    _last: list[object] = field(init=False, repr=False, compare=False)  # (weights, effect) of the last call

    def __post_init__(self) -> None:
        object.__setattr__(self, "_last", [(0.0,) * len(self.faults), no_effect(self.dof)])

    @staticmethod
    def constant(effect: Effect, dof: int) -> FaultCourse:
        """One effect, in force for ever."""
        return FaultCourse(dof=dof, faults=(Fault(spec="given", kind="given", effect=effect, onset_s=0.0),))

    def at(self, t_s: float) -> Effect:
        """The effect in force at `t_s` [s]."""
        weights = tuple(f.severity_at(t_s - (self.onset_s if f.onset_s is None else f.onset_s)) for f in self.faults)
        if weights != self._last[0]:  # the same object while nothing changes, so that the plant need not compare
            pairs = [(weight, fault.effect) for weight, fault in zip(weights, self.faults, strict=True)]
            self._last[:] = [weights, combine(pairs, self.dof)]
        effect = self._last[1]
        assert isinstance(effect, Effect)
        return effect

    @property
    def settled_after_s(self) -> float:
        """Time after which the effect no longer changes [s]."""
        ends = [(self.onset_s if f.onset_s is None else f.onset_s) + f.ramp_s for f in self.faults]
        return max(ends, default=0.0)


def parse_faults(spec: str, robot: Robot) -> tuple[Fault, ...]:
    """Read the notation of the module docstring; `none` and the empty text are a healthy robot.

    Raises:
        BadInput: an unknown kind, parameter or joint, or a value that is no number or out of range.
    """
    if spec.strip() in ("", "none"):
        return ()
    return tuple(_parse_one(part.strip(), robot) for part in spec.split("+"))


def _parse_one(part: str, robot: Robot) -> Fault:
    name, _, rest = part.partition(":")
    kind = CATALOGUE.get(name)
    if kind is None:
        raise BadInput(f"fault '{part}': '{name}' is not in the catalogue; use one of {', '.join(CATALOGUE)} or none")
    allowed = [kind.parameter.name, *(["joint"] if kind.per_joint else []), "onset", "ramp", "severity"]
    given: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, equals, text = item.partition("=")
        if not equals or key not in allowed:
            raise BadInput(f"fault '{part}': '{item}' is not understood; write KEY=VALUE with {', '.join(allowed)}")
        if key in given:
            raise BadInput(f"fault '{part}': {key} is given twice; keep one")
        given[key] = text
    p = kind.parameter
    value = _number(part, p.name, given.get(p.name, str(p.default)), p.low, p.high)
    joints = (robot.joint_index(given["joint"]),) if "joint" in given else tuple(range(robot.dof))
    return Fault(
        spec=part,
        kind=name,
        effect=kind.effect(robot, value, joints),
        onset_s=_number(part, "onset", given["onset"], 0.0, 86400.0) if "onset" in given else None,
        ramp_s=_number(part, "ramp", given.get("ramp", "0"), 0.0, 86400.0),
        severity=_number(part, "severity", given.get("severity", "1"), 0.0, 1.0),
    )


def _number(part: str, key: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadInput(f"fault '{part}': {key}={text} must be a number between {low:g} and {high:g}")
    return value
