"""Who may patch a robot over a network that delays, repeats, reorders and loses.

One service at a time holds the lease, by its heartbeats. It numbers its requests; each is carried out at most once, and
one that comes again gets the same answer. When the heartbeats stop, a patch that is not committed goes.
"""

from __future__ import annotations

from collections import OrderedDict

_KEPT = 64  # answers that may be asked for again


class Lease:
    """The robot's side.

    Args:
        lasts_s: time after the last heartbeat for which the lease is held.
    """

    def __init__(self, lasts_s: float) -> None:
        self._lasts_s = lasts_s
        self.session = ""  # "" while nobody holds it
        self._heard_s = 0.0
        self._last_number = 0
        self._answers: OrderedDict[int, str | None] = OrderedDict()  # None while the request is under way

    def heartbeat(self, session: str, now_s: float) -> bool:
        """A service speaks; whether it holds the lease now."""
        if session != self.session:
            if self.session:  # one that has run out is released first, so that its patch goes with it
                return False
            self.session, self._last_number = session, 0
            self._answers.clear()
        self._heard_s = now_s
        return True

    def is_over(self, now_s: float) -> bool:
        """Whether the holder has been silent for too long."""
        return bool(self.session) and now_s - self._heard_s > self._lasts_s

    def release(self) -> None:
        """Nobody holds it any more."""
        self.session = ""

    def is_new(self, number: int) -> bool:
        """Whether the holder's request is to be carried out; it then counts as under way."""
        if number <= self._last_number:
            return False
        self._last_number = number
        self._answers[number] = None
        while len(self._answers) > _KEPT:
            self._answers.popitem(last=False)
        return True

    def answer_to(self, number: int) -> str | None:
        """The answer that was given to a request; None while there is none, or none any more."""
        return self._answers.get(number)

    def answered(self, session: str, number: int, answer: str) -> None:
        """Keep an answer, unless the lease has changed hands meanwhile."""
        if session == self.session and number in self._answers:
            self._answers[number] = answer
