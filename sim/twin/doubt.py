"""The noise that an explanation leaves, and which explanation decides by what noise all are judged.

Noise is what the calibrated robot left unexplained on healthy telemetry, raised to what an explanation leaves now, so
that what no cause explains does not pass for certainty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.rigid_body import Array
from sim.effect import combine
from sim.twin.drive import DriveResponse
from sim.twin.hypothesis import Found, theta_of
from sim.twin.linear import Library, Noise, Weighted
from sim.twin.single import Single
from sim.twin.stack import Stack
from telemetry.calibration import correlation_time

# Share of what a cause changes that its model gets wrong: filters, timing and the physics step for all; the speed over
# which friction changes sign or breakaway friction fades, what a motor does while it crosses a gap, and the moment at
# which a command was in force.
_INEXACT = 0.002
_VERY_INEXACT = {"stiction": 0.1, "backlash": 0.03, "coulomb": 0.01} | dict.fromkeys(DriveResponse.sees, 0.05)


def noise_under(found: Found, stack: Stack, noise: Noise) -> Noise:
    """The healthy noise, raised to what the best explanation leaves, and to how exact an explanation can be."""
    members = found.hypothesis.members
    fixed = np.zeros(len(stack.residual))
    open_ = np.zeros(len(stack.residual))
    freed = np.zeros(len(stack.noise), dtype=bool)
    at, behind = 0, 0
    for expansion in found.hypothesis.expansions:
        width, loose = len(expansion.origin), expansion.loose.shape[1]
        fixed = fixed + expansion.fixed + expansion.slope @ found.solution.x[at : at + width]
        open_ = open_ + expansion.loose @ found.solution.u[behind : behind + loose]
        freed |= expansion.freed
        at, behind = at + width, behind + loose
    left = Weighted(stack, noise, freed).unexplained(fixed + open_)
    wrong = max(inexact(single) for single in members) * stack.level(fixed)
    doubt = _doubt(found, stack)
    sure = (
        left * stack.noise[stack.group] / np.hypot(stack.noise[stack.group], doubt)
    )  # doubt is no reason to doubt more
    level = np.hypot(np.maximum(stack.noise, stack.level(sure)), wrong)
    inflation = np.maximum(stack.inflation, stack.by_group(correlation_time, sure))
    return Noise(
        level=np.where(freed, stack.noise, level),
        inflation=np.where(freed, stack.inflation, inflation),
        doubt=doubt,
    )


def _doubt(found: Found, stack: Stack) -> Array:
    """(R,) standard deviation, of single rows, of what a hypothesis cannot predict."""
    members = zip(found.hypothesis.members, theta_of(found), strict=True)
    known = [(single.cause, theta) for single, theta in members if len(theta) == len(single.cause.prior_std)]
    return stack.doubt(combine((1.0, cause.effect(theta)) for cause, theta in known))


def inexact(single: Single) -> float:
    """Share of what a cause changes that its model gets wrong."""
    return max((_VERY_INEXACT.get(name, _INEXACT) for name in single.fields), default=0.0)


def doubter(ranked: Sequence[Found], stack: Stack, noise: Noise) -> Found | None:
    """A hypothesis that is better than the first one once each is judged by its own noise.

    What an effect cannot predict is no evidence against it: the single causes that doubt some instants. And noise that
    is left by a hypothesis that explains nothing in some signals, but frees them, is no measure for one that explains
    them all: the best of these.
    """
    alone = [found for found in ranked if len(found.hypothesis.members) == 1]
    others = [found for found in alone if np.any(stack.level(_doubt(found, stack)) > stack.noise)]
    if _frees(ranked[0]):
        others += [found for found in ranked if not _frees(found)][:1]
    if not others:
        return None
    best = max((ranked[0], *others), key=lambda found: own_evidence(found, stack, noise))
    return best if best is not ranked[0] else None


def _frees(found: Found) -> bool:
    return any(bool(np.any(expansion.freed)) for expansion in found.hypothesis.expansions)


def own_evidence(found: Found, stack: Stack, noise: Noise) -> float:
    """Log evidence of a hypothesis under the noise that it leaves itself, up to a constant of the stack."""
    expansions = found.hypothesis.expansions
    library = Library(stack, expansions, noise_under(found, stack, noise))
    return library.healthy + found.hypothesis.outside + library.solve([expansions])[0].gain
