"""The robots that Remend ships, and the way from a name or path to a robot."""

from __future__ import annotations

import difflib
from pathlib import Path

import sim
from core.errors import BadInput
from core.robot import Robot
from core.robot_toml import load_robot

_FOLDER = Path(sim.__file__).parent / "robots"


def shipped_robots() -> dict[str, Path]:
    """Name -> robot.toml, sorted by name."""
    return {path.parent.name: path for path in sorted(_FOLDER.glob("*/robot.toml"))}


def find_robot(name: str) -> tuple[Robot, Path]:
    """The robot of a catalogue name, or of a path to a robot.toml.

    Raises:
        BadInput: neither exists, or the file is not right.
    """
    shipped = shipped_robots()
    if name in shipped:
        return load_robot(shipped[name]), shipped[name]
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        file = path / "robot.toml" if path.is_dir() else path
        return load_robot(file), file.resolve()
    near = difflib.get_close_matches(name, shipped, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(shipped)}, or the path of a robot.toml"
    raise BadInput(f"there is no robot '{name}'; {hint}")
