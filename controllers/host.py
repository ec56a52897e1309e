"""The robot's own side of a deployment: accepts a signed patch, runs the loop, commits, and returns to what it knows.

The robot is the authority for what runs. It loads only bytes that verify, boots only what was committed, and needs no
service to fall back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from controllers.artefact import Artefact, artefact_from_files
from controllers.canary import CanaryLimits
from controllers.latch import BY_HAND, Kill, KillLatch, check_rearm, write_identity
from controllers.pointer import CommitFolder, Pointer
from controllers.runtime import Command, Note, Runtime, Stage
from controllers.signature import PatchManifest, SignedManifest, TrustStore, verify
from controllers.slot import Slot
from core.errors import BadInput, Refused, SignatureInvalid
from core.frames import Frame, Reference
from core.robot import Robot

_RETRY_TICKS = 500  # a second at 500 Hz between tries to write a return to a disk that refused it
_REARM_TICKS = 50  # between looks for a re-arming; nobody is in a hurry then
NOBODY = frozenset({"simulated-operator", "demo"})  # approvers that stand for no person


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    """A verified patch, compiled, with the write that makes it last."""

    slot: Slot
    manifest: PatchManifest
    written: Future[None]


class Host:
    """One robot's controllers.

    Args:
        robot: the robot.
        robot_id: the name that signatures must carry.
        baseline: the built-in controller.
        safety: the law that holds the robot when no controller may command.
        trust: keys that may sign patches.
        folder: the robot's commit folder.
        wait_for_disk: commit in the tick itself (lockstep); otherwise a thread writes while the loop goes on.
        simulated: whether nobody can come to harm; only then may a patch be approved in the name of no person.
    """

    def __init__(
        self,
        robot: Robot,
        *,
        robot_id: str,
        baseline: Artefact,
        safety: Artefact,
        trust: TrustStore,
        folder: Path,
        wait_for_disk: bool,
        simulated: bool = False,
    ) -> None:
        self._robot, self._robot_id, self._trust = robot, robot_id, trust
        self._disk = CommitFolder(folder)
        write_identity(folder, robot_id)
        self._latch = KillLatch(folder)
        self._writer = ThreadPoolExecutor(max_workers=1)
        self.wait_for_disk = wait_for_disk
        self._simulated = simulated
        self._staging: _Staged | None = None  # verified, on its way to the disk
        self._reverting: Future[None] | None = None  # a return to the controller before, on its way to the disk
        self._return_failed = False
        self._kill_order: str | None = None  # may come from another thread or a signal; the next tick obeys
        self._rearming: Future[None] | None = None
        self._killed = self._kill_on_disk()
        self._last_version = self._disk.read().version
        if self._killed is not None and self._latch.has_request:
            with contextlib.suppress(SignatureInvalid, OSError):
                self._rearm(self._killed, self._latch.take_request())
                self._killed = None
        if self._killed is not None:
            try:  # what was put there by hand gets the mark that a re-arming has to name
                self._store(replace(self._disk.read(), killed=self._killed.mark), self._killed)
            except OSError:
                self._return_failed = True  # tried again by the loop
        self._baseline = Slot(robot, baseline)
        self.runtime = Runtime(robot, self._boot(baseline), Slot(robot, safety))
        self._candidate: _Staged | None = None
        self._armed_revert = False
        self._committing: Future[None] | None = None
        self._active_sha = self.runtime.a.sha256
        self.ticks = 0

    def _kill_on_disk(self) -> Kill | None:
        """The kill that holds since before this start, whichever of its two traces is left."""
        if self._latch.is_set:
            return self._latch.read() or Kill.because(BY_HAND)
        mark = self._disk.read().killed
        return None if mark is None else Kill(reason="killed before; the file is gone", mark=mark)

    def _boot(self, baseline: Artefact) -> Slot:
        """The best committed controller that this version of the law language still accepts."""
        *stored, _ = self._disk.boot_order(baseline)
        for artefact in () if self._killed is not None else stored:
            with contextlib.suppress(BadInput):
                return Slot(self._robot, artefact)
        return self._baseline

    def kill(self, reason: str) -> None:
        """Run the built-in baseline from the next tick on, and take no patch until an operator's key re-arms.

        Needs no service and no disk to take effect; may be called from any thread or signal handler.
        """
        self._kill_order = reason

    def rearm(self, signed: bytes) -> None:
        """Leave a re-arming (`sign_rearm`) for the loop; what it is worth shows in the status."""
        self._latch.request(signed)

    def stage(self, signed: bytes, files: Mapping[str, bytes], now_ns: int) -> None:
        """Verify a patch and make it ready to run; nothing changes for the loop.

        Without `wait_for_disk` its files are still being written when this returns: see `is_staging`.

        Raises:
            SignatureInvalid: it is not exactly what was approved for this robot and its active controller.
            BadInput: the files are no checked controller.
            Refused: another patch is under way, or a former return could not be written to disk.
        """
        self._refuse_if_killed()
        if self.runtime.b is not None or self._staging is not None:
            raise Refused(f"{self._robot_id} is in the middle of a swap; wait for its end or roll it back")
        if self._return_failed:
            raise Refused(f"{self._robot_id} could not write its last return to disk; free its disk")
        manifest = verify(
            SignedManifest.from_json(signed),
            files,
            self._trust,
            robot_id=self._robot_id,
            active_sha=self.runtime.a.sha256,
            last_version=self._last_version,
            now_ns=now_ns,
        )
        if manifest.approver in NOBODY and not self._simulated:
            raise SignatureInvalid(f"{manifest.approver} is nobody's name; a real robot takes patches from people only")
        artefact = artefact_from_files(manifest.law, files)  # the very bytes that were verified
        self._candidate = None
        self._staging = _Staged(
            slot=Slot(self._robot, artefact, like=self.runtime.a),
            manifest=manifest,
            written=self._writer.submit(self._keep, (self.runtime.a.artefact, artefact), manifest.version),
        )
        if self.wait_for_disk:
            self.finish_staging()

    @property
    def is_staging(self) -> bool:
        """Whether a staged patch is still being written to disk."""
        return self._staging is not None and not self._staging.written.done()

    def finish_staging(self) -> None:
        """Take over the patch that `stage` verified; waits for the disk.

        Raises:
            OSError: it could not be written; it is as if it had never come.
        """
        staged, self._staging = self._staging, None
        if staged is not None:
            staged.written.result()
            self._candidate, self._last_version = staged, staged.manifest.version

    def _keep(self, artefacts: tuple[Artefact, Artefact], version: int) -> None:
        """Put on disk what a boot after this swap may need. Runs in the writer, after every write that came before."""
        for artefact in artefacts:
            self._disk.keep(artefact)
        self._disk.write(replace(self._disk.read(), version=version))

    def _refuse_if_killed(self) -> None:
        if (reason := self._why_killed) is not None:
            raise Refused(f"{self._robot_id} is killed ({reason}); re-arm it with remend rearm first")

    @property
    def _why_killed(self) -> str | None:
        return self._kill_order if self._killed is None else self._killed.reason

    def begin_shadow(self, limits: CanaryLimits) -> None:
        """Compute the staged candidate beside the committed controller, without effect.

        Raises:
            Refused: nothing was staged.
            SignatureInvalid: these are not the limits that were approved with the patch.
        """
        self._refuse_if_killed()
        self.finish_staging()
        if self._candidate is None:
            raise Refused(f"{self._robot_id} has no staged patch; stage one first")
        try:
            approved = limits.sha256 == self._candidate.manifest.canary_sha
        except ValueError:  # a limit that is not finite is no limit
            approved = False
        if not approved:
            raise SignatureInvalid("the canary's limits are not those that were approved with the patch")
        self._armed_revert = self._candidate.manifest.needs_revert_trigger
        self.runtime.begin_shadow(self._candidate.slot, limits)
        self._candidate = None

    def step(self, frame: Frame, reference: Reference, now_ns: int) -> Command:
        """One control tick; commits a candidate that has passed its canary."""
        if self._killed is None and (self._kill_order is not None or self._latch.is_set):
            self._obey_kill(frame.seq)
        command = self.runtime.tick(frame, reference, now_ns)
        self.ticks += 1
        if self._killed is not None:
            self._look_for_rearming(self._killed)
        if self.runtime.stage is Stage.READY:
            self._advance_commit()
        elif self._committing is not None or self.runtime.a.sha256 != self._active_sha:
            self._take_back()  # the candidate fell while its commit was being written, or the revert trigger fired
        if self._reverting is not None and self._reverting.done():
            self._check_reverting()
        elif self.ticks % _RETRY_TICKS == 0 and (self._return_failed or self._latch_is_lost):
            self._take_back()
        return command

    def _obey_kill(self, seq: int) -> None:
        """Baseline in this tick; the disk follows."""
        order, self._kill_order = self._kill_order, None
        by_file = Kill.because(BY_HAND) if order is None else Kill.because(order)
        self._killed = self._latch.read() or by_file
        self.runtime.kill(self._baseline, self._killed.reason, seq)
        self._take_back()

    @property
    def _latch_is_lost(self) -> bool:
        """Whether somebody removed the kill file, which is no re-arming."""
        return self._killed is not None and self._rearming is None and not self._latch.is_set

    def _look_for_rearming(self, kill: Kill) -> None:
        if self._rearming is None:
            if self._reverting is None and self.ticks % _REARM_TICKS == 0 and self._latch.has_request:
                self._kill_order = None  # from before; one that comes from now on holds
                self._rearming = self._writer.submit(lambda: self._rearm(kill, self._latch.take_request()))
            return
        if not self._rearming.done():
            return
        failed, self._rearming = self._rearming.exception(), None
        if failed is None:
            self._killed = None
        what = "re-armed by an operator" if failed is None else f"still killed: {failed}"
        self.runtime.notes.append(Note(seq=self.ticks, what=what))

    def _rearm(self, kill: Kill, signed: bytes) -> None:
        """The pointer first: after a crash in between the kill file still holds."""
        kill = self._latch.read() or kill
        check_rearm(signed, self._robot_id, kill.mark, self._trust)
        self._disk.write(Pointer(committed=None, previous=None, version=self._last_version))
        self._latch.release(kill)

    def _advance_commit(self) -> None:
        """Disk first, then the slot: a crash in between boots the candidate that had already passed."""
        assert self.runtime.b is not None
        if self._committing is None:
            pointer = Pointer(
                committed=self.runtime.b.sha256, previous=self.runtime.a.sha256, version=self._last_version
            )
            self._committing = self._write(pointer)
        if self._committing.done():
            failed = self._committing.exception()
            self._committing = None
            if failed is None:
                self.runtime.commit(self._armed_revert)
                self._active_sha = self.runtime.a.sha256
            else:  # what cannot be committed does not stay
                self.runtime.roll_back(f"commit failed: {failed}", self.ticks)
                self._take_back()  # the write may have failed after the pointer moved

    def _take_back(self) -> None:
        """Commit to the controller that was returned to; what was staged for the one that went goes with it."""
        self._committing = self._candidate = self._staging = None
        self._active_sha = self.runtime.a.sha256
        self._reverting = self._write(
            Pointer(
                committed=self._active_sha if self._killed is None else None,
                previous=None,
                version=self._last_version,
                killed=None if self._killed is None else self._killed.mark,
            )
        )

    def _check_reverting(self) -> None:
        """A return that is not on disk would boot what was sent back: say so, and try again from time to time."""
        assert self._reverting is not None
        failed = self._reverting.exception()
        self._reverting = None
        if failed is not None and not self._return_failed:
            self.runtime.notes.append(Note(seq=self.ticks, what=f"the return is not on disk yet: {failed}"))
        self._return_failed = failed is not None

    def _store(self, pointer: Pointer, kill: Kill | None) -> None:
        if kill is not None:
            self._latch.set(kill)
        self._disk.write(pointer)

    def _write(self, pointer: Pointer) -> Future[None]:
        future = self._writer.submit(self._store, pointer, self._killed)
        if self.wait_for_disk:
            future.exception()  # waits
        return future

    def status(self, missed_deadlines: int | None) -> HostStatus:
        """What runs, and how the last swap went."""
        r = self.runtime
        return HostStatus(
            stage=r.stage,
            share=r.share,
            active_sha=r.a.sha256,
            stages_run=tuple(r.stages_run),
            rollback_reason=r.rollback_reason,
            canary_ticks=r.canary_ticks,
            max_command_step_nm=r.max_command_step_nm,
            ticks=self.ticks,
            missed_deadlines=missed_deadlines,
            notes=tuple(r.notes[-20:]),
            killed=self._why_killed,
        )

    def close(self) -> None:
        """Finish writing to disk."""
        self._writer.shutdown()
        self._latch.close()
