"""The result of one healing: what happened, and the same as the JSON that scripts read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.ids import plain
from core.metrics import recovery_ratio
from core.records import Approval, Candidate, Cause, Diagnosis, Event, Incident, ValidationReport
from core.status import Verdict
from patcher.bandit import Asked
from patcher.propose.base import Ranked
from remend.deploy import Swap
from remend.story import Strip, contender
from sim.truth import Truth
from telemetry.incidents import Occurrence


@dataclass(slots=True, kw_only=True)
class Healing:
    """One run from healthy telemetry to outcome; filled in stage by stage. What did not happen stays None."""

    robot: str
    fault: str
    seed: int
    command_unit: str = "N*m"
    fault_s: float | None = None  # when the fault set in [s, robot clock]; known in simulation only
    event: Event | None = None
    false_alarms: int = 0
    incident: Incident | None = None  # with the event and telemetry of this occurrence
    occurrence: Occurrence | None = None
    diagnosis: Diagnosis | None = None
    candidates: tuple[Candidate, ...] = ()
    ranked: tuple[Ranked, ...] = ()  # the same with what the race says of them
    asked: list[Asked] = field(default_factory=list)  # proposers, in turn
    llm_calls: int = 0
    tokens_in: int = 0  # of prompts
    tokens_out: int = 0  # of answers
    patch: Candidate | None = None
    report: ValidationReport | None = None
    strips: tuple[Strip, ...] = ()
    approval: Approval | None = None
    swap: Swap | None = None
    truth: dict[str, Truth] = field(default_factory=dict)
    search_rollouts: int = 0
    evidence_rollouts: int = 0
    sim_s: float = 0.0
    wall_s: float = 0.0
    audit_ok: bool = False

    def charge(self, tokens_in: int, tokens_out: int) -> None:
        """A model was asked."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    @property
    def detected(self) -> bool:
        return self.event is not None

    @property
    def deployed(self) -> bool:
        """Whether a patch had any authority over the robot."""
        return self.swap is not None and self.swap.swap_s is not None

    @property
    def rolled_back(self) -> bool:
        return self.swap is not None and self.swap.outcome.rolled_back

    @property
    def recovery(self) -> float | None:
        """Share of the lost tracking that came back on the true robot; None where too little was lost to tell."""
        truth = self.truth.get("rms_tracking_error")
        if truth is None or truth.patched is None:
            return None
        return recovery_ratio(truth.nominal, truth.faulted, truth.patched)

    @property
    def as_asked(self) -> bool:
        """A fault was healed, or there was none and nothing was done."""
        if self.fault_s is None:
            return not self.detected and not self.false_alarms
        return self.deployed and not self.rolled_back

    def to_json(self) -> dict[str, Any]:
        """The object of `heal --json`."""
        patch, report, swap = self.patch, self.report, self.swap
        delay = None
        if self.event is not None and self.fault_s is not None:
            delay = self.event.alarm_s - self.fault_s
        answer = {
            "robot": self.robot,
            "fault": self.fault,
            "seed": self.seed,
            "detected": self.detected,
            "detection_delay_s": delay,
            "false_alarms": self.false_alarms,
            "diagnosis": [] if self.diagnosis is None else [_cause(cause) for cause in self.diagnosis.causes],
            "fidelity": None if self.diagnosis is None else self.diagnosis.fidelity,
            "patch": None if patch is None else _patch(patch),
            "rollouts": {"search": self.search_rollouts, "evidence": self.evidence_rollouts},
            "llm_calls": self.llm_calls,
            "candidates": [_found(each) for each in self.ranked],
            "asked": [{**plain(turn), "brought": len(turn.brought)} for turn in self.asked],
            "sim_s": self.sim_s,
            "wall_s": self.wall_s,
            "metrics": {name: plain(truth) for name, truth in self.truth.items()},
            "recovery_ratio": self.recovery,
            "gates": [] if report is None else plain(report.gates),
            "verdict": None if report is None else report.verdict.value,
            "swap": None if swap is None else _swap(swap, self.command_unit),
            "deployed": self.deployed,
            "rolled_back": self.rolled_back,
            "audit_ok": self.audit_ok,
        }
        return plain(answer)  # type: ignore[no-any-return]

    @property
    def passed(self) -> bool:
        return self.report is not None and self.report.verdict is Verdict.PASS


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "cause": cause.cause,
        "probability": cause.probability,
        "estimate": cause.estimate,
        "interval": {name: list(ends) for name, ends in cause.interval.items()},
    }


def _found(ranked: Ranked) -> dict[str, Any]:
    """A candidate by its content: its id is another one each time."""
    found: dict[str, Any] = plain(contender(ranked))
    del found["patch_id"]
    return found


def _patch(patch: Candidate) -> dict[str, Any]:
    return {
        "id": patch.id,
        "kind": patch.kind,
        "proposer": patch.proposer,
        "base_sha": patch.base_sha,
        "result_sha": patch.result_sha,
        "params_changed": {c.name: {"old": c.old, "new": c.new, "unit": c.unit} for c in patch.changes},
    }


def _swap(swap: Swap, command_unit: str) -> dict[str, Any]:
    outcome = swap.outcome
    return {
        "missed_deadlines": outcome.missed_deadlines,
        "max_command_step": outcome.max_command_step,
        "unit": command_unit,
        "stages": list(outcome.stages),
        "duration_s": outcome.duration_s,
        "reason": outcome.reason,
    }
