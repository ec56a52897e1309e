"""How far a piece of work in simulation has come, and whether somebody wants it to end. Safe for threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import Cancelled

LOOK_S = 0.25  # how soon workers that run notice that nobody waits for them any more


class Progress:
    """Counts rollouts that are done, tells whoever follows, and ends the work when it is cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._follower: Callable[[int], None] | None = None
        self._done = 0
        self._why: str | None = None

    @contextmanager
    def followed(self, follower: Callable[[int], None]) -> Iterator[None]:
        """Tell `follower`, in the working thread, how many rollouts are done since this began."""
        with self._lock:
            self._follower, self._done = follower, 0
        try:
            yield
        finally:
            with self._lock:
                self._follower = None

    @contextmanager
    def towards(self, total: int, show: Callable[[int, int], None]) -> Iterator[None]:
        """Give `show` how many of `total` rollouts are done; work that ends early never reaches it."""
        with self.followed(lambda done: show(min(done, total), total)):
            yield

    def add(self, rollouts: int) -> None:
        """So many more rollouts are done."""
        with self._lock:
            self._done += rollouts
            follower, done = self._follower, self._done
        if follower is not None and rollouts:
            follower(done)

    def cancel(self, why: str) -> None:
        """End what is at work, and whatever is asked for until `renew`."""
        with self._lock:
            self._why = why

    def renew(self) -> None:
        """What is asked for from now on is wanted."""
        with self._lock:
            self._why = None

    def check(self) -> None:
        """Go on if the work is still wanted.

        Raises:
            Cancelled: it is not.
        """
        with self._lock:
            why = self._why
        if why is not None:
            raise Cancelled(why)
