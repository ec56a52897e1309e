"""The exception tree. Each branch says who has to act.

    RemendError
    ├── BadInput            a file, flag or message from outside is wrong: say what, where, what instead (exit 2)
    │   ├── LawError        a control law breaks the law language; carries file, line and column
    │   ├── Missing         there is nothing of this name
    │   └── Damaged         records are not what was written: put a backup in their place
    ├── Refused             asked for correctly, but the answer is no: a gate, a signature, a frozen robot (exit 1)
    │   ├── SignatureInvalid    an artefact is not exactly what was approved for this robot
    │   ├── Conflict            the world moved on: a stale base, a changed hash, a lost compare-and-swap
    │   ├── Unavailable         a full disk, a database that does not answer: nothing was done, and later it may work
    │   └── Cancelled           somebody wants the work to end before it is done
    └── RobotFault          the robot or its link misbehaves: fall back to the last committed controller, then report

Anything else that escapes is a programming error (exit 3).
"""

from __future__ import annotations


class RemendError(Exception):
    """Base of every error that Remend raises on purpose."""

    exit_code = 3


class BadInput(RemendError):  # noqa: N818 the names say what happened, not that it is an error
    """Input from outside is wrong. The message is one sentence: what, where, what to do instead."""

    exit_code = 2


class LawError(BadInput):
    """A law is outside the law language. `line` and `column` count from 1."""

    def __init__(self, file: str, line: int, column: int, message: str) -> None:
        super().__init__(f"{file}:{line}:{column}: {message}")
        self.file = file
        self.line = line
        self.column = column
        self.message = message


class Missing(BadInput):
    """There is nothing of this name. The message suggests names that look like it."""


class Damaged(BadInput):
    """Records are not what was written. The message says where they are and what brings them back."""


class Refused(RemendError):  # noqa: N818
    """The request was understood and the answer is no."""

    exit_code = 1


class SignatureInvalid(Refused):
    """A signed artefact does not verify, or verifies for another robot, base or version."""


class Conflict(Refused):
    """A compare-and-swap lost: somebody else changed the state first."""


class Unavailable(Refused):
    """Nothing can be written down now, so nothing was done. The message says what is in the way."""


class Cancelled(Refused):
    """Somebody wants the work to end before it is done. The message says who, and why."""


class RobotFault(RemendError):  # noqa: N818
    """The robot or the link to it failed. Carries no recovery: the runtime has already fallen back."""
