"""What is slow about a robot's side of a deployment: verifying, and everything that touches its disk.

The loop never does any of it between two ticks: a thread does, or, where there is one, a helper process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from controllers.artefact import Artefact, artefact_from_files
from controllers.latch import BY_HAND, Kill, KillLatch, check_rearm, write_identity
from controllers.mark import HOLD, Mark
from controllers.pointer import CommitFolder, Pointer
from controllers.signature import PatchManifest, SignedManifest, TrustStore, verify
from controllers.trust import current_trust
from controllers.witness import keep_head, kept_head
from core.errors import SignatureInvalid

NOBODY = frozenset({"simulated-operator", "demo"})  # approvers that stand for no person


class Desk:
    """The robot's keys and its folder.

    Args:
        robot_id: the name that signatures must carry.
        trust: keys that may sign patches.
        folder: the robot's commit folder.
        simulated: whether nobody can come to harm; only then may a patch be approved in the name of no person.
    """

    def __init__(self, robot_id: str, trust: TrustStore, folder: Path, *, simulated: bool) -> None:
        self.robot_id, self._trust, self._simulated = robot_id, trust, simulated
        self.disk = CommitFolder(folder)
        self.latch = KillLatch(folder)
        self.held = Mark(folder=folder, name=HOLD)
        self._folder = folder

    def introduce(self) -> None:
        """Say in the folder whose it is, and which process runs the loop."""
        write_identity(self._folder, self.robot_id)

    def accept(
        self, signed: bytes, files: Mapping[str, bytes], *, active_sha: str, last_version: int, now_ns: int
    ) -> tuple[PatchManifest, Artefact]:
        """The patch, if exactly these bytes were approved for this robot and what it runs.

        Raises:
            SignatureInvalid: they were not.
            BadInput: the files are no controller.
        """
        manifest = verify(
            SignedManifest.from_json(signed),
            files,
            self._trusted(),
            robot_id=self.robot_id,
            active_sha=active_sha,
            last_version=last_version,
            now_ns=now_ns,
        )
        if manifest.approver in NOBODY and not self._simulated:
            raise SignatureInvalid(f"{manifest.approver} is nobody's name; a real robot takes patches from people only")
        return manifest, artefact_from_files(manifest.law, files)  # the very bytes that were verified

    def keep(self, artefacts: Iterable[Artefact], version: int) -> None:
        """Put on disk what a boot after this swap may need."""
        for artefact in artefacts:
            self.disk.keep(artefact)
        self.disk.write(replace(self.disk.read(), version=version))

    def store(self, pointer: Pointer, kill: Kill | None) -> None:
        """Move the pointer; a kill that holds is latched first."""
        if kill is not None:
            self.latch.set(kill)
        self._write(pointer)

    def _write(self, pointer: Pointer) -> None:
        """What only grows, grows: the loop may not know yet of a version that a patch under way has used up."""
        before = self.disk.read()
        version, trust = max(pointer.version, before.version), max(pointer.trust, before.trust)
        self.disk.write(replace(pointer, version=version, trust=trust))

    def _trusted(self) -> TrustStore:
        """The keys in force now; from here on the robot takes no older list."""
        before = self.disk.read()
        trust = current_trust(self._folder, self.robot_id, self._trust, at_least=before.trust)
        if trust.number > before.trust:
            self.disk.write(replace(before, trust=trust.number))
        return trust.keys

    def mark_hold(self, why: str | None) -> None:
        """The robot is held, and why; None: it goes on."""
        if why is None:
            self.held.lift()
        else:
            self.held.set(why)

    def keep_head(self, head: bytes) -> None:
        """Keep a signed head of the service's audit log.

        Raises:
            SignatureInvalid: it is no trusted service's, or goes back behind the one before.
        """
        keep_head(self._folder, head, self._trusted())

    def kept_head(self) -> str:
        """The head that is kept; empty if none is."""
        return kept_head(self._folder)

    def kill_on_disk(self) -> Kill | None:
        """The kill that holds since before this start, whichever of its two traces is left."""
        if self.latch.is_set:
            return self.latch.read() or Kill.because(BY_HAND)
        mark = self.disk.read().killed
        return None if mark is None else Kill(reason="killed before; the file is gone", mark=mark)

    def rearm(self, kill: Kill, version: int) -> None:
        """Take the re-arming that lies in the folder. The pointer first: after a crash in between the file still holds.

        Raises:
            SignatureInvalid: it is not an operator's word for exactly this kill.
        """
        signed = self.latch.take_request()
        kill = self.latch.read() or kill
        check_rearm(signed, self.robot_id, kill.mark, self._trusted())
        self._write(Pointer(committed=None, previous=None, version=version))
        self.latch.release(kill)

    def reopened(self) -> Desk:
        """The same desk for a process that has none of this one's descriptors."""
        return Desk(self.robot_id, self._trust, self._folder, simulated=self._simulated)

    def close(self) -> None:
        """Let go of the folder."""
        self.latch.close()


class Clerk(Protocol):
    """Who sits at the desk while the loop goes on. Orders are carried out in the order in which they came."""

    def store(self, pointer: Pointer, kill: Kill | None) -> Future[None]:
        """`Desk.store`, later."""
        ...

    def rearm(self, kill: Kill, version: int) -> Future[None]:
        """`Desk.rearm`, later."""
        ...

    def mark_hold(self, why: str | None) -> Future[None]:
        """`Desk.mark_hold`, later."""
        ...

    def keep_head(self, head: bytes) -> Future[None]:
        """`Desk.keep_head`, later."""
        ...

    def wait(self, order: Future[None]) -> None:
        """Until this order is done, well or badly."""
        ...

    def close(self) -> None:
        """Finish what was ordered."""
        ...


class ThreadClerk:
    """A thread of the loop's process: good for lockstep, and where the loop may miss a deadline for a patch."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.writer = ThreadPoolExecutor(max_workers=1)

    def store(self, pointer: Pointer, kill: Kill | None) -> Future[None]:
        return self.writer.submit(self._desk.store, pointer, kill)

    def rearm(self, kill: Kill, version: int) -> Future[None]:
        return self.writer.submit(self._desk.rearm, kill, version)

    def mark_hold(self, why: str | None) -> Future[None]:
        return self.writer.submit(self._desk.mark_hold, why)

    def keep_head(self, head: bytes) -> Future[None]:
        return self.writer.submit(self._desk.keep_head, head)

    def keep(self, artefacts: tuple[Artefact, ...], version: int) -> Future[None]:
        """`Desk.keep`, later."""
        return self.writer.submit(self._desk.keep, artefacts, version)

    def wait(self, order: Future[None]) -> None:
        order.exception()

    def close(self) -> None:
        self.writer.shutdown()
