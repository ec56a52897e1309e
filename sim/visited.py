"""Where a run went: positions, speeds and commands, so that a gate can tell whether evidence covers an incident."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.block import Array, Block
from core.robot import Robot

_BOUNDLESS = 1e6  # of a range; a heading or a wheel that turns for ever is nowhere new
_BEYOND = 1e12  # where a run that came apart has been


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """Smallest and largest value of each quantity in one run."""

    low: tuple[float, ...]
    high: tuple[float, ...]


NOWHERE = Visited(low=(), high=())  # of a run that kept no account of it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """Telemetry as rows of the same quantities."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    rows: Array  # (N, quantities)


def _bounded(robot: Robot) -> list[int]:
    """Coordinates whose position has a range."""
    spans = np.array(robot.limits.upper) - robot.limits.lower
    return [int(i) for i in np.flatnonzero(spans < _BOUNDLESS)]


def quantities(robot: Robot) -> int:
    """How many there are."""
    return len(_bounded(robot)) + robot.dof + len(robot.actuators)


def visited(robot: Robot, measured: Array, path: Array, command: Array) -> Visited:
    """Where a run went.

    Args:
        measured: (N, n) positions as the sensors say, with a fault's offset and all.
        path: (N, n) positions without noise, whose differences are the speeds.
        command: (N, m).
    """
    measured, path, command = (
        np.nan_to_num(rows, posinf=_BEYOND, neginf=-_BEYOND) for rows in (measured, path, command)
    )
    speed = np.diff(path, axis=0, append=path[-1:]) * robot.control_rate_hz
    rows = np.hstack([measured[:, _bounded(robot)], speed, command])
    return Visited(low=tuple(rows.min(axis=0).tolist()), high=tuple(rows.max(axis=0).tolist()))


def stretch(robot: Robot, block: Block) -> Stretch:
    """Telemetry as the quantities that `visited` keeps."""
    bounded = _bounded(robot)
    return Stretch(
        names=(
            *(f"position of {robot.joints[i]}" for i in bounded),
            *(f"speed of {name}" for name in robot.joints),
            *(f"command of {name}" for name in robot.actuators),
        ),
        units=(
            *(robot.units[i] for i in bounded),
            *(f"{unit}/s" for unit in robot.units),
            *(robot.command_unit for _ in robot.actuators),
        ),
        rows=np.hstack([block.group("q")[:, bounded], block.group("qd"), block.group("tau_cmd")]),
    )
