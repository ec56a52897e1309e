"""The telemetry that an incident was explained with, kept so that a service that was started anew explains it alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.block import Block
from core.durable import write_atomically
from core.ports import Ports

HEAD = "head.rows"
_AROUND, _AFTER = "around.rows", "after.rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """What the twin of an incident was fitted to."""

    around: Block  # before and across the onset
    after: Block  # under the fault


def keep_case(folder: Path, case: CaseFile) -> None:
    """Write it into the folder of its incident, replacing what is there."""
    keep_rows(folder / _AROUND, case.around)
    keep_rows(folder / _AFTER, case.after)


def read_case(folder: Path, ports: Ports) -> CaseFile | None:
    """What was kept; None if nothing was, or not all of it."""
    around, after = (read_rows(folder / name, ports) for name in (_AROUND, _AFTER))
    return None if around is None or after is None else CaseFile(around=around, after=after)


def keep_rows(file: Path, block: Block) -> None:
    """Write telemetry to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, block.to_bytes())


def read_rows(file: Path, ports: Ports) -> Block | None:
    """Telemetry from a file; None if there is none, or it is of another robot."""
    try:
        return Block.from_bytes(file.read_bytes(), ports.joints, ports.actuators)
    except (OSError, ValueError):
        return None
