"""A robot's files as bytes, so that another machine has the same robot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import BadInput
from core.robot import Robot

MOST_BYTES = 256 << 20
_FOLDER, _URDF = "robot", "urdf"  # subfolders where they arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A robot, and what its folder and the folder of its URDF hold."""

    robot: Robot
    files: dict[str, bytes]  # path where they arrive -> content

    def unpack(self, folder: Path) -> Robot:
        """The robot, with its files in `folder`."""
        for name, content in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        robot = self.robot
        if robot.urdf.is_relative_to(robot.folder):
            return replace(robot, folder=folder / _FOLDER, urdf=folder / _FOLDER / robot.urdf.relative_to(robot.folder))
        return replace(robot, folder=folder / _FOLDER, urdf=folder / _URDF / robot.urdf.name)


def pack(robot: Robot) -> Parcel:
    """Read a robot's files.

    Raises:
        BadInput: they are so large that its folder cannot be for the robot alone.
    """
    files: dict[str, bytes] = {}
    size = 0
    for name, file in _files(robot):
        size += file.stat().st_size
        if size > MOST_BYTES:
            raise BadInput(
                f"{file.parent}: a cluster gets the robot's files, and there are more than {MOST_BYTES >> 20} MB; "
                "keep robot.toml, URDF and meshes in a folder of their own"
            )
        files[name] = file.read_bytes()
    return Parcel(robot=robot, files=files)


def _files(robot: Robot) -> Iterator[tuple[str, Path]]:
    roots = [(_FOLDER, robot.folder)]
    if not robot.urdf.is_relative_to(robot.folder):
        roots.append((_URDF, robot.urdf.parent))
    for name, root in roots:
        for file in sorted(root.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"{name}/{file.relative_to(root)}", file
