"""The robots of a service, and how each is reached."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from core.ids import sha256_of
from remend import ledger, tables
from remend.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotEntry:
    """A robot that the service looks after. A later entry with the same id takes the place of the one before."""

    robot_id: str  # name in signatures and records
    model: str  # catalogue name, or path of a robot.toml
    link: str  # how it is reached: "sim" or "ros"
    fault: str  # hidden fault of a simulated robot, in the catalogue's notation; "none" for others
    seed: int  # of a simulated robot's physics, noise and work; of searches
    at_ns: int  # UTC
    namespace: str = ""  # of its ROS 2 nodes
    simulated: bool = True  # whether nobody can come to harm
    law: str = ""  # folder of the law that models the robot's own controller; without one Remend drives it


def enter(journal: Journal, entry: RobotEntry) -> None:
    """Have the service look after a robot; the entry that it has already changes nothing."""
    known = entered(journal.connection).get(entry.robot_id)
    if known is None or replace(known, at_ns=entry.at_ns) != entry:
        subject = (entry.robot_id, sha256_of(entry.robot_id))
        journal.record(tables.robots, "robot", subject, entry, robot_id=entry.robot_id)


def entered(connection: Connection) -> dict[str, RobotEntry]:
    """Every robot by its id, in the order in which they came."""
    return {entry.robot_id: entry for entry in ledger.records(connection, tables.robots, RobotEntry)}
