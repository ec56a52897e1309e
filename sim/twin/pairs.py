"""Two causes at once: which pairs are worth a look, and how two faults of the same part share its telemetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.rigid_body import Array
from sim.twin.linear import Expansion
from sim.twin.scan import Scan
from sim.twin.single import Preparation, Single

_LEADERS = 5  # best causes of all, and of each sort, that are tried together with every other
_SEEN = 10.0  # log evidence from which a cause that is scanned certainly shows
_SHOWS = 3.0  # log likelihood that a second cause has to add beside the first
_WORSE = -15.0  # log evidence that a second cause may cost before it is not worth a look
_LOADS = frozenset({"payload", "com"})  # one is the other with its centre of mass elsewhere
_TAKEN = frozenset(  # by a brake, which leaves nothing of them to be seen in its joint
    {"friction", "coulomb", "stiction", "spring", "ripple", "actuator_loss", "backlash", "deadband"}
)
_DRAGS = frozenset({"stuck", "ground_friction"})  # a leg or wheel that is stuck slides on any ground
_STILL = frozenset({"stuck", "freeze"})  # a loop that reads a frozen sensor drives its joint to a stop: it stands still


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Two scanned causes in a likelihood that does not take them apart."""

    scans: tuple[Scan, Scan]
    expansion: Expansion  # of both in the rows
    gain: float  # log evidence of both


def compatible(a: Single, b: Single) -> bool:
    """Whether two causes can be told apart at all."""
    both, apart = {a.cause.fault, b.cause.fault}, not set(a.cause.places) & set(b.cause.places)
    if "none" in both or both <= _LOADS or both == _DRAGS:
        return False
    if both == _STILL or ("stuck" in both and (both & _TAKEN)):
        return apart
    return len(both) == 2 or (bool(a.cause.places) and apart)


def shared_scans(singles: Sequence[Single], preparation: Preparation) -> dict[tuple[int, int], Together]:
    """Posterior of two scanned causes together, for the best one of each likelihood with every other."""
    found: dict[tuple[int, int], Together] = {}
    scanned = [i for i, single in enumerate(singles) if single.scan is not None and preparation.is_shared(single)]
    if not scanned:
        return found
    first = max(scanned, key=lambda i: singles[i].gain)
    a = singles[first]
    if a.gain < _SEEN:
        return found
    assert a.scan is not None
    given = a.cause.effect(np.array([a.scan.theta]))
    for i in scanned:
        b = singles[i]
        if i == first or not compatible(a, b):
            continue
        second = preparation.scan(b, given)
        if second.peak < _SHOWS:
            continue
        gain = a.gain + second.gain
        refined = a.scan
        if second.gain > 0:  # the first one looks different once the second is known
            refined = preparation.scan(a, b.cause.effect(np.array([second.theta])))
            alone = preparation.scan_gain(b, second.theta)
            gain = max(gain, refined.gain + alone + second.gain - second.peak)
        if gain < a.gain + _WORSE:
            continue
        pair, scans = ((first, i), (refined, second)) if first < i else ((i, first), (second, refined))
        expansion = preparation.expand_both(singles[pair[0]], singles[pair[1]], scans)
        found[pair] = Together(scans=scans, expansion=expansion, gain=gain)
    return found


def likely_pairs(
    singles: Sequence[Single], evidence: Array, shared: dict[tuple[int, int], Together], preparation: Preparation
) -> list[tuple[int, int]]:
    """Index pairs of the leading causes with all others."""
    order = [int(i) for i in np.argsort(-evidence)]
    sorts = (
        order,
        [i for i in order if singles[i].expansion.slope.shape[1] and singles[i].scan is None],
        sorted((i for i in order if singles[i].scan is not None), key=lambda i: -singles[i].gain),
    )
    leaders = {i for each in sorts for i in each[:_LEADERS]}
    found = set()
    hopeful = [
        j for j, s in enumerate(singles) if s.gain > 0 or s.expansion.slope.shape[1] or np.any(s.expansion.fixed)
    ]
    for i in leaders:
        for j in hopeful:
            pair = (i, j) if i < j else (j, i)
            if i == j or pair in found or not compatible(singles[i], singles[j]):
                continue
            a, b = singles[i], singles[j]
            both = preparation.is_shared(a) and preparation.is_shared(b)
            if both and pair not in shared:
                continue
            if preparation.clash(a, b):
                continue
            found.add(pair)
    return sorted(found)
