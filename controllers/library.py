"""Where a robot's laws come from: a folder beside its robot.toml, or one of the laws that Remend ships."""

from __future__ import annotations

from controllers.artefact import Artefact, load_artefact, shipped_laws
from core.errors import BadInput
from core.robot import Robot


def find_law(robot: Robot, name: str) -> Artefact:
    """The law `name` of a robot; its own folder wins over a shipped law of the same name.

    Raises:
        BadInput: there is neither.
    """
    own = robot.folder / name
    if own.is_dir():
        return load_artefact(own)
    shipped = shipped_laws()
    if name not in shipped:
        known = ", ".join(shipped)
        raise BadInput(f"{robot.folder}: there is no law '{name}'; add a folder of that name, or use one of {known}")
    return load_artefact(shipped[name])
