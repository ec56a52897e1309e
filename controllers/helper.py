"""The helper process: everything slow, at low priority, so that the loop never waits for it and is never held up by it.

It verifies a patch, checks and compiles its law, puts it on disk and hands it to the loop in pieces; and it writes to
disk what the loop orders. If it ends, the loop goes on; a patch that was on its way has then never come.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from concurrent.futures import Future
from multiprocessing.connection import Connection

from controllers.artefact import Artefact
from controllers.controller import prepare
from controllers.desk import Desk
from controllers.host_status import LoopState
from controllers.latch import Kill
from controllers.lines import Lines, Waiting
from controllers.parcel import pieces_of
from controllers.pointer import Pointer
from controllers.requests import StagePatch
from core.errors import BadInput, Refused, SignatureInvalid
from core.ports import Ports

_NICE = 10
_PATIENCE_S = 60.0  # for the loop to take in a piece; it takes one in every tick


class Helper:
    """One robot's helper.

    Args:
        ports: of the robot.
        desk: its keys and folder.
        baseline: the built-in controller.
        lines: to the loop.
        bridge: where patches come from, and where it is said what became of them.
        ordered: number of the last order that is not for this helper, but was for one before.
    """

    def __init__(
        self, ports: Ports, desk: Desk, baseline: Artefact, lines: Lines, bridge: Connection, ordered: int
    ) -> None:
        self._ports, self._desk, self._lines, self._bridge = ports, desk, lines, bridge
        self._artefacts = {baseline.sha256: baseline}
        self._waiting = Waiting(lines.helper_bell, lines.lifeline[0])
        self._ordered = ordered

    def serve(self) -> None:
        """Until the bridge is gone."""
        while True:
            self._carry_out_orders()
            if self._bridge.poll(0):
                self._bridge.send(self._bring(self._bridge.recv()))
            self._waiting.wait()

    def _carry_out_orders(self) -> None:
        found = self._lines.orders.read_after(self._ordered)
        if found is None:
            return
        self._ordered, data = found
        name, arguments = pickle.loads(data)  # noqa: S301 from the loop of this robot
        failed: Exception | None = None
        try:
            match name:
                case "store":
                    self._desk.store(*arguments)
                case "mark_hold":
                    self._desk.mark_hold(*arguments)
                case "keep_head":
                    self._desk.keep_head(*arguments)
                case _:
                    self._desk.rearm(*arguments)
        except (OSError, SignatureInvalid) as error:
            failed = error
        self._lines.done.write(pickle.dumps(failed))
        self._lines.loop_bell.ring()

    def _bring(self, patch: StagePatch) -> Exception | None:
        """Bring a patch to the loop; why it did not get there, or None."""
        try:
            self._verify_and_hand_over(patch)
        except BadInput as error:
            return BadInput(str(error))  # the kinds of it carry more than a message
        except OSError as error:
            return Refused(f"the robot's disk refused the patch: {error}")
        except Refused as error:
            return error
        return None

    def _verify_and_hand_over(self, patch: StagePatch) -> None:
        state = self._state()
        if state.busy is not None:
            raise Refused(state.busy)
        manifest, artefact = self._desk.accept(
            patch.signed,
            patch.files,
            active_sha=state.active_sha,
            last_version=state.last_version,
            now_ns=patch.judged_at_ns(),
        )
        prepared = prepare(artefact, self._ports)
        known = self._artefacts.get(state.active_sha)
        self._artefacts = {sha: kept for sha, kept in self._artefacts.items() if sha == state.active_sha}
        self._artefacts[artefact.sha256] = artefact
        self._desk.keep([artefact] if known is None else [known, artefact], manifest.version)
        for piece in pieces_of(prepared, manifest):
            answer = self._hand_over(piece)
        if answer is not None:
            raise answer

    def _state(self) -> LoopState:
        until = time.monotonic() + _PATIENCE_S
        while (found := self._lines.state.read()) is None:  # the loop has not begun yet
            if time.monotonic() > until:
                raise Refused("the control loop does not begin; look at its machine")
            self._waiting.wait(0.02)
        state: LoopState = pickle.loads(found[1])  # noqa: S301 from the loop of this robot
        return state

    def _hand_over(self, piece: bytes) -> Exception | None:
        """One piece; what the loop says to the last one."""
        number = self._lines.pieces.write(piece)
        self._lines.loop_bell.ring()
        until = time.monotonic() + _PATIENCE_S
        while True:
            found = self._lines.receipts.read()
            if found is not None:
                taken, answer = pickle.loads(found[1])  # noqa: S301 as above
                if taken == number:
                    return answer  # type: ignore[no-any-return]
            if time.monotonic() > until:
                raise Refused("the control loop does not take the patch in; is it running?")
            self._waiting.wait(0.1)
            self._carry_out_orders()


def helper_main(helper: Helper) -> None:
    """Entry point of the process."""
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    with contextlib.suppress(EOFError, OSError):
        helper.serve()


class HelperClerk:
    """The helper, as the loop sees it: orders go out one at a time, in order."""

    def __init__(self, lines: Lines, waiting: Waiting) -> None:
        self._lines, self._waiting = lines, waiting
        self._open: list[tuple[bytes, Future[None]]] = []
        self._done = 0
        self._sent = False

    def store(self, pointer: Pointer, kill: Kill | None) -> Future[None]:
        return self._order("store", pointer, kill)

    def rearm(self, kill: Kill, version: int) -> Future[None]:
        return self._order("rearm", kill, version)

    def mark_hold(self, why: str | None) -> Future[None]:
        return self._order("mark_hold", why)

    def keep_head(self, head: bytes) -> Future[None]:
        return self._order("keep_head", head)

    def _order(self, name: str, *arguments: object) -> Future[None]:
        future: Future[None] = Future()
        self._open.append((pickle.dumps((name, arguments)), future))
        self.poll()
        return future

    def poll(self) -> None:
        """Note what is done, and send what comes next; a few microseconds."""
        if self._open and self._sent and (found := self._lines.done.read_after(self._done)) is not None:
            self._done, data = found
            failed = pickle.loads(data)  # noqa: S301 from the helper of this robot
            _, future = self._open.pop(0)
            self._sent = False
            if failed is None:
                future.set_result(None)
            else:
                future.set_exception(failed)
        if self._open and not self._sent:
            self._sent = True
            self._lines.orders.write(self._open[0][0])
            self._lines.helper_bell.ring()

    def start_again(self) -> None:
        """The helper has ended, and there is a new one: what was under way is asked for once more."""
        self._sent = False
        self.poll()

    def wait(self, order: Future[None]) -> None:
        while not order.done():
            self._waiting.wait(0.1)
            self.poll()

    def close(self) -> None:
        for _, order in list(self._open):
            self.wait(order)
