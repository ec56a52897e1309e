"""Robots by name: the shipped ones, those of installed packages (entry points `remend.robots`), and any robot.toml."""

from __future__ import annotations

import difflib
import os
from importlib.metadata import EntryPoint
from pathlib import Path

from core.errors import BadInput
from core.extensions import load, points
from core.robot import Robot
from core.robot_toml import load_robot

_GROUP = "remend.robots"
_FOLDER = Path(__file__).parent / "robots"


def shipped_robots() -> dict[str, Path]:
    """Name -> robot.toml of the robots that Remend ships, sorted by name."""
    return {path.parent.name: path for path in sorted(_FOLDER.glob("*/robot.toml"))}


def robot_names() -> list[str]:
    """Names of the shipped robots, then of the installed ones. Nothing is imported."""
    shipped = list(shipped_robots())
    return shipped + sorted({point.name for point in points(_GROUP)} - set(shipped))


def robot_files() -> dict[str, Path]:
    """Name -> robot.toml of all of them.

    Raises:
        BadInput: an entry point cannot be loaded, leads to no path, or takes a name that is taken.
    """
    found = shipped_robots()
    for point in points(_GROUP):
        if point.name in found:
            raise BadInput(f"entry point of {_GROUP}: the name '{point.name}' is taken; give {point.value} another one")
        found[point.name] = _file_of(point)
    return found


def robot_file(name: str | os.PathLike[str]) -> Path:
    """The robot.toml of a robot in the catalogue, or at a path: that of the file, or of the folder that holds it.

    Raises:
        BadInput: neither exists.
    """
    text, path = str(name), Path(name)
    shipped = shipped_robots()
    if text in shipped:
        return shipped[text]
    known = robot_files()
    if text in known:
        return known[text]
    if path.suffix.lower() in (".urdf", ".xacro"):
        raise BadInput(f"{text}: a robot is a robot.toml, which says more than a URDF; `remend init --urdf` makes one")
    if path.suffix == ".toml" or path.exists():
        return _toml_at(path)
    near = difflib.get_close_matches(text, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}, or the path of a robot.toml"
    raise BadInput(f"there is no robot '{text}'; {hint}")


def find_robot(name: str | os.PathLike[str]) -> Robot:
    """The robot of a catalogue name, or of a path to a robot.toml.

    Raises:
        BadInput: neither exists, or the file is not right.
    """
    return load_robot(robot_file(name))


def _file_of(point: EntryPoint) -> Path:
    """The path that an entry point names, or that the function it names returns."""
    value, where = load(point), f"entry point {point.name} of {_GROUP}"
    if callable(value):
        try:
            value = value()
        except Exception as error:
            raise BadInput(f"{where} gives no robot ({error}); correct or uninstall {point.value}") from error
    if not isinstance(value, (str, os.PathLike)):
        raise BadInput(f"{where} must lead to the path of a robot.toml; correct {point.value}")
    return _toml_at(Path(value))


def _toml_at(path: Path) -> Path:
    return (path / "robot.toml" if path.is_dir() else path).resolve()
