"""Ways to explain an incident: a fault, where it sits, what is unknown about it, and the effect that it stands for.

Every fault of the catalogue becomes one cause for each place where it can sit and one for all places at once. Unknowns
theta are measured from "no fault" in the catalogue's own parameters, with a Gaussian prior as wide as half the
parameter's range and cut off at its ends: friction does not fall below nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from core.rigid_body import Array
from core.robot import Robot
from sim.effect import NO_EFFECT, Effect, combine, touched
from sim.faults.catalogue import faults_of
from sim.faults.kind import FaultKind, Parameter

# Effects that telemetry measures place by place: a fault of all places has one unknown for each.
_EACH_ITS_OWN = frozenset(
    {"viscous", "coulomb", "stiction", "stiffness", "ripple", "gain_loss", "offset", "scale", "rate_offset"}
)
_HEALTHY = 0.5  # probability of no fault, before anything is seen
_ALL_PLACES = 0.1  # a fault of all places at once, against one of a single place
_LOAD_OFFSET_M = 0.05  # standard deviation of a load's centre of mass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One fault of one place, or none, with k unknowns theta."""

    fault: str  # name in the catalogue, or "none"
    label: str  # fault and place, for people
    key: str  # what a place is called: joint, rotor, wheel
    places: tuple[int, ...]  # indices of coordinates or actuators; empty: the whole robot
    prior_std: Array  # (k,)
    low: Array  # (k,) range of theta
    high: Array  # (k,)
    log_prior: float  # log probability before anything was seen
    effect: Callable[[Array], Effect]  # theta -> what the twin simulates; theta is brought into range
    describe: Callable[[Array], dict[str, float]]  # theta -> estimate in the catalogue's notation
    prior_at: Callable[[Array], Array] | None = None  # theta -> (k,) `prior_std` of those that hang on others

    @property
    def touched(self) -> frozenset[str]:
        """Fields of `Effect` that this cause changes."""
        return touched(self.effect(np.where(self.high >= self.prior_std, self.prior_std, self.low)))


def causes_of(robot: Robot) -> list[Cause]:
    """No fault, and every fault that this robot can have, equally likely each; a fault shares its mass over places.

    A robot is as likely to be healthy as not, however many faults the catalogue knows.
    """
    kinds = faults_of(robot)
    log_kind = float(np.log((1.0 - _HEALTHY) / len(kinds)))
    found = [none(float(np.log(_HEALTHY)))]
    for kind in kinds.values():
        places = kind.targets(robot)
        where: list[tuple[int, ...]] = [(place,) for place in places] if places else [()]
        if len(places) > 1:
            where.append(places)
        made = [cause for chosen in where for cause in _of(robot, kind, chosen, log_kind)]
        seen = [cause for cause in made if cause.touched]  # a gyroscope's fault has no effect on a joint
        share = np.array([_ALL_PLACES if len(cause.places) > 1 else 1.0 for cause in seen])
        log_share = log_kind + np.log(share / share.sum())
        found += [_with_prior(cause, float(prior)) for cause, prior in zip(seen, log_share, strict=True)]
    return found


def none(log_prior: float) -> Cause:
    """The robot is healthy."""
    empty = np.zeros(0)
    return Cause(
        fault="none",
        label="none",
        key="",
        places=(),
        prior_std=empty,
        low=empty,
        high=empty,
        log_prior=log_prior,
        effect=lambda _: NO_EFFECT,
        describe=lambda _: {},
    )


def _with_prior(cause: Cause, log_prior: float) -> Cause:
    values = {spec.name: getattr(cause, spec.name) for spec in fields(cause)}
    return Cause(**{**values, "log_prior": log_prior})


def _of(robot: Robot, kind: FaultKind, places: tuple[int, ...], log_prior: float) -> list[Cause]:
    """The cause of `kind` at `places`; empty if nothing is known of its healthy parameters."""
    if kind.name == "friction":
        return [_friction(robot, kind, places, log_prior)]
    if kind.name == "com":
        return [_off_centre(kind, log_prior)]
    healthy = _healthy(robot, kind)
    if healthy is None:
        return []
    unknowns = [(p, place) for place in _groups(robot, kind, healthy, places) for p in kind.parameters]

    def effect(theta: Array) -> Effect:
        parts = []
        for group in dict.fromkeys(place for _, place in unknowns) or [places]:
            mine = {
                p.name: healthy[p.name] + t for (p, place), t in zip(unknowns, theta, strict=True) if place == group
            }
            parts.append((1.0, kind.effect(robot, {**healthy, **mine}, group)))
        return combine(parts)

    low = np.array([p.low - healthy[p.name] for p, _ in unknowns])
    high = np.array([p.high - healthy[p.name] for p, _ in unknowns])
    return [
        _cause(
            kind,
            places,
            low,
            high,
            0.5 * np.maximum(-low, high) * [_size(p, place, healthy[p.name]) for p, place in unknowns],
            log_prior,
            effect,
            lambda theta: _numbers(unknowns, [healthy[p.name] + t for (p, _), t in zip(unknowns, theta, strict=True)]),
        )
    ]


def _size(parameter: Parameter, places: tuple[int, ...], healthy: float) -> float:
    """By how much smaller than elsewhere a fault is in a place that bears no more; 1 in all others."""
    usual = parameter.default - healthy
    if parameter.sized is None or healthy != 0.0 or usual <= 0.0 or not places:
        return 1.0
    return min(1.0, float(np.mean([parameter.default_at((place,)) for place in places])) / usual)


def _healthy(robot: Robot, kind: FaultKind) -> dict[str, float] | None:
    """The parameters at which a fault has no effect: each zero or one; None if there are no such."""
    choices = [[value for value in (0.0, 1.0) if p.low <= value <= p.high] for p in kind.parameters]
    for values in product(*choices) if kind.parameters else ():
        named = {p.name: value for p, value in zip(kind.parameters, values, strict=True)}
        if not touched(kind.effect(robot, named, kind.targets(robot))):
            return named
    return None if kind.parameters else {}


def _groups(
    robot: Robot, kind: FaultKind, healthy: Mapping[str, float], places: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """Places that share their unknowns."""
    some = {p.name: p.high if p.high != healthy[p.name] else p.low for p in kind.parameters}
    if len(places) > 1 and touched(kind.effect(robot, some, places)) <= _EACH_ITS_OWN:
        return [(place,) for place in places]
    return [places]


def _friction(robot: Robot, kind: FaultKind, places: tuple[int, ...], log_prior: float) -> Cause:
    """Added viscous friction: the factor of the catalogue says nothing of a joint that had none."""
    damping = np.array(robot.limits.damping)
    grown = {p.name: p.high for p in kind.parameters if p.name == "scale"}
    unit = kind.effect(robot, {"scale": 1.0, "viscous": 1.0}, places).vector("viscous", robot.dof)[list(places)]
    factor = (grown.get("scale", 20.0) - 1.0) * damping[list(places)]
    effort, speed = max(robot.limits.effort), np.array(robot.limits.speed)[list(places)]
    high = np.maximum(factor, 0.1 * effort / speed) * (unit != 0)

    def describe(theta: Array) -> dict[str, float]:
        """The factor on the healthy friction where there was any, and what was added."""
        had = damping[list(places)]
        scale = {"scale": float(np.mean(1.0 + theta / had))} if np.all(had > 0) else {}
        if len(places) == 1:
            return {kind.key: places[0] + 1.0, **scale, "viscous": float(theta[0])}
        return {**scale, **{f"viscous_{place + 1}": float(t) for place, t in zip(places, theta, strict=True)}}

    def effect(theta: Array) -> Effect:
        added = np.zeros(robot.dof)
        added[list(places)] = theta
        return Effect(viscous=tuple(added.tolist()))

    return _cause(kind, places, np.zeros(len(places)), 2.0 * high, 0.5 * high, log_prior, effect, describe)


def _off_centre(kind: FaultKind, log_prior: float) -> Cause:
    """Mass and first moment of a load: these are linear in the torque, its centre of mass is not."""
    mass = next(p for p in kind.parameters if p.name == "mass")
    offset = max(p.high for p in kind.parameters if p.name != "mass")
    most = mass.high
    reach = np.full(3, offset * most)

    def describe(theta: Array) -> dict[str, float]:
        centre = theta[1:] / max(theta[0], 0.005 * most)  # of almost no mass the centre is anywhere
        return {"mass": float(theta[0]), **{axis: float(c) for axis, c in zip("xyz", centre, strict=True)}}

    return _cause(
        kind,
        (),
        np.array([0.0, *-reach]),
        np.array([most, *reach]),
        np.array([0.5 * most, *np.full(3, 0.5 * most * _LOAD_OFFSET_M)]),
        log_prior,
        lambda theta: Effect(payload_kg=float(theta[0]), moment_kgm=tuple(float(x) for x in theta[1:])),
        describe,
        # a light load is no further off centre than a heavy one
        lambda theta: np.array([0.5 * most, *np.full(3, max(float(theta[0]), 0.01 * most) * _LOAD_OFFSET_M)]),
    )


def _cause(
    kind: FaultKind,
    places: tuple[int, ...],
    low: Array,
    high: Array,
    prior_std: Array,
    log_prior: float,
    effect: Callable[[Array], Effect],
    describe: Callable[[Array], dict[str, float]],
    prior_at: Callable[[Array], Array] | None = None,
) -> Cause:
    words = kind.name.replace("_", " ")
    one = len(places) == 1

    def located(theta: Array) -> dict[str, float]:
        return {kind.key: places[0] + 1.0, **describe(theta)} if one else describe(theta)

    return Cause(
        fault=kind.name,
        label=f"{words} {kind.key} {places[0] + 1}" if one else words,
        key=kind.key,
        places=places,
        prior_std=prior_std,
        low=low,
        high=high,
        log_prior=log_prior,
        effect=lambda theta: effect(np.clip(theta, low, high)),
        describe=located,
        prior_at=prior_at,
    )


def _numbers(unknowns: Sequence[tuple[Parameter, tuple[int, ...]]], values: Sequence[float]) -> dict[str, float]:
    """Parameter -> value; with several places the mean, and each by its number."""
    found: dict[str, float] = {}
    for name in dict.fromkeys(p.name for p, _ in unknowns):
        mine = [(group, float(v)) for (p, group), v in zip(unknowns, values, strict=True) if p.name == name]
        found[name] = float(np.mean([value for _, value in mine]))
        if len(mine) > 1:
            found.update({f"{name}_{group[0] + 1}": value for group, value in mine})
    return found
