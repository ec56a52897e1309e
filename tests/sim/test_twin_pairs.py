"""Pairs of causes: which are tried at all, and how two that one likelihood sees share what it has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.block import Array
from sim.effect import NO_EFFECT, Effect
from sim.twin.cause import Cause
from sim.twin.pairs import compatible, likely_pairs, shared_scans
from sim.twin.parts import Mask
from sim.twin.single import Preparation, Single
from sim.twin.stack import Stack

LATE, UNEVEN = np.array([4.0, 1.0, 0.0, 2.0]), np.array([0.0, 3.0, 3.0, 1.0])  # per ms


class Quiet:
    """One row that only a payload shifts."""

    sees = linear = frozenset({"payload_kg"})
    residual = np.zeros((8, 1))
    noise, inflation, broad = np.ones(1), np.ones(1), np.full(1, 10.0)
    nuisance = np.zeros((8, 1, 0))

    def shift(self, effect: Effect) -> Array:
        return np.full((8, 1), effect.payload_kg)

    def freed(self, effect: Effect) -> Mask:
        return np.zeros(1, dtype=bool)


class Bus:
    """Four readings of unit noise that delay and jitter shift together."""

    sees = frozenset({"delay_s", "jitter_s"})

    def __init__(self, effect: Effect, separable: bool = False) -> None:
        self._read = self._expected(effect)
        self.separable = separable

    @staticmethod
    def _expected(effect: Effect) -> Array:
        expected: Array = 1e3 * (effect.delay_s * LATE + effect.jitter_s * UNEVEN)
        return expected

    def gain(self, effect: Effect) -> float:
        left = self._read - self._expected(effect)
        return 0.5 * float(self._read @ self._read - left @ left)

    def settle(self, effect: Effect) -> bool:
        return False

    def resolution(self) -> Mapping[str, float]:
        return {}

    def hints(self) -> Mapping[str, Array]:
        return {}


def cause(fault: str, effect: Callable[[Array], Effect], std: float, k: int = 1) -> Cause:
    return Cause(
        fault=fault,
        label=fault,
        key="joint",
        places=(),
        prior_std=np.full(k, std),
        low=np.zeros(k),
        high=np.full(k, 2.0 * std),
        log_prior=-2.0,
        effect=effect,
        describe=lambda theta: {fault: float(theta[0])},
    )


CAUSES = [
    cause("none", lambda _: NO_EFFECT, 1.0, k=0),
    cause("payload", lambda t: Effect(payload_kg=float(t[0])), 2.0),
    cause("com", lambda t: Effect(payload_kg=float(t[0])), 2.0),
    cause("delay", lambda t: Effect(delay_s=1e-3 * float(t[0])), 10.0),
    cause("jitter", lambda t: Effect(jitter_s=1e-3 * float(t[0])), 10.0),
]
BOTH = Effect(delay_s=5e-3, jitter_s=4e-3)


def prepared(bus: Bus) -> tuple[list[Single], Preparation]:
    preparation = Preparation(Stack([Quiet()]), [bus])  # type: ignore[arg-type]
    return preparation.singles(CAUSES), preparation


def test_two_faults_of_one_likelihood_are_measured_together() -> None:
    singles, preparation = prepared(Bus(BOTH))
    names = [single.cause.fault for single in singles]
    pair = (names.index("delay"), names.index("jitter"))
    shared = shared_scans(singles, preparation)
    assert list(shared) == [pair]
    together = shared[pair]
    # each alone takes the other's share for its own; the first is read again once the second is known
    assert singles[pair[0]].scan is not None
    alone = abs(singles[pair[0]].scan.theta - 5.0)
    assert abs(together.scans[0].theta - 5.0) < 0.5 * alone
    assert together.scans[1].theta == pytest.approx(4.0, abs=0.5)
    assert together.gain > max(singles[at].gain for at in pair) + 10.0


@pytest.mark.parametrize(
    ("effect", "separable"),
    [
        (Effect(delay_s=5e-3), False),  # nothing is left for a second fault
        (NO_EFFECT, False),  # nor for a first
        (BOTH, True),  # gains that add up need no second look
    ],
)
def test_nothing_is_shared_where_nothing_is_left_or_gains_add_up(effect: Effect, separable: bool) -> None:
    assert not shared_scans(*prepared(Bus(effect, separable)))


def test_pairs_are_those_that_can_be_told_apart() -> None:
    singles, preparation = prepared(Bus(BOTH))
    names = [single.cause.fault for single in singles]

    def pairs(shared: bool) -> set[frozenset[str]]:
        found = shared_scans(singles, preparation) if shared else {}
        evidence = np.array([single.gain for single in singles])
        likely = likely_pairs(singles, evidence, found, preparation)
        assert likely == sorted(set(likely))
        return {frozenset((names[i], names[j])) for i, j in likely}

    loads = {frozenset((load, bus)) for load in ("payload", "com") for bus in ("delay", "jitter")}
    assert pairs(shared=False) == loads  # no pair with "none", of two loads, or of two that no scan took apart
    assert pairs(shared=True) == loads | {frozenset(("delay", "jitter"))}


@pytest.mark.parametrize(
    ("one", "other", "possible"),
    [
        (("stuck", 2), ("coulomb", 2), False),  # a brake takes all that friction would
        (("stuck", 2), ("coulomb", 1), True),
        (("stuck", 2), ("actuator_loss", 2), False),
        (("stuck", 2), ("freeze", 2), False),  # a loop that reads a frozen sensor stands still too
        (("stuck", 2), ("freeze", 1), True),
        (("stuck", 2), ("sensor_bias", 2), True),
        (("stuck", 2), ("ground_friction", None), False),  # a leg that is stuck slides on any ground
        (("coulomb", 2), ("ground_friction", None), True),
        (("coulomb", 2), ("coulomb", 1), True),
        (("coulomb", 2), ("coulomb", 2), False),
        (("delay", None), ("delay", None), False),
    ],
)
def test_what_a_stuck_joint_hides_is_not_named_beside_it(
    one: tuple[str, int | None], other: tuple[str, int | None], possible: bool
) -> None:
    a, b = (single_of(fault, place) for fault, place in (one, other))
    assert compatible(a, b) is compatible(b, a) is possible


def single_of(fault: str, place: int | None) -> Single:
    found: Any = SimpleNamespace(cause=SimpleNamespace(fault=fault, places=() if place is None else (place,)))
    return found  # type: ignore[no-any-return]
