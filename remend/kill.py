"""`remend kill` and `remend rearm`: they work on the robot's folder alone, with the service and even the host dead."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from controllers.latch import Kill, KillLatch, read_identity, sign_rearm
from core.errors import BadInput, Refused
from remend.keys import load_key


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotFolder:
    """Where one robot of this home keeps what it is committed to."""

    robot_id: str
    folder: Path


def robot_folders(home: Path) -> list[RobotFolder]:
    """The robots that have a folder in this home, in order of their ids."""
    found = [(read_identity(folder), folder) for folder in (home / "robots").glob("*") if folder.is_dir()]
    named = [RobotFolder(robot_id=robot_id, folder=folder) for robot_id, folder in found if robot_id is not None]
    return sorted(named, key=lambda robot: robot.robot_id)


def find_robot_folder(home: Path, name: str) -> RobotFolder:
    """The robot called `name`, which may be its id or the name of its folder.

    Raises:
        BadInput: there is none.
    """
    robots = robot_folders(home)
    for robot in robots:
        if name in (robot.robot_id, robot.folder.name):
            return robot
    known = ", ".join(robot.robot_id for robot in robots[-5:]) or "none"
    raise BadInput(f"{home}: no robot '{name}' has a folder here; it has {known}")


def kill_robot(robot: RobotFolder, reason: str) -> Kill:
    """Latch the kill switch of a robot. Its loop sees it in the next tick; one that is off sees it when it starts.

    Raises:
        Refused: the folder cannot be written.
    """
    try:
        with closing(KillLatch(robot.folder)) as latch:
            kill = latch.read()
            if kill is None:
                kill = Kill.because(reason)
                latch.set(kill)
    except OSError as error:
        why = error.strerror or str(error)
        raise Refused(f"{robot.folder}: cannot be written ({why}); send SIGUSR1 to the robot's host instead") from None
    return kill


def rearm_robot(robot: RobotFolder, home: Path) -> Kill:
    """Sign a re-arming with the operator's key of this home and leave it for the robot's host.

    Raises:
        Refused: the robot is not killed, or its folder cannot be written.
        BadInput: there is no operator's key here.
    """
    try:
        with closing(KillLatch(robot.folder)) as latch:
            if not latch.is_set:
                raise Refused(f"{robot.robot_id} is not killed; there is nothing to re-arm")
            kill = latch.read()
            if kill is None:  # put there by hand, and no host has seen it yet
                kill = Kill.because("put there by hand")
                latch.set(kill)
            latch.request(sign_rearm(robot.robot_id, kill.mark, load_key(home, "operator")))
    except OSError as error:
        raise Refused(f"{robot.folder}: cannot be written ({error.strerror}); free its disk") from None
    return kill
