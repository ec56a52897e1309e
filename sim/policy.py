"""The policy of evidence: every margin, level and number of runs that decides what may be put before a person."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.ids import sha256_of
from core.stats import paired_sample_size, runs_without_failure

ARM, FAIL = "arm", "fail"  # what a broken limit elsewhere leads to


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpha:
    """Chance that a candidate which is not good enough passes all the same, and how it is spent."""

    per_incident: float
    attempts: int
    incident_renews_h: float
    per_day: float  # of one robot

    @property
    def each(self) -> float:
        """What one sealed decision spends."""
        return self.per_incident / self.attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The sealed scenarios."""

    scenarios: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the number of sealed scenarios is derived from."""

    worth_finding: float  # share of the tracking error
    chance: float
    spread: float  # assumed, of a paired relative change


@dataclass(frozen=True, slots=True, kw_only=True)
class Superiority:
    """How much better a candidate must track."""

    margin: float  # share of the tracking error

    @property
    def border(self) -> float:
        """The same as the logarithm of a ratio; negative."""
        return math.log(1.0 - self.margin)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """How much worse a candidate may be in what it is not for, as shares of the incumbent's mean."""

    effort: float
    torque_variation: float
    max_tracking_error: float
    free_variation_per_s: float  # half ranges of all commands a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often a candidate may break a limit."""

    bound: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstDecile:
    """What a candidate may do in its worst runs."""

    share: float  # of the runs
    margin: float  # growth of the tracking error


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The healthy plant, the fault at other strengths, and past incidents."""

    scenarios: int  # for each severity
    severities: tuple[float, ...]  # besides 0
    worse: float  # ratio of tracking errors
    broken_limit: str  # ARM or FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayMargin:
    """Commands that come later."""

    scenarios: int  # for each delay
    added_ms: tuple[float, ...]
    growth: float  # of the tracking error


@dataclass(frozen=True, slots=True, kw_only=True)
class GainMargin:
    """Drives that are weaker or stronger."""

    scenarios: int  # for each factor
    factors: tuple[float, ...]
    growth: float  # of the torque variation


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What a law may cost."""

    load: float  # share of the control period
    ns_per_operation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinQuality:
    """What a twin must be good for."""

    fidelity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """How far an incident may lie outside of what sealed runs visited."""

    slack: float  # of the visited range
    share: float  # of the incident's rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Hopeless:
    """When a candidate is dropped early."""

    worth: float
    clip: float
    drop_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Racing:
    """Search scenarios."""

    stages: tuple[int, ...]
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that gates and search go by; `sim.policy_toml` reads it, and refuses what contradicts itself."""

    version: int
    alpha: Alpha
    sealed: Sealed
    power: Power
    superiority: Superiority
    non_inferiority: NonInferiority
    limits: Limits
    worst_decile: WorstDecile
    elsewhere: Elsewhere
    delay_margin: DelayMargin
    gain_margin: GainMargin
    law: Law
    twin: TwinQuality
    novelty: Novelty
    hopeless: Hopeless
    racing: Racing

    @property
    def sha256(self) -> str:
        return sha256_of(self)

    def needed_scenarios(self) -> dict[str, int]:
        """What asks for how many sealed scenarios; the largest number counts.

        A paired test needs so many pairs that it finds what is worth finding, or clears a candidate that is no worse at
        all, with the chance that `power` asks for. A bound on broken limits needs so many runs without one.
        """
        power, margins = self.power, self.non_inferiority
        shifts = {
            "superiority.margin": self.superiority.border - math.log(1.0 - power.worth_finding),
            "non_inferiority.effort": margins.effort,
            "non_inferiority.torque_variation": margins.torque_variation,
            "non_inferiority.max_tracking_error": margins.max_tracking_error,
        }
        needed = {
            key: paired_sample_size(shift, power.spread, self.alpha.each, power.chance) for key, shift in shifts.items()
        }
        return {**needed, "limits.bound": runs_without_failure(self.limits.bound, self.limits.confidence)}
