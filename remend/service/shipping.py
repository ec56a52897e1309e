"""Signed heads of the audit log go to the robot, and what the robot has kept is held against the log.

A robot that has kept a head which is not in the log means that somebody has put back an older database, or has written
another one. Until people have looked, nothing is brought onto this robot.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from controllers.host_status import HostStatus
from controllers.witness import FILE
from core.durable import write_atomically
from core.errors import RemendError
from remend import audit
from remend.audit import Head
from remend.links.link import RobotLink
from remend.store import Store


class Shipping:
    """The heads of one robot.

    Args:
        home: whose log it is.
    """

    def __init__(self, link: RobotLink, store: Store, home: Path) -> None:
        self._link, self._store, self._home = link, store, home
        self._seen = ""  # what the robot has kept, when it was looked at last
        self._why = ""
        self._sent = b""

    def turn(self, status: HostStatus) -> str:
        """Look at what the robot has kept, and send it what is newer.

        Returns:
            Why the log is not the one that the robot knows, in one sentence; empty if it is.
        """
        if status.audit_head and status.audit_head != self._seen:
            self._seen = status.audit_head
            self._why = self._objection(status.audit_head.encode())
        if not self._why:
            self._send(status.audit_head)
        return self._why

    def _objection(self, kept: bytes) -> str:
        robot_id = self._link.robot_id
        try:
            head = Head.from_json(kept)
        except RemendError:
            return ""  # it is none, so it says nothing; the robot takes the next one
        self._keep_copy(kept)
        with self._store.reading() as connection:
            why = audit.why_not_ours(connection, head)
        return f"{robot_id} has kept another audit log: {why}; run `remend audit verify`" if why else ""

    def _keep_copy(self, kept: bytes) -> None:
        """For `remend audit verify`, which asks no robot."""
        file = self._home / "robots" / self._link.robot_id / FILE
        if not file.exists() or file.read_bytes() != kept:
            write_atomically(file, kept)

    def _send(self, kept: str) -> None:
        newest = (self._home / audit.FILE).read_bytes()
        if newest in (self._sent, kept.encode()) or Head.from_json(newest).seq == 0:
            return
        with suppress(RemendError):  # not now; the next turn tries again, and a robot that objects says so by its head
            self._link.keep_head(newest)
            self._sent = newest
