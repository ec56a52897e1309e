"""Orders to a robot are carried out while everything else goes on: who wants back need not wait for a simulation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from controllers.runtime import Stage
from core.clock import Clock
from core.errors import Conflict, RemendError
from core.status import PatchStatus
from remend.links.link import RobotLink
from remend.service.freeze import frozen
from remend.service.orders import Order, OrderResult, Verb, answer, waiting
from remend.store import Store
from remend.versions import Versions

_EVERY_S = 0.2


class Obedience:
    """Carries out the orders to one robot, in a thread of its own.

    Args:
        cancel: ends the work in simulation, for the reason that it is given; whether there was any to end.
        meanwhile: is called each time that it has looked, whatever else goes on.
    """

    def __init__(
        self,
        link: RobotLink,
        store: Store,
        versions: Versions,
        clock: Clock,
        cancel: Callable[[str], bool],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._link, self._store, self._versions, self._clock = link, store, versions, clock
        self._cancel_work, self._meanwhile = cancel, meanwhile
        self._stop = threading.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Carry out orders meanwhile."""
        thread = threading.Thread(target=self._listen, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _listen(self) -> None:
        while not self._stop.wait(_EVERY_S):
            with suppress(RemendError):  # a database that is held for a moment, a robot that is about to be gone
                self._meanwhile()
                self.look()

    def look(self) -> None:
        """Carry out what waits."""
        with self._store.reading() as connection:
            orders = waiting(connection, self._link.robot_id)
            freeze = frozen(connection)
        for order in orders:
            self.obey(order)
        if freeze is not None and self._store.in_status(self._link.robot_id, *_ON_TRIAL):
            self._leave_trial(f"patching was frozen by {freeze.actor}")

    def obey(self, order: Order) -> None:
        """Carry out one order and write down what came of it."""
        done, what = True, ""
        try:
            match order.verb:
                case Verb.ROLL_BACK:
                    what = self._roll_back(order)
                case Verb.CANCEL:
                    what = self._cancel(order)
                case Verb.HOLD:
                    what = self._hold(order)
                case Verb.RESUME:
                    what = self._resume()
        except RemendError as error:
            done, what = False, str(error)
        with self._store.journal("robot") as journal:
            answer(journal, order, OrderResult(order_id=order.id, done=done, what=what, at_ns=self._clock.wall_ns()))

    def _roll_back(self, order: Order) -> str:
        reason = f"rolled back by {order.actor}" + (f": {order.reason}" if order.reason else "")
        before = self._link.status()
        self._link.roll_back(reason)
        if before.stage is not Stage.COMMITTED:
            return "the patch on trial was taken back"  # whoever watches the trial writes it down
        after = self._link.status()
        if after.active_sha == before.active_sha:
            return "there is no patch to take back; the robot goes on with its controller"
        files = self._versions.read(after.active_sha)
        for patch in self._store.in_status(self._link.robot_id, PatchStatus.ACTIVE):
            with suppress(Conflict):  # just committed: whoever still watches it writes it down
                self._store.move(patch.id, PatchStatus.ACTIVE, PatchStatus.ROLLING_BACK, order.actor, reason)
                about = f"{reason}\n\n{patch.id}"
                self._versions.commit(self._link.robot_id, files, before.active_sha, about, order.actor)
                self._store.move(patch.id, PatchStatus.ROLLING_BACK, PatchStatus.ROLLED_BACK, "robot", reason)
        return "the robot is back on the controller before"

    def _cancel(self, order: Order) -> str:
        because = f": {order.reason}" if order.reason else ""
        if self._cancel_work(f"cancelled by {order.actor}{because}"):
            return "the search for a patch ends; the robot goes on with its controller"
        return "no patch was being searched for or proven"

    def _hold(self, order: Order) -> str:
        before = self._link.status()
        if before.held is not None:
            return f"the robot was held already: {before.held}"
        self._link.hold(f"held by {order.actor}" + (f": {order.reason}" if order.reason else ""))
        trial = "" if before.stage is Stage.COMMITTED else "the patch on trial was taken back, and "
        return f"{trial}the robot comes to a stop and stays there until it is told to go on"

    def _resume(self) -> str:
        if self._link.status().held is None:
            return "the robot was not held"
        self._link.resume()
        return "the robot goes on"

    def _leave_trial(self, reason: str) -> None:
        if self._link.status().stage is not Stage.COMMITTED:
            self._link.roll_back(reason)


_ON_TRIAL = (PatchStatus.STAGED, PatchStatus.SHADOW, PatchStatus.CANARY)
