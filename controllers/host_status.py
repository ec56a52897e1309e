"""What the robot says about its controllers: to a service, and to the helper that verifies patches for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controllers.runtime import Note, Stage
from controllers.timing import LoopTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopState:
    """What a helper has to know of the loop to verify a patch for it."""

    active_sha: str
    last_version: int
    busy: str | None  # why it takes no patch now


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """What the robot says about its controllers."""

    stage: Stage
    share: float
    active_sha: str
    stages_run: tuple[str, ...]
    rollback_reason: str | None
    canary_ticks: int
    max_command_step_nm: float
    ticks: int
    missed_deadlines: int | None  # since the last patch came; None in lockstep
    notes: tuple[Note, ...]
    killed: str | None = None  # why the kill switch holds, None while it does not
    held: str | None = None  # why the robot is held, None while it is not
    inconclusive: bool = False  # the rollback says nothing about the patch: the machine or a measurement was late
    commands: Mapping[str, int] = field(default_factory=dict)  # ticks by who commanded: a, b, mix, safety; and clipped
    breaches: Mapping[str, int] = field(default_factory=dict)  # commands that the envelope rejected, by reason
    law_late: int = 0  # calls of laws that took too long and were replaced
    timing: LoopTiming | None = None  # None in lockstep
    audit_head: str = ""  # of the service's audit log, signed, as JSON; empty while none is kept
