"""The freeze of one robot: while its file is in the robot's folder, no patch is accepted or goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.durable import write_atomically

FREEZE_FILE = "FREEZE"
_MOST = 500  # characters of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """The file in one robot's folder. It outlives restarts; `touch FREEZE` freezes too."""

    folder: Path

    def why(self) -> str | None:
        """The reason, None where the robot is not frozen; a file that cannot be read freezes."""
        try:
            text = (self.folder / FREEZE_FILE).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{FREEZE_FILE} cannot be read ({error.strerror})"
        return text[:_MOST] or f"the file {FREEZE_FILE} was put into the robot's folder"

    def set(self, reason: str) -> None:
        """Latch; on disk when this returns."""
        write_atomically(self.folder / FREEZE_FILE, reason[:_MOST].encode())

    def lift(self) -> None:
        """Take the file away."""
        (self.folder / FREEZE_FILE).unlink(missing_ok=True)
