"""Known remedies: a declared feed-forward term for the diagnosed cause, filled in from the twin.

A remedy needs no simulation to find: the law's manifest says which parameter answers which cause, the twin says how
much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controllers.controller import Controller
from controllers.params import Value
from core.robot import Robot
from patcher.propose.base import Situation
from sim.effect import Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """How one cause changes the parameter that answers it."""

    cause: str
    amount: Callable[[Effect], float | tuple[float, ...]]  # from the fault's effect; () changes nothing
    combine: Callable[[float, float], float]  # old parameter, amount -> new parameter
    sentence: str


def _add(old: float, amount: float) -> float:
    return old + amount


def _lose(old: float, share: float) -> float:
    return old * (1.0 - share)


def _grow(old: float, share: float) -> float:
    return old * (1.0 + share)


def _slip_more(old: float, share: float) -> float:
    return 1.0 - (1.0 - old) * (1.0 - share)


REMEDIES = {
    remedy.cause: remedy
    for remedy in (
        Remedy(
            cause="payload",
            amount=lambda effect: effect.payload_kg,
            combine=_add,
            sentence="Add the load's weight and inertia to the model that the law cancels.",
        ),
        Remedy(
            cause="friction",
            amount=lambda effect: effect.viscous,
            combine=_add,
            sentence="Feed the added friction forward along the reference velocity.",
        ),
        Remedy(
            cause="coulomb",
            amount=lambda effect: effect.coulomb,
            combine=_add,
            sentence="Feed the added dry friction forward along the reference velocity.",
        ),
        Remedy(
            cause="actuator_loss",
            amount=lambda effect: effect.gain_loss,
            combine=_lose,
            sentence="Ask the weak motor for as much more as it falls short.",
        ),
        Remedy(
            cause="sensor_bias",
            amount=lambda effect: effect.offset,
            combine=_add,
            sentence="Subtract the encoder's offset before anything uses the position.",
        ),
        Remedy(
            cause="imu_bias",
            amount=lambda effect: effect.rate_offset,
            combine=_add,
            sentence="Subtract the gyroscope's offset before anything uses the rate.",
        ),
        Remedy(
            cause="com",
            amount=lambda effect: effect.moment_kgm,
            combine=_add,
            sentence="Counter the torque of a load that hangs off-centre.",
        ),
        Remedy(
            cause="thrust_loss",
            amount=lambda effect: effect.gain_loss,
            combine=_lose,
            sentence="Ask the weak rotor for as much more as it falls short.",
        ),
        Remedy(
            cause="wind",
            amount=lambda effect: effect.wind_n,
            combine=_add,
            sentence="Lean against the wind before it has moved the robot.",
        ),
        Remedy(
            cause="motor_lag",
            amount=lambda effect: effect.motor_lag_s,
            combine=_add,
            sentence="Let the commands of slow motors overshoot as much more as they lag.",
        ),
        Remedy(
            cause="wheel_radius",
            amount=lambda effect: effect.wheel_radius,
            combine=_grow,
            sentence="Turn each wheel as its true radius needs.",
        ),
        Remedy(
            cause="slip",
            amount=lambda effect: effect.slip,
            combine=_slip_more,
            sentence="Turn the slipping wheel further for the same way.",
        ),
    )
}

_ALSO = {"com": "payload"}  # a load off its point is a load first


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the law's own parameters can do about an incident."""

    values: dict[str, Value]  # parameters that change, inside their bounds
    sentence: str
    left: tuple[str, ...]  # faults that none of them answers


def remedy_values(situation: Situation) -> Answered:
    """The parameters that the remedies change; of two causes each one is answered that the law has a parameter for."""
    top = situation.twin.causes[0]
    base = Controller.from_artefact(situation.incumbent, situation.twin.robot.ports)
    effect = top.effect(top.theta)
    values: dict[str, Value] = {}
    sentences, left = [], []
    for fault in dict.fromkeys(top.faults):
        answers = 0
        for cause in dict.fromkeys((_ALSO.get(fault, fault), fault)):
            remedy = REMEDIES.get(cause)
            found = _values(situation.twin.robot, base, remedy, effect) if remedy is not None else {}
            values.update(found)
            answers += bool(found)
            if remedy is not None and found:
                sentences.append(remedy.sentence)
        if not answers:
            left.append(fault)
    return Answered(values=values, sentence=" ".join(dict.fromkeys(sentences)), left=tuple(left))


def _values(robot: Robot, base: Controller, remedy: Remedy, effect: Effect) -> dict[str, Value]:
    """The parameters that answer one cause; one entry per drive may stand for the coordinates behind the drives."""
    amount = remedy.amount(effect)
    driven = [joint for joint in robot.drives if joint is not None]
    values: dict[str, Value] = {}
    for name, spec in base.manifest.params.items():
        if spec.answers != remedy.cause:
            continue
        old = base.params[name]
        if isinstance(old, list) and isinstance(amount, tuple) and amount:
            of_drives = len(amount) == robot.dof and len(old) == len(driven)
            parts = [amount[joint] for joint in driven] if of_drives else amount
            values[name] = [
                min(
                    max(remedy.combine(o, a), spec.low[min(i, len(spec.low) - 1)]),
                    spec.high[min(i, len(spec.high) - 1)],
                )
                for i, (o, a) in enumerate(zip(old, parts, strict=True))
            ]
        elif isinstance(old, float) and isinstance(amount, float):
            values[name] = min(max(remedy.combine(old, amount), spec.low[0]), spec.high[0])
    return values
