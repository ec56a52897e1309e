"""One healing as plain data: all that report, picture and console are told.

Every part that has not happened yet, or was not measured, is None or empty; a healthy run is a story without an
incident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.block import Array, Block
from core.records import Approval, Candidate, Diagnosis, Incident, Outcome, ValidationReport
from patcher.bandit import Asked
from patcher.propose.base import Ranked
from sim.filmstrip import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """One metric on the plant's true state, over fresh tasks. Known only in simulation; lower is better."""

    metric: str
    unit: str
    nominal: float  # healthy robot, incumbent
    faulted: float  # robot with the fault, incumbent
    patched: float | None  # robot with the fault, candidate; None without a deployed patch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """Tracking error of every joint over one stretch of time."""

    t_s: Array  # (N,) robot clock [s]
    error: Array  # (N, n) reference - measured position [rad]

    def rms(self) -> Array:
        """(n,) root mean square of each joint's error [rad]."""
        return np.asarray(np.sqrt(np.mean(np.square(self.error), axis=0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CanaryTrack:
    """What the canary was judged by, tick by tick."""

    observable: str  # in words, such as "tracking error of joint 2"
    unit: str
    t_s: Array  # (N,) robot clock [s]
    value: Array  # (N,) [unit]
    limit: Array  # (N,) largest value the canary may show at that moment [unit]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plots:
    """Arrays for the figures, on one time base. Moments are on the robot clock; None: it did not happen."""

    joints: tuple[str, ...]  # n names, in the robot's order
    units: tuple[str, ...]  # n, "rad" or "m"
    t_s: Array  # (N,) robot clock [s]
    test_ratio: Array  # (N,) detector, 1 = alarm; NaN where there was none
    error: Array  # (N, n) reference - measured position [rad]
    worst: int  # index of the joint with the largest error between onset and swap
    reference: Array  # (N,) of the worst joint
    position: Array  # (N,) measured, of the worst joint
    before: Errors | None = None  # incident window under the incumbent
    after: Errors | None = None  # recovered window under the candidate
    fault_s: float | None = None  # when the fault was injected (simulation only)
    onset_s: float | None = None  # estimated start of the change
    alarm_s: float | None = None
    swap_s: float | None = None  # first authority of the candidate
    commit_s: float | None = None  # full authority kept; or None
    rollback_s: float | None = None
    canary: CanaryTrack | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A candidate with what the race says of it."""

    patch_id: str
    result_sha: str
    proposer: str
    kind: str
    rationale: str
    score: float  # mean over search scenarios, lower is better, 1 = incumbent
    bound: float  # what the typical score is below; candidates are ranked by it
    recovery: float  # share of the lost tracking that came back in the twin
    changes: int  # numbers that change
    dropped: bool


def contender(ranked: Ranked) -> Contender:
    """A ranked candidate as plain data."""
    candidate = ranked.proposal.candidate
    return Contender(
        patch_id=candidate.id,
        result_sha=candidate.result_sha,
        proposer=candidate.proposer,
        kind=candidate.kind,
        rationale=candidate.rationale,
        score=ranked.score,
        bound=ranked.bound,
        recovery=ranked.recovery,
        changes=len(candidate.changes),
        dropped=ranked.dropped,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One scenario as both controllers go through it, at the same moments."""

    title: str
    scenario: str
    before: tuple[Picture, ...]
    after: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Story:
    """One healing from alarm to outcome."""

    robot_id: str
    robot_title: str
    units: tuple[str, ...] = ()  # per joint, "rad" or "m"
    command_unit: str = "N*m"
    fault: str | None  # injected fault in the catalogue's notation; None on a real robot
    seed: int
    created_ns: int  # UTC
    incident: Incident | None = None
    diagnosis: Diagnosis | None = None
    candidates: tuple[Candidate, ...] = ()  # best first
    contenders: tuple[Contender, ...] = ()  # the same, with the race
    asked: tuple[Asked, ...] = ()  # proposers, in turn
    report: ValidationReport | None = None
    approval: Approval | None = None
    outcome: Outcome | None = None
    diff: str = ""  # unified diff of the artefact, incumbent to candidate
    truth: tuple[TruthRow, ...] = ()
    recovery_ratio: float | None = None  # None: too little was lost for a ratio
    plots: Plots | None = None
    strips: tuple[Strip, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()  # (component, version) that made this story

    @property
    def faulty(self) -> bool:
        """Whether a fault was injected; on a real robot nobody knows."""
        return self.fault not in (None, "", "none")

    @property
    def patch(self) -> Candidate | None:
        """The candidate that was judged: the report's, else the best ranked."""
        if self.report is not None:
            return next((c for c in self.candidates if c.id == self.report.patch_id), None)
        return self.candidates[0] if self.candidates else None


def plots_of(
    block: Block,
    test_ratio: Sequence[float] | Array,
    joints: Sequence[str],
    units: Sequence[str],
    *,
    fault_s: float | None = None,
    onset_s: float | None = None,
    alarm_s: float | None = None,
    swap_s: float | None = None,
    commit_s: float | None = None,
    rollback_s: float | None = None,
    canary: CanaryTrack | None = None,
) -> Plots:
    """The figures' arrays from a run's telemetry.

    The window before reaches from onset to swap, the window after from commit to the end; the worst joint is the one
    with the largest RMS error in the window before.

    Args:
        block: N rows of telemetry of an n-joint robot.
        test_ratio: (N,) one per row.
        joints: n names.
        units: n, "rad" or "m".
    """
    t, error = block.t_s, block.group("q_ref") - block.group("q")
    began = onset_s if onset_s is not None else fault_s
    before = None if began is None else _between(t, error, began, t[-1] + 1.0 if swap_s is None else swap_s)
    after = None if commit_s is None else _between(t, error, commit_s, t[-1] + 1.0)
    worst = int(np.argmax((before or Errors(t_s=t, error=error)).rms()))
    return Plots(
        joints=tuple(joints),
        units=tuple(units),
        t_s=t,
        test_ratio=np.asarray(test_ratio, dtype=float),
        error=error,
        worst=worst,
        reference=block.group("q_ref")[:, worst],
        position=block.group("q")[:, worst],
        before=before,
        after=after,
        fault_s=fault_s,
        onset_s=onset_s,
        alarm_s=alarm_s,
        swap_s=swap_s,
        commit_s=commit_s,
        rollback_s=rollback_s,
        canary=canary,
    )


def _between(t: Array, error: Array, start_s: float, end_s: float) -> Errors | None:
    inside = (t >= start_s) & (t < end_s)
    return Errors(t_s=t[inside], error=error[inside]) if inside.any() else None
