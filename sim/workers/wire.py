"""The wire between two confined workers: a socket that each has as its standard input, the one descriptor it may read.

Each message is a whole one. The side that asks waits for no answer longer than the service has set on its end.
"""

from __future__ import annotations

import os
import time

WIRE = 0  # descriptor
LONGEST = 1 << 17  # bytes of a message
_MOST_WAITING_S = 40.0  # for all answers together


class Blamed(Exception):  # noqa: N818 it is not the work's own error
    """What a work raises that fails by the doing of the worker beside."""


class Asking:
    """The end of the side that asks."""

    def __init__(self) -> None:
        self._waited_s = 0.0

    def ask(self, message: bytes) -> bytes:
        """The answer to a message, whatever it is.

        Raises:
            Blamed: there is none in time.
        """
        began_s = time.monotonic()
        try:
            os.write(WIRE, message)
            answer = os.read(WIRE, LONGEST)
        except BlockingIOError as error:
            raise Blamed("no answer in time") from error
        except OSError as error:
            raise Blamed("its process has ended") from error
        self._waited_s += time.monotonic() - began_s
        if self._waited_s > _MOST_WAITING_S:
            raise Blamed(f"its answers took more than {_MOST_WAITING_S:g} s")
        if not answer:
            raise Blamed("its process has ended")
        return answer
