"""Marks in a robot's folder, which outlive restarts: `FREEZE`, it takes no patch; `HOLD`, it stays where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.durable import write_atomically

FREEZE, HOLD = "FREEZE", "HOLD"
_MOST = 500  # characters of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One file in one robot's folder; `touch` sets it too."""

    folder: Path
    name: str

    def why(self) -> str | None:
        """The reason, None where the mark is not set; a file that cannot be read counts as set."""
        try:
            text = (self.folder / self.name).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{self.name} cannot be read ({error.strerror})"
        return text[:_MOST] or f"the file {self.name} was put into the robot's folder"

    def set(self, reason: str) -> None:
        """Set it; on disk when this returns."""
        write_atomically(self.folder / self.name, reason[:_MOST].encode())

    def lift(self) -> None:
        """Take the file away."""
        (self.folder / self.name).unlink(missing_ok=True)
