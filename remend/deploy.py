"""Bring an approved patch onto a robot: sign it, hand it over, watch shadow and canary, and report what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from controllers.artefact import Artefact
from controllers.canary import CanaryLimits
from controllers.host_status import HostStatus
from controllers.runtime import Stage
from controllers.signature import PatchManifest, artefact_sha, countersign, sign
from core.block import Block
from core.clock import Clock
from core.errors import Refused
from core.ids import sha256_of
from core.records import Approval, Outcome
from core.robot import Robot
from core.status import PatchStatus
from remend.keys import KeyRing
from remend.links.link import RobotLink
from remend.store import Store

_PATIENCE_S = 120.0  # a canary whose clock does not run (the robot stands still) is taken back after this
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A deployment with its moments on the robot's clock."""

    outcome: Outcome
    swap_s: float | None  # first authority
    commit_s: float | None
    rollback_s: float | None


class Deployment:
    """One approved patch on its way to one robot.

    Args:
        observe: called with every block of telemetry that arrives meanwhile.
        keep: called when the robot has committed, before the database says so.
        take_back: called when the robot has reverted a committed patch.
    """

    def __init__(
        self,
        link: RobotLink,
        store: Store,
        keys: KeyRing,
        clock: Clock,
        robot: Robot,
        *,
        observe: Callable[[Block], object],
        keep: Callable[[], None],
        take_back: Callable[[], None],
    ) -> None:
        self._link, self._store, self._keys, self._clock = link, store, keys, clock
        self._robot, self._observe, self._keep, self._take_back = robot, observe, keep, take_back

    def run(self, approval: Approval, artefact: Artefact, limits: CanaryLimits, *, armed_revert: bool) -> Swap:
        """Stage, shadow, canary, commit or roll back.

        Raises:
            SignatureInvalid: the robot does not accept the patch.
            RobotFault: the link was lost; the robot keeps its committed controller.
        """
        patch_id = approval.patch_id
        self._link.stage(self._signed(approval, artefact, limits, armed_revert), artefact.files, self._clock.wall_ns())
        self._move(patch_id, PatchStatus.APPROVED, PatchStatus.STAGED, "signature accepted by the robot")
        try:
            self._link.begin_shadow(limits)
        except Refused as error:  # killed, held or frozen in this moment: nothing of it has run
            status = replace(self._link.status(), rollback_reason=str(error))
            self._rolled_back(patch_id, PatchStatus.STAGED, status)
            return self._swap(patch_id, status, swap_s=None, rollback_s=0.0)
        self._move(patch_id, PatchStatus.STAGED, PatchStatus.SHADOW, "computed beside the incumbent")
        shadowed_s = self._read(self._robot.canary.shadow_s)
        status = self._link.status()
        if status.rollback_reason is not None:  # it did not even deserve a share
            self._rolled_back(patch_id, PatchStatus.SHADOW, status)
            return self._swap(patch_id, status, swap_s=None, rollback_s=shadowed_s)
        self._link.begin_canary()
        swap_s = self._read(_POLL_S) - _POLL_S
        self._move(patch_id, PatchStatus.SHADOW, PatchStatus.CANARY, "authority grows in stages")
        status, end_s = self._watch_canary()
        if status.rollback_reason is None and status.active_sha != artefact.sha256:  # what is reported is what runs
            status = replace(status, rollback_reason=f"the robot runs {status.active_sha[:12]} instead of the patch")
        if status.rollback_reason is not None:
            self._rolled_back(patch_id, PatchStatus.CANARY, status)
            return self._swap(patch_id, status, swap_s=swap_s, rollback_s=end_s)
        self._keep()
        self._move(patch_id, PatchStatus.CANARY, PatchStatus.ACTIVE, "committed by the robot")
        return self._swap(patch_id, status, swap_s=swap_s, commit_s=end_s)

    def watch(self, swap: Swap, seconds: float) -> Swap:
        """Keep watching a committed patch; an armed revert trigger may still take it back."""
        end_s = self._read(seconds)
        status = self._link.status()
        if status.rollback_reason is None:
            return swap
        self._take_back()
        self._rolled_back(swap.outcome.patch_id, PatchStatus.ACTIVE, status)
        return self._swap(swap.outcome.patch_id, status, swap_s=swap.swap_s, rollback_s=end_s)

    def _signed(self, approval: Approval, artefact: Artefact, limits: CanaryLimits, armed_revert: bool) -> bytes:
        manifest = PatchManifest(
            robot_id=self._link.robot_id,
            slot="main",
            law=artefact.name,
            version=self._clock.wall_ns(),  # grows with every patch of this service
            base_sha=approval.base_sha,
            result_sha=artefact_sha(artefact.files),
            files={name: sha256_of(data) for name, data in artefact.files.items()},
            report_sha=approval.report_sha,
            approver=approval.approver,
            not_before_ns=approval.at_ns,
            expires_ns=approval.expires_ns,
            revert_to=approval.base_sha,
            needs_revert_trigger=armed_revert,
            canary_sha=limits.sha256,
        )
        signed = sign(manifest, self._keys.operator_id, self._keys.operator)
        return countersign(signed, self._keys.service_id, self._keys.service).to_json()

    def _watch_canary(self) -> tuple[HostStatus, float]:
        start_s = end_s = self._read(_POLL_S)
        while True:
            status = self._link.status()
            if status.stage is Stage.COMMITTED:
                return status, end_s
            if end_s - start_s > _PATIENCE_S:
                self._link.roll_back(f"the canary did not finish within {_PATIENCE_S:.0f} s")
                return self._link.status(), end_s
            end_s = self._read(_POLL_S)

    def _read(self, seconds: float) -> float:
        """Pass telemetry on for `seconds` and return the robot clock at its end [s]."""
        end_s = 0.0
        for block in self._link.read(seconds):
            self._observe(block)
            end_s = float(block.t_s[-1])
        return end_s

    def _move(self, patch_id: str, before: PatchStatus, after: PatchStatus, why: str) -> None:
        self._store.move(patch_id, before, after, "robot" if after is not PatchStatus.STAGED else "service", why)

    def _rolled_back(self, patch_id: str, before: PatchStatus, status: HostStatus) -> None:
        why = str(status.rollback_reason)
        if status.killed is not None:
            self._move(patch_id, before, PatchStatus.KILLED, why)
            return
        self._move(patch_id, before, PatchStatus.ROLLING_BACK, why)
        self._move(patch_id, PatchStatus.ROLLING_BACK, PatchStatus.ROLLED_BACK, why)

    def _swap(
        self,
        patch_id: str,
        status: HostStatus,
        *,
        swap_s: float | None,
        commit_s: float | None = None,
        rollback_s: float | None = None,
    ) -> Swap:
        rolled_back = rollback_s is not None
        outcome = Outcome(
            patch_id=patch_id,
            deployed=swap_s is not None,
            rolled_back=rolled_back,
            reason=status.rollback_reason or "the canary kept to what simulation predicted",
            stages=status.stages_run,
            duration_s=status.canary_ticks * self._robot.dt_s,
            max_command_step=status.max_command_step_nm,
            missed_deadlines=status.missed_deadlines,
        )
        return Swap(outcome=outcome, swap_s=swap_s, commit_s=commit_s, rollback_s=rollback_s)
