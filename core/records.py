"""The facts that move through Remend, left to right.

    Frame -> Event -> Incident -> Diagnosis -> Candidate -> ValidationReport -> Approval -> Deployment -> Outcome

Records never change; a new state is a new record. Each names its parents by id, and by sha256 where a person decides.
Fields without a unit are dimensionless.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.ids import sha256_of
from core.status import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One alarm of the detector: opened at test ratio 1, one per fault."""

    detector: str  # name@version
    channel: str  # channel that alarmed first, such as "joint_2.torque_residual"
    kind: str  # kind of change: "bias", "noise", ...
    onset_s: float  # estimated start of the change [s, robot clock]
    alarm_s: float  # when the test ratio reached 1 [s, robot clock]
    test_ratio: float  # largest statistic / threshold seen at the alarm
    ranking: tuple[tuple[str, float], ...] = ()  # (channel, test ratio), strongest first
    kinds: tuple[tuple[str, float], ...] = ()  # (kind, belief), likeliest first
    frequency_hz: float | None = None  # of an oscillation


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Events that belong together, with the stretch of telemetry that shows them."""

    id: str  # inc_...
    robot_id: str
    controller_sha: str  # the incumbent's artefact
    event: Event
    window_s: tuple[float, float]  # start and end of the kept telemetry [s, robot clock]
    telemetry_sha: str  # sha256 of the kept rows
    created_ns: int  # UTC

    @property
    def sha256(self) -> str:
        return sha256_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One hypothesis of what happened, with what the twin measured under it."""

    cause: str  # name in the fault catalogue, or "none"
    probability: float
    estimate: dict[str, float]  # fault parameter -> estimate in the catalogue's unit
    interval: dict[str, tuple[float, float]]  # fault parameter -> 90 % interval
    remark: str = ""  # what is not observable, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why the incident happened, most probable cause first."""

    incident_id: str
    causes: tuple[Cause, ...]
    fidelity: float  # 1 = the fitted twin reproduces the incident exactly, 0 = not at all
    summary: str  # one or two plain sentences
    author: str  # rules@version
    is_controller_fault: bool = True  # False: hardware that no controller should hide
    advice: str = ""  # what to do instead of a patch, or besides one
    unobservable: tuple[str, ...] = ()  # sentences on faults that this telemetry could not show

    @property
    def sha256(self) -> str:
        return sha256_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamChange:
    """One declared parameter before and after. Vectors change entry by entry: `name` is then "mass" or "kp[2]"."""

    name: str
    unit: str
    old: float
    new: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A proposed controller version; nothing has been proven about it yet."""

    id: str  # pat_...
    incident_id: str
    kind: str  # "params", "code" or "weights": which file of the artefact changed
    proposer: str
    base_sha: str  # artefact of the incumbent
    result_sha: str  # artefact after the patch
    changes: tuple[ParamChange, ...]
    rationale: str
    search_rollouts: int  # rollouts spent on finding it

    @property
    def sha256(self) -> str:
        return sha256_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDelta:
    """Incumbent against candidate on the same scenarios."""

    metric: str
    unit: str
    before: float
    after: float
    delta: float  # mean paired difference, after - before
    ci_low: float  # of `delta`
    ci_high: float
    level: float
    n_pairs: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One question the evidence had to answer."""

    name: str
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What was fixed before the sealed scenarios could be known. They are drawn from the signature."""

    patch_id: str
    incident_id: str
    robot_id: str
    telemetry_sha: str  # of the incident
    base_sha: str
    result_sha: str
    policy_sha: str
    attempt: int  # at this incident, from 1
    alpha: float  # what the decision spends
    at_ns: int  # UTC
    public_key: str  # hex of the raw ed25519 key
    signature: str  # hex, over the hashes and the attempt

    @property
    def sha256(self) -> str:
        return sha256_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """Metrics of incumbent and candidate on one scenario; what is no number is left out."""

    scenario: str  # the scenario in words
    scenario_sha: str
    before: dict[str, float]
    after: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """Everything an operator signs on the strength of."""

    id: str  # rep_...
    patch_id: str
    base_sha: str
    result_sha: str
    deltas: tuple[MetricDelta, ...]
    scenarios: tuple[ScenarioResult, ...]
    worst: str  # scenario in which the candidate does worst against the incumbent, in words
    gates: tuple[Gate, ...]
    fidelity: float
    verdict: Verdict
    needs_revert_trigger: bool  # the patch is unsafe on the healthy plant and may only run with an armed revert
    canary_limit: dict[str, float]  # observable -> largest value the canary may show
    rollouts: int
    seed: int  # of the sealed scenarios
    unknowns: tuple[str, ...] = ()
    policy_sha: str = ""
    seal: Seal | None = None
    regressions: tuple[ScenarioResult, ...] = ()  # past incidents

    @property
    def sha256(self) -> str:
        return sha256_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's decision, bound to hashes: any mismatch voids it."""

    id: str  # app_...
    patch_id: str
    decision: str  # "approve" or "reject"; "first_approve": another person has to approve the same
    actor: str
    reason: str
    base_sha: str
    result_sha: str
    report_sha: str
    at_ns: int
    expires_ns: int
    first_actor: str = ""  # who approved the same before, where that takes two people

    @property
    def approver(self) -> str:
        """Everybody who approved, as the robot's manifest names them."""
        return f"{self.first_actor} and {self.actor}" if self.first_actor else self.actor

    @property
    def sha256(self) -> str:
        return sha256_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened on the robot after the swap."""

    patch_id: str
    deployed: bool
    rolled_back: bool
    reason: str
    stages: tuple[str, ...]  # stages that ran, in order
    duration_s: float  # from first authority to commit or rollback [s, robot clock]
    max_command_step: float  # largest change of a command between two ticks during the swap [N*m]
    missed_deadlines: int | None  # None in lockstep
    observed: dict[str, float] = field(default_factory=dict)
