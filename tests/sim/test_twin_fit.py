"""Causes against made-up rows: the posterior is the exact one, and evidence prefers what made the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from core.block import Array
from sim.effect import NO_EFFECT, Effect
from sim.twin.cause import Cause
from sim.twin.fit import Fit, fit_causes
from sim.twin.linear import Library, Noise, log_inside
from sim.twin.pairs import compatible
from sim.twin.parts import Mask
from sim.twin.single import Preparation
from sim.twin.stack import Stack
from sim.twin.unseen import unobservable, why_unseen

N, JOINTS = 60, 2
TIME = np.linspace(0.0, 2.0, N)
PAYLOAD = np.stack([np.cos(3.0 * TIME), 0.3 * np.ones(N)], axis=1)  # per kg
SPEED = np.stack([np.sin(5.0 * TIME), np.cos(4.0 * TIME)], axis=1)  # per N*m*s/rad
NOISE = 0.05
LIMITS = np.array([0.0, 0.0]), np.array([8.0, 8.0])  # of friction


class MadeUpRows:
    """Rows that a payload and viscous friction shift in proportion, and a dead band as its square root."""

    sees = frozenset({"payload_kg", "viscous", "deadband", "brake"})
    linear = frozenset({"payload_kg", "viscous"})

    def __init__(self, effect: Effect, seed: int = 0, noise: float = NOISE, unknown: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        self.noise, self.inflation, self.broad = np.full(JOINTS, noise), np.ones(JOINTS), np.full(JOINTS, 10.0)
        self.nuisance = unknown * np.eye(JOINTS)[None].repeat(N, axis=0)  # an unknown constant of each row
        constant = unknown * rng.standard_normal(JOINTS)
        self.residual = self.shift(effect) + constant + noise * rng.standard_normal((N, JOINTS))

    def shift(self, effect: Effect) -> Array:
        dead = np.sqrt(np.maximum(effect.vector("deadband", JOINTS), 0.0)) * np.sign(SPEED)
        shifted: Array = effect.payload_kg * PAYLOAD + effect.vector("viscous", JOINTS) * SPEED + dead
        return shifted

    def freed(self, effect: Effect) -> Mask:
        return effect.vector("brake", JOINTS) > 0


def cause(fault: str, effect: Callable[[Array], Effect], std: float, places: tuple[int, ...] = (), k: int = 1) -> Cause:
    return Cause(
        fault=fault,
        label=" ".join([fault, *(f"joint {p + 1}" for p in places)]),
        key="joint",
        places=places,
        prior_std=np.full(k, std),
        low=np.zeros(k),
        high=np.full(k, 4.0 * std),
        log_prior=-2.0,
        effect=effect,
        describe=lambda theta: {fault: float(theta[0])},
    )


def at(place: int, value: float) -> tuple[float, ...]:
    return tuple(value if j == place else 0.0 for j in range(JOINTS))


def friction(place: int) -> Cause:
    return cause("friction", lambda t: Effect(viscous=at(place, float(t[0]))), 2.0, (place,))


def dead(place: int) -> Cause:
    return cause("deadband", lambda t: Effect(deadband=at(place, float(t[0]))), 1.0, (place,))


LOAD = cause("payload", lambda t: Effect(payload_kg=float(t[0])), 2.5)
NONE = cause("none", lambda _: NO_EFFECT, 1.0, k=0)
CAUSES = [NONE, LOAD, friction(0), friction(1), dead(0), dead(1)]


def fits_of(effect: Effect, **made: float) -> list[Fit]:
    return fit_causes(CAUSES, Stack([MadeUpRows(effect, **made)]), ())  # type: ignore[arg-type]


def labels(fit: Fit) -> list[str]:
    return sorted(each.label for each in fit.causes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("effect", "label"),
    [
        (NO_EFFECT, ["none"]),
        (Effect(payload_kg=1.5), ["payload"]),
        (Effect(viscous=at(0, 0.8)), ["friction joint 1"]),
        (Effect(viscous=at(1, 0.8)), ["friction joint 2"]),
        (Effect(deadband=at(1, 0.5)), ["deadband joint 2"]),
        (Effect(payload_kg=1.5, viscous=at(1, 0.8)), ["friction joint 2", "payload"]),
        (Effect(viscous=(0.7, 0.9)), ["friction joint 1", "friction joint 2"]),
        (Effect(payload_kg=1.0, deadband=at(0, 0.5)), ["deadband joint 1", "payload"]),
    ],
    ids=str,
)
def test_evidence_prefers_what_made_the_rows(effect: Effect, label: list[str], seed: int) -> None:
    first, *others = fits_of(effect, seed=seed, unknown=0.1)
    assert labels(first) == label
    assert first.log_evidence > others[0].log_evidence + 1.0
    assert [fit.log_evidence for fit in others] == sorted((fit.log_evidence for fit in others), reverse=True)


def test_the_posterior_of_a_linear_cause_is_that_of_least_squares_with_its_prior() -> None:
    rows = MadeUpRows(Effect(payload_kg=1.5), unknown=0.2)
    fit = next(f for f in fit_causes(CAUSES, Stack([rows]), ()) if labels(f) == ["payload"])
    columns = np.concatenate([PAYLOAD[:, :, None], rows.nuisance], axis=2).reshape(-1, 3)
    precision = columns.T @ columns / NOISE**2 + np.diag([2.5**-2, 1.0, 1.0])
    expected = np.linalg.solve(precision, columns.T @ rows.residual.reshape(-1) / NOISE**2)[0]
    std = float(np.sqrt(np.linalg.inv(precision)[0, 0]))
    assert fit.theta[0] == pytest.approx(expected, abs=0.2 * std)
    assert std < np.sqrt(fit.covariance[0, 0]) < 1.5 * std  # what an explanation leaves counts as noise too


def test_an_interval_widens_with_noise_and_holds_the_truth_as_often_as_it_says() -> None:
    held, widths = [], []
    for seed in range(60):
        for noise in (0.05, 0.2):
            fit = next(f for f in fits_of(Effect(payload_kg=1.5), seed=seed, noise=noise) if labels(f) == ["payload"])
            half = 1.645 * np.sqrt(fit.covariance[0, 0])
            widths.append(half)
            held.append(abs(fit.theta[0] - 1.5) < half)
    assert np.mean(widths[1::2]) == pytest.approx(4.0 * np.mean(widths[::2]), rel=0.1)
    assert 0.83 < np.mean(held) < 0.98


def test_noise_that_no_cause_explains_does_not_pass_for_certainty() -> None:
    """The rows scatter three times as much as on the healthy robot."""
    rows = MadeUpRows(Effect(payload_kg=1.5), noise=3 * NOISE)
    rows.noise = np.full(JOINTS, NOISE)
    fit = next(f for f in fit_causes(CAUSES, Stack([rows]), ()) if labels(f) == ["payload"])
    honest = next(f for f in fits_of(Effect(payload_kg=1.5), noise=3 * NOISE) if labels(f) == ["payload"])
    assert np.sqrt(fit.covariance[0, 0]) == pytest.approx(np.sqrt(honest.covariance[0, 0]), rel=0.2)


def scanned(part: Callable[[float], float]) -> list[Fit]:
    """Fits of no fault and of one that only a likelihood sees, by its gain at each size from 0 to 1."""
    limit = cause("torque_limit", lambda t: Effect(limit_loss=(float(t[0]), 0.0)), 0.45)
    limit = replace(limit, high=np.array([0.9]))
    return fit_causes([NONE, limit], Stack([MadeUpRows(NO_EFFECT)]), (Limit(part),))  # type: ignore[arg-type]


class Limit:
    sees = frozenset({"limit_loss"})
    separable = True

    def __init__(self, gain: Callable[[float], float]) -> None:
        self._gain = gain

    def gain(self, effect: Effect) -> float:
        return self._gain(effect.vector("limit_loss", JOINTS)[0])

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> dict[str, float]:
        return {}

    def hints(self) -> dict[str, Array]:
        return {}


@pytest.mark.parametrize(
    ("gain", "judged"),
    [
        (lambda x: 0.0 if x < 0.6 else -1000.0, False),  # effort came to 0.4 of the limit and no further
        (lambda x: 0.0 if x < 0.03 else -1000.0, True),  # effort came to the limit
        (lambda x: 500.0 - 500.0 * ((x - 0.6) / 0.6) ** 2, True),  # effort stops at 0.4
    ],
)
def test_a_limit_that_effort_never_came_near_cannot_be_judged(gain: Callable[[float], float], judged: bool) -> None:
    fits = scanned(gain)
    limit = next(fit for fit in fits if labels(fit) == ["torque_limit"])
    assert bool(why_unseen(limit)) != judged
    assert bool(unobservable(fits)) != judged
    if not judged:
        assert "effort never comes near the limit" in unobservable(fits)[0]


def test_causes_that_cannot_be_told_apart_are_no_pair() -> None:
    singles = {
        single.cause.label: single
        for single in Preparation(Stack([MadeUpRows(NO_EFFECT)]), ()).singles(
            [*CAUSES, cause("com", lambda t: Effect(payload_kg=float(t[0])), 2.5)]
        )
    }
    assert compatible(singles["payload"], singles["friction joint 1"])
    assert compatible(singles["friction joint 1"], singles["friction joint 2"])
    assert not compatible(singles["friction joint 1"], singles["friction joint 1"])
    assert not compatible(singles["payload"], singles["com"])
    assert not compatible(singles["none"], singles["payload"])


class LooseFriction(MadeUpRows):
    """Friction that adds, besides, an unknown push of its own size to either signal, in both halves of the time."""

    linear = frozenset({"payload_kg"})

    def loose(self, effect: Effect) -> Array:
        half = np.stack([TIME < 1.0, TIME >= 1.0], axis=1)
        columns = [
            np.where(np.arange(JOINTS)[:, None] == j, half[:, None, :], 0.0) * mu
            for j, mu in enumerate(effect.vector("viscous", JOINTS))
        ]
        return np.concatenate(columns, axis=2)


def test_what_a_cause_leaves_open_is_integrated_out() -> None:
    """Against the Gaussian evidence written down with the whole covariance."""
    rows = LooseFriction(Effect(viscous=at(0, 0.8)), unknown=0.1)
    stack = Stack([rows])  # type: ignore[list-item]
    preparation = Preparation(stack, ())
    single = preparation.singles([friction(0)])[0]
    expansion = preparation.expand_again(single, np.array([0.8]))
    noise = Noise(level=stack.noise, inflation=stack.inflation, doubt=np.zeros(len(stack.residual)))
    library = Library(stack, [expansion], noise)
    solution = library.solve([(expansion,)])[0]

    base = np.diag(np.square(stack.noise[stack.group])) + stack.nuisance @ stack.nuisance.T
    slope = stack.shift(Effect(viscous=at(0, 1.0)))
    loose = stack.loose(Effect(viscous=at(0, 0.8)))
    assert loose.shape == (N * JOINTS, 4)
    spread = base + 2.0**2 * np.outer(slope, slope) + loose @ loose.T
    y = stack.residual
    evidence = [-0.5 * (y @ np.linalg.solve(c, y) + np.linalg.slogdet(c)[1]) for c in (base, spread)]
    low_high = log_inside(np.array([solution.x[0], 0.0]), np.array([solution.covariance[0, 0] ** 0.5, 2.0]), *LIMITS)
    assert solution.gain == pytest.approx(evidence[1] - evidence[0] + low_high[0] - low_high[1], abs=1e-6)
    assert solution.x[0] == pytest.approx(2.0**2 * slope @ np.linalg.solve(spread, y), abs=1e-9)


def test_an_estimate_leans_on_what_turned_out_to_be_open() -> None:
    """A push that hides in the open part says how large the effect is, once it is known."""
    rows = LooseFriction(NO_EFFECT)
    rows.residual = rows.residual + 1.0 * (TIME < 1.0)[:, None] * np.array([1.0, 0.0]) * 0.9
    stack = Stack([rows])  # type: ignore[list-item]
    preparation = Preparation(stack, ())
    single = preparation.singles([friction(0)])[0]
    without = preparation.expand_again(single, np.array([0.5]))
    u = np.array([1.8, 0.0, 0.0, 0.0])
    known = preparation.expand_again(single, np.array([0.5]), u)
    pushed = stack.loose(Effect(viscous=at(0, 1.0))) @ u
    assert known.slope[:, 0] == pytest.approx(without.slope[:, 0] + pushed, abs=1e-9)
    assert known.fixed + known.slope[:, 0] * 0.5 + known.loose @ u == pytest.approx(
        stack.shift(Effect(viscous=at(0, 0.5))) + stack.loose(Effect(viscous=at(0, 0.5))) @ u, abs=1e-9
    )
