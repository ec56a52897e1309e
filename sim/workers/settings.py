"""The settings of workers, as `[workers]` of remend.toml has them."""

from __future__ import annotations

from dataclasses import dataclass

from core.toml_table import Table
from sim.workers.limits import SLOTS

LEAST_MEMORY_MB = 128
_MOST_MEMORY_MB = 1 << 20
_LONGEST_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How simulations are run."""

    count: int = 0  # jobs at a time; 0 is one for each usable processor
    memory_mb: int = 1024  # that one job may take on top of the warm process
    timeout_s: float = 120.0  # wall time that one job may take
    bubblewrap: bool = True  # use it where it is installed
    address: str = ""  # of a Ray cluster that simulations run on; without one they run on this machine


def read_settings(table: Table) -> WorkerSettings:
    """Settings from a table of which only the keys that differ from the defaults need be there.

    Raises:
        BadInput: a key is not known, or a value is out of range.
    """
    default = WorkerSettings()
    read = WorkerSettings(
        count=table.whole("count", 0, SLOTS) if table.has("count") else default.count,
        memory_mb=(
            table.whole("memory_mb", LEAST_MEMORY_MB, _MOST_MEMORY_MB) if table.has("memory_mb") else default.memory_mb
        ),
        timeout_s=table.number("timeout_s", 1.0, _LONGEST_S) if table.has("timeout_s") else default.timeout_s,
        bubblewrap=table.flag("bubblewrap") if table.has("bubblewrap") else default.bubblewrap,
        address=table.text("address") if table.has("address") else default.address,
    )
    table.close()
    return read
