"""The robot's own side of a deployment: accepts a signed patch, runs the loop, commits, and returns to what it knows.

The robot is the authority for what runs. It loads only bytes that verify, boots only what was committed, and needs no
service to fall back.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from controllers.artefact import Artefact
from controllers.canary import CanaryLimits
from controllers.desk import Clerk, Desk, ThreadClerk
from controllers.hold import Hold
from controllers.host_status import HostStatus, LoopState
from controllers.latch import BY_HAND, Kill
from controllers.pointer import Pointer
from controllers.requests import BeginCanary, BeginShadow, KeepHead, Order, Resume, RollBack
from controllers.requests import Hold as HoldOrder
from controllers.requests import Kill as KillOrder
from controllers.runtime import Command, Note, Runtime, Stage
from controllers.signature import PatchManifest, TrustStore
from controllers.slot import Slot
from controllers.timing import LoopTiming
from controllers.witness import Witness
from core.errors import BadInput, Conflict, Refused, SignatureInvalid
from core.frames import Frame, Reference
from core.robot import Robot

_RETRY_TICKS = 500  # a second at 500 Hz between tries to write a return to a disk that refused it
_REARM_TICKS = 50  # between looks for a re-arming; nobody is in a hurry then


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    """A verified patch, compiled, with the write that makes it last."""

    slot: Slot
    manifest: PatchManifest
    written: Future[None] | None  # None: it is on disk already


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
        clerk: who writes to disk; by default a thread.
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
        clerk: Clerk | None = None,
    ) -> None:
        self._robot, self._robot_id = robot, robot_id
        self._desk = desk = Desk(robot_id, trust, folder, simulated=simulated)
        desk.introduce()
        self.clerk: Clerk = clerk or ThreadClerk(desk)
        self.wait_for_disk = wait_for_disk
        self._staging: _Staged | None = None  # verified, on its way to the disk
        self._reverting: Future[None] | None = None  # a return to the controller before, on its way to the disk
        self._return_failed = False
        self._hold = Hold(robot, desk.held.why())
        self._witness = Witness(desk.kept_head())
        self._marking: Future[None] | None = None  # a hold, or its end, on its way to the disk
        self._kill_order: str | None = None  # may come from another thread or a signal; the next tick obeys
        self._rearming: Future[None] | None = None
        self._killed = desk.kill_on_disk()
        self._last_version = desk.disk.read().version
        if self._killed is not None:
            self._start_killed(self._killed)
        self._baseline = Slot(robot, baseline)
        self._artefacts = {baseline.sha256: baseline}  # what runs, and what may be returned to
        self.runtime = Runtime(robot, self._boot(baseline), Slot(robot, safety))
        self._candidate: _Staged | None = None
        self._armed_revert = False
        self._committing: Future[None] | None = None
        self._active_sha = self.runtime.a.sha256
        self._commands: Counter[str] = Counter()
        self.ticks = 0
        self.reference: Reference | None = None  # what the last tick followed

    def _start_killed(self, kill: Kill) -> None:
        if self._desk.latch.has_request:
            with contextlib.suppress(SignatureInvalid, OSError):
                self._desk.rearm(kill, self._last_version)
                self._killed = None
                return
        try:  # what was put there by hand gets the mark that a re-arming has to name
            self._desk.store(replace(self._desk.disk.read(), killed=kill.mark), kill)
        except OSError:
            self._return_failed = True  # tried again by the loop

    def _boot(self, baseline: Artefact) -> Slot:
        """The best committed controller that this version of the law language still accepts."""
        *stored, _ = self._desk.disk.boot_order(baseline)
        for artefact in () if self._killed is not None else stored:
            with contextlib.suppress(BadInput):
                slot = Slot(self._robot, artefact)
                self._artefacts[artefact.sha256] = artefact
                return slot
        return self._baseline

    def go_on(self, clerk: Clerk) -> None:
        """Go on in another process, forked from the one that this host was made in."""
        self.clerk = clerk
        self._desk = self._desk.reopened()
        self._desk.introduce()

    def kill(self, reason: str) -> None:
        """Run the built-in baseline from the next tick on, and take no patch until an operator's key re-arms.

        Needs no service and no disk to take effect; may be called from any thread or signal handler.
        """
        self._kill_order = reason

    def hold(self, reason: str) -> None:
        """Bring the robot to a stop from the next tick on, and keep it there over restarts until `resume`.

        What is on trial is taken back at once. Needs no service and no disk to take effect.
        """
        if self.runtime.b is not None:
            self.runtime.roll_back(f"held: {reason}", self.ticks)
        if self._hold.why is None:
            self._hold.begin(reason)
            self._mark_hold(reason)

    def resume(self) -> None:
        """Let a held robot go on with what it is asked to follow."""
        if self._hold.why is not None:
            self._hold.end()
            self._mark_hold(None)

    @property
    def held(self) -> str | None:
        """Why the robot is held; None while it is not."""
        return self._hold.why

    def forget_where(self) -> None:
        """The robot may be anywhere by now: a hold holds it where it is measured next."""
        self._hold.forget()

    def _mark_hold(self, why: str | None) -> None:
        self._marking = self.clerk.mark_hold(why)
        if self.wait_for_disk:
            self.clerk.wait(self._marking)

    def rearm(self, signed: bytes) -> None:
        """Leave a re-arming (`sign_rearm`) for the loop; what it is worth shows in the status."""
        self._desk.latch.request(signed)

    def stage(self, signed: bytes, files: Mapping[str, bytes], now_ns: int) -> None:
        """Verify a patch and make it ready to run; nothing changes for the loop.

        Without `wait_for_disk` its files are still being written when this returns: see `is_staging`.

        Raises:
            SignatureInvalid: it is not exactly what was approved for this robot and its active controller.
            BadInput: the files are no checked controller.
            Refused: another patch is under way, or a former return could not be written to disk.
        """
        self._refuse_if_busy()
        assert isinstance(self.clerk, ThreadClerk)  # a host in a process of its own is brought its patches: `admit`
        active_sha = self.runtime.a.sha256
        manifest, artefact = self._desk.accept(
            signed, files, active_sha=active_sha, last_version=self._last_version, now_ns=now_ns
        )
        self._candidate = None
        slot = Slot(self._robot, artefact, like=self.runtime.a)
        self._artefacts = {active_sha: self._artefacts[active_sha], artefact.sha256: artefact}
        kept = self.clerk.keep(tuple(self._artefacts.values()), manifest.version)
        self._staging = _Staged(slot=slot, manifest=manifest, written=kept)
        if self.wait_for_disk:
            self.finish_staging()

    def admit(self, slot: Slot, manifest: PatchManifest) -> None:
        """Take over a patch that a helper has verified, compiled and put on disk; nothing changes for the loop.

        Raises:
            Conflict: meanwhile the robot has moved on.
            Refused: another patch is under way, or the robot is killed.
        """
        self._refuse_if_busy()
        if manifest.base_sha != self.runtime.a.sha256 or manifest.result_sha != slot.sha256:
            raise Conflict(f"{self._robot_id} has returned to another controller meanwhile; prove the patch again")
        if manifest.version <= self._last_version:
            raise Conflict(f"{self._robot_id} has accepted version {self._last_version} meanwhile")
        self._candidate = _Staged(slot=slot, manifest=manifest, written=None)
        self._last_version = manifest.version

    def _refuse_if_busy(self) -> None:
        if (why := self.loop_state().busy) is not None:
            raise Refused(why)

    def loop_state(self) -> LoopState:
        """What a helper verifies a patch against."""
        busy = None
        if self._why_killed is not None:
            busy = self._killed_sentence
        elif self._hold.why is not None:
            busy = self._held_sentence
        elif self.runtime.b is not None or self._staging is not None:
            busy = f"{self._robot_id} is in the middle of a swap; wait for its end or roll it back"
        elif self._return_failed:
            busy = f"{self._robot_id} could not write its last return to disk; free its disk"
        return LoopState(active_sha=self.runtime.a.sha256, last_version=self._last_version, busy=busy)

    @property
    def is_staging(self) -> bool:
        """Whether a staged patch is still being written to disk."""
        return self._staging is not None and self._staging.written is not None and not self._staging.written.done()

    def finish_staging(self) -> None:
        """Take over the patch that `stage` verified; waits for the disk.

        Raises:
            OSError: it could not be written; it is as if it had never come.
        """
        staged, self._staging = self._staging, None
        if staged is not None:
            assert staged.written is not None
            staged.written.result()
            self._candidate, self._last_version = staged, staged.manifest.version

    @property
    def _killed_sentence(self) -> str:
        return f"{self._robot_id} is killed ({self._why_killed}); re-arm it with remend rearm first"

    @property
    def _held_sentence(self) -> str:
        return f"{self._robot_id} is held ({self._hold.why}); let it go on with remend resume first"

    def _refuse_if_killed(self) -> None:
        if self._why_killed is not None:
            raise Refused(self._killed_sentence)

    @property
    def _why_killed(self) -> str | None:
        return self._kill_order if self._killed is None else self._killed.reason

    def begin_shadow(self, limits: CanaryLimits) -> None:
        """Compute the staged candidate beside the committed controller, without effect.

        Raises:
            Refused: nothing was staged, or the robot is killed or held.
            SignatureInvalid: these are not the limits that were approved with the patch.
        """
        self._refuse_if_killed()
        if self._hold.why is not None:
            raise Refused(self._held_sentence)
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

    def obey(self, order: Order) -> None:
        """Carry out what a robot is asked beyond staging.

        Raises:
            Refused: it is killed, or nothing was staged.
            SignatureInvalid: as `begin_shadow`.
        """
        match order:
            case BeginShadow(limits=limits):
                self.begin_shadow(limits)
            case BeginCanary():
                self.runtime.begin_canary()
            case RollBack(reason=reason):
                self.runtime.roll_back(reason, self.ticks)
            case KillOrder(reason=reason):
                self.kill(reason)
            case HoldOrder(reason=reason):
                self.hold(reason)
            case Resume():
                self.resume()
            case KeepHead(head=head):
                self._witness.keep(head, self.clerk, wait=self.wait_for_disk)

    def step(self, frame: Frame, reference: Reference, now_ns: int) -> Command:
        """One control tick; commits a candidate that has passed its canary."""
        if self._killed is None and (self._kill_order is not None or self._desk.latch.is_set):
            self._obey_kill(frame.seq)
        self.reference = self._hold.at(frame.q, reference)
        command = self.runtime.tick(frame, self.reference, now_ns)
        self.ticks += 1
        self._commands[command.source] += 1
        if command.clipped:
            self._commands["clipped"] += 1
        if self._killed is not None:
            self._look_for_rearming(self._killed)
        if self.runtime.stage is Stage.READY:
            self._advance_commit()
        elif self._committing is not None or self.runtime.a.sha256 != self._active_sha:
            self._take_back()  # the candidate fell while its commit was being written, or the revert trigger fired
        if self._marking is not None and self._marking.done():
            self._check_marking(self._marking)
        if self._reverting is not None and self._reverting.done():
            self._check_reverting()
        elif self.ticks % _RETRY_TICKS == 0 and (self._return_failed or self._latch_is_lost):
            self._take_back()
        return command

    def _obey_kill(self, seq: int) -> None:
        """Baseline in this tick; the disk follows."""
        order, self._kill_order = self._kill_order, None
        by_file = Kill.because(BY_HAND) if order is None else Kill.because(order)
        self._killed = self._desk.latch.read() or by_file
        self.runtime.kill(self._baseline, self._killed.reason, seq)
        self._take_back()

    @property
    def _latch_is_lost(self) -> bool:
        """Whether somebody removed the kill file, which is no re-arming."""
        return self._killed is not None and self._rearming is None and not self._desk.latch.is_set

    def _look_for_rearming(self, kill: Kill) -> None:
        if self._rearming is None:
            if self._reverting is None and self.ticks % _REARM_TICKS == 0 and self._desk.latch.has_request:
                self._kill_order = None  # from before; one that comes from now on holds
                self._rearming = self.clerk.rearm(kill, self._last_version)
            return
        if not self._rearming.done():
            return
        failed, self._rearming = self._rearming.exception(), None
        if failed is None:
            self._killed = None
        what = "re-armed by an operator" if failed is None else f"still killed: {failed}"
        self.runtime.notes.append(Note(seq=self.ticks, what=what))

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

    def _check_marking(self, marking: Future[None]) -> None:
        self._marking = None
        if (failed := marking.exception()) is not None:
            what = f"the hold, or its end, is not on disk and ends with this process: {failed}"
            self.runtime.notes.append(Note(seq=self.ticks, what=what))

    def _check_reverting(self) -> None:
        """A return that is not on disk would boot what was sent back: say so, and try again from time to time."""
        assert self._reverting is not None
        failed = self._reverting.exception()
        self._reverting = None
        if failed is not None and not self._return_failed:
            self.runtime.notes.append(Note(seq=self.ticks, what=f"the return is not on disk yet: {failed}"))
        self._return_failed = failed is not None

    def _write(self, pointer: Pointer) -> Future[None]:
        order = self.clerk.store(pointer, self._killed)
        if self.wait_for_disk:
            self.clerk.wait(order)
        return order

    def status(self, missed_deadlines: int | None, timing: LoopTiming | None = None) -> HostStatus:
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
            held=self._hold.why,
            inconclusive=r.inconclusive,
            commands=dict(self._commands),
            breaches={breach.value: count for breach, count in r.breaches.items()},
            law_late=r.law_late,
            timing=timing,
            audit_head=self._witness.kept,
        )

    def close(self) -> None:
        """Finish writing to disk."""
        self.clerk.close()
        self._desk.close()
