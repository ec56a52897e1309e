"""The robot's side of a deployment where the robot keeps its own controller: a patch is a step of its parameters.

The stages are shares of that step. Nothing here writes to the controller: `wanted` says what it should have, and
whoever writes tells by `written` how that went. Every way out of a swap but its commit wants the former values.

What this mode cannot do is in `MISSING`, and is part of its status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from controllers.artefact import Artefact, artefact_from_files
from controllers.canary import CanaryLimits, CanaryMonitor
from controllers.desk import NOBODY
from controllers.foreign import Flat, Mirror, between
from controllers.host_status import HostStatus
from controllers.latch import Kill, KillLatch, check_rearm, write_identity
from controllers.mark import FREEZE, Mark
from controllers.pointer import CommitFolder, Pointer
from controllers.runtime import Note, Stage
from controllers.signature import SignedManifest, TrustStore, verify
from controllers.witness import keep_head, kept_head
from core.durable import write_atomically
from core.errors import BadInput, Refused, SignatureInvalid
from core.frames import Frame, Reference
from core.robot import Robot

MISSING = (
    "no envelope: the commands of the robot's own controller pass no limit of Remend",
    "no fallback in the same tick: the former values come back with the next call of a service",
    "no shadow of the controller itself: only its model is computed beside it",
    "no smooth hand-over: what the controller remembers jumps with its parameters",
    "no authority over a restart: a controller that starts again has the values of its own file",
)
_BACKUP, _ORIGINAL = "backup.json", "original.json"
_MOST_NOTES = 20


class ParameterHost:
    """One robot whose controller has parameters.

    Args:
        robot: limits and canary plan.
        robot_id: the name that signatures must carry.
        mirror: which parameters are whose.
        found: the values that the controller has now.
        trust: keys that may sign patches.
        folder: the robot's commit folder.
        simulated: whether nobody can come to harm.

    Raises:
        BadInput: the values do not fit the manifest.
    """

    def __init__(
        self, robot: Robot, *, robot_id: str, mirror: Mirror, found: Flat, trust: TrustStore, folder: Path,
        simulated: bool,
    ) -> None:  # fmt: skip
        self._robot, self._robot_id, self._mirror, self._trust = robot, robot_id, mirror, trust
        self._disk, self._folder, self._simulated = CommitFolder(folder), folder, simulated
        write_identity(folder, robot_id)
        self._latch, self._freeze = KillLatch(folder), Mark(folder=folder, name=FREEZE)
        self._backup, self._original = folder / _BACKUP, folder / _ORIGINAL
        if not self._original.exists():
            write_atomically(self._original, json.dumps(dict(found)).encode())
        left = read_values(self._backup)  # of a swap that nobody ended
        self.active = mirror.law_with(found if left is None else left)
        self.wanted: Flat = mirror.of(self.active)
        self._is_written = left is None
        self._version = self._disk.read().version
        self._staged: tuple[Artefact, bool, str] | None = None  # patch, armed revert, sha256 of its limits
        self._patch: Artefact | None = None
        self._limits: CanaryLimits | None = None
        self._monitor: CanaryMonitor | None = None
        self._stage, self._step, self._held = Stage.COMMITTED, 0, 0
        self._ticks = self._canary_ticks = 0
        self._command_step = 0.0
        self._stages_run: list[str] = []
        self._reason: str | None = None
        self.notes: list[Note] = []
        if left is not None:
            self.note("a swap was cut off: the former values are put back")
        self.objection: str | None = "the model has not been compared with the controller yet"

    def note(self, what: str) -> None:
        """Keep a sentence for the status."""
        self.notes = [*self.notes[1 - _MOST_NOTES :], Note(seq=self._ticks, what=what)]

    @property
    def values(self) -> dict[str, float | list[float]]:
        """What the controller's parameters are under the committed version."""
        return self._mirror.of(self.active)

    # writes

    def written(self, failure: str | None, seen: Flat | None = None) -> None:
        """How the last write of `wanted` went; `seen` is what was read back."""
        if failure is None and seen is not None and dict(seen) != dict(self.wanted):
            failure = "what was read back is not what was written"
        if failure is None:
            self._is_written = True
            if self._stage is Stage.COMMITTED:
                self._backup.unlink(missing_ok=True)
        elif self._stage is not Stage.COMMITTED:
            self.roll_back(f"the controller did not take the parameters: {failure}")
        elif not self.notes or failure not in self.notes[-1].what:
            self.note(f"the former values are not back yet: {failure}")

    def seen(self, values: Flat) -> None:
        """What the controller has, looked at between swaps: somebody else may have changed it."""
        if self._stage is Stage.COMMITTED and self._is_written:
            others = dict(values) != dict(self.wanted)
            text = "its parameters were changed by somebody else; put them back, or start this host again"
            if others and self.objection != text:
                self.objection = text
                self.note(text)
            elif not others and self.objection == text:
                self.objection = None

    @property
    def owes_a_write(self) -> bool:
        """Whether the controller does not have what it should."""
        return not self._is_written

    def _want(self, values: Flat) -> None:
        self.wanted, self._is_written = values, False

    # stages

    def stage(self, signed: bytes, files: Mapping[str, bytes], now_ns: int) -> None:
        """Verify a patch. Raises as `controllers.host.Host.stage` does."""
        self._refuse()
        if self._stage is not Stage.COMMITTED or not self._is_written:
            raise Refused(f"{self._robot_id} is in the middle of a swap; wait for its end or roll it back")
        manifest = verify(
            SignedManifest.from_json(signed),
            files,
            self._trust,
            robot_id=self._robot_id,
            active_sha=self.active.sha256,
            last_version=self._version,
            now_ns=now_ns,
        )
        if manifest.approver in NOBODY and not self._simulated:
            raise SignatureInvalid(f"{manifest.approver} is nobody's name; a real robot takes patches from people only")
        patch = artefact_from_files(manifest.law, files)
        self._mirror.check_patch(self.active, patch)
        self._disk.keep(self.active)
        self._disk.keep(patch)
        self._disk.write(replace(self._disk.read(), version=manifest.version))
        self._version = manifest.version
        self._staged = (patch, manifest.needs_revert_trigger, manifest.canary_sha)

    def begin_shadow(self, limits: CanaryLimits) -> None:
        """Wait with the patch; nothing of it has an effect. Raises as `controllers.host.Host.begin_shadow` does."""
        self._refuse()
        if self._staged is None:
            raise Refused(f"{self._robot_id} has no staged patch; stage one first")
        patch, _, approved = self._staged
        try:
            fits = limits.sha256 == approved
        except ValueError:  # a limit that is not finite is no limit
            fits = False
        if not fits:
            raise SignatureInvalid("the canary's limits are not those that were approved with the patch")
        self._staged, self._patch, self._limits = None, patch, limits
        self._reason, self._canary_ticks, self._stages_run = None, 0, ["shadow"]
        self._command_step = 0.0
        self._stage = Stage.SHADOW

    def begin_canary(self) -> None:
        """Take the first share of the step. The former values are on disk before the controller gets others."""
        self._refuse()
        if self._stage is not Stage.SHADOW or self._limits is None:
            return
        write_atomically(self._backup, json.dumps(dict(self._mirror.of(self.active))).encode())
        self._monitor = CanaryMonitor(self._limits, self._robot)
        self._stage, self._step = Stage.CANARY, -1
        self._next_step()

    def _next_step(self) -> None:
        assert self._patch is not None
        self._step, self._held = self._step + 1, 0
        share = self._robot.canary.stages[self._step]
        self._stages_run.append(f"canary {share:.0%}")
        self._want(between(self._mirror.of(self.active), self._mirror.of(self._patch), share))

    @property
    def share(self) -> float:
        """Share of the step that is in force."""
        return self._robot.canary.stages[self._step] if self._stage in (Stage.CANARY, Stage.READY) else 0.0

    def observe(self, frame: Frame, reference: Reference, previous: list[float]) -> None:
        """One measurement: the canary is judged, and its clock runs while the robot moves under confirmed values."""
        self._ticks += 1
        if self._latch.is_set and self._stage is not Stage.COMMITTED:
            self.roll_back("killed")
        if self._stage is not Stage.CANARY or self._monitor is None:
            return
        self._canary_ticks += 1
        moved = max(abs(new - old) for new, old in zip(frame.tau_cmd, previous, strict=True))
        self._command_step = max(self._command_step, moved)
        reason = self._monitor.judge(frame, reference, self.share, frame.tau_cmd, previous)
        if reason is not None:
            self.roll_back(reason)
            return
        last = self._step + 1 == len(self._robot.canary.stages)
        if self._is_written and (not last or self._monitor.is_excited(reference)):
            self._held += 1
        if self._held * self._robot.dt_s >= self._robot.canary.hold_s[self._step]:
            self._commit() if last else self._next_step()

    def _commit(self) -> None:
        assert self._patch is not None
        pointer = Pointer(committed=self._patch.sha256, previous=self.active.sha256, version=self._version)
        try:
            self._disk.write(pointer)
        except OSError as error:  # what cannot be committed does not stay
            self.roll_back(f"commit failed: {error}")
            return
        self._backup.unlink(missing_ok=True)
        self.active, self._patch, self._monitor = self._patch, None, None
        self._stage = Stage.COMMITTED
        self._stages_run.append("commit")

    def roll_back(self, reason: str) -> None:
        """Want the values from before the swap; after a commit, those of the version before it. Idempotent."""
        if self._stage is not Stage.COMMITTED:
            self._patch = self._monitor = None
            self._stage = Stage.COMMITTED
            self._want(self._mirror.of(self.active))
        else:
            pointer = self._disk.read()
            before = None if pointer.previous is None else self._disk.load(pointer.previous)
            if before is None:
                return
            self.active = before
            self._disk.write(Pointer(committed=before.sha256, previous=None, version=self._version))
            self._want(self._mirror.of(before))
        self._reason, self._staged = reason, None
        self.note(f"rolled back: {reason}")

    def kill(self, reason: str) -> None:
        """The values that were found at the very first start, and no patch until an operator's key re-arms."""
        self.roll_back(f"killed: {reason}")
        original = read_values(self._original)
        if original is not None:
            self.active = self._mirror.law_with(original)
            self._want(self._mirror.of(self.active))
        self._latch.set(Kill.because(reason))
        self._disk.write(Pointer(committed=None, previous=None, version=self._version))
        self._reason, self._staged = f"killed: {reason}", None

    def freeze(self, reason: str) -> None:
        """Take a swap back, and accept no patch."""
        self._freeze.set(reason)
        if self._stage is not Stage.COMMITTED:
            self.roll_back(f"frozen: {reason}")

    def thaw(self) -> None:
        """Accept patches again; a kill ends only by an operator's word that lies in the folder."""
        self._freeze.lift()
        kill = self._latch.read() if self._latch.is_set else None
        if kill is not None:
            if not self._latch.has_request:
                raise Refused(f"{self._robot_id} is killed ({kill.reason}); sign with remend rearm, then rearm again")
            check_rearm(self._latch.take_request(), self._robot_id, kill.mark, self._trust)
            self._latch.release(kill)

    def _refuse(self) -> None:
        if self._latch.is_set:
            raise Refused(f"{self._robot_id} is killed; re-arm it with remend rearm first")
        if (frozen := self._freeze.why()) is not None:
            raise Refused(f"{self._robot_id} is frozen ({frozen}); thaw it with ~/rearm first")
        if self.objection is not None:
            raise Refused(f"{self._robot_id}: {self.objection}")

    @property
    def frozen(self) -> str | None:
        """Why patches are not accepted for now."""
        return self._freeze.why()

    def status(self) -> HostStatus:
        """What the controller runs on, and how the last swap went."""
        kill = self._latch.read() if self._latch.is_set else None
        return HostStatus(
            stage=self._stage,
            share=self.share,
            active_sha=self.active.sha256,
            stages_run=tuple(self._stages_run),
            rollback_reason=self._reason,
            canary_ticks=self._canary_ticks,
            max_command_step_nm=self._command_step,
            ticks=self._ticks,
            missed_deadlines=None,
            notes=tuple(self.notes),
            killed=None if not self._latch.is_set else kill.reason if kill is not None else "by hand",
            audit_head=kept_head(self._folder),
        )

    def keep_head(self, head: bytes) -> None:
        """Keep a signed head of the service's audit log.

        Raises:
            SignatureInvalid: it is no trusted service's, or goes back behind the one before.
        """
        keep_head(self._folder, head, self._trust)

    def close(self) -> None:
        """Nothing of a swap stays; the caller still has to write `wanted`."""
        if self._stage is not Stage.COMMITTED:
            self.roll_back("the host ends")


def read_values(file: Path) -> dict[str, float | list[float]] | None:
    """Values that were put on disk; None where there are none.

    Raises:
        BadInput: the file is damaged: nobody may guess what the controller had.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(f"{file}: cannot be read ({error}); write the former values by hand and remove it") from error
    if not isinstance(values, dict):
        raise BadInput(f"{file}: holds no values; write the former values by hand and remove it")
    return values
