"""Which controller version a robot is committed to, on its own disk: what it boots into after any crash.

Three levels: the committed version, the one committed before, the built-in baseline. An uncommitted candidate is never
here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from controllers.artefact import Artefact, artefact_from_files
from core.durable import write_atomically
from core.errors import BadInput

_FILE = "committed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """The robot's memory of commits."""

    committed: str | None  # sha256 of the artefact; None = built-in baseline
    previous: str | None
    version: int  # highest patch version ever accepted; only grows


class CommitFolder:
    """The pointer and the artefacts it names, in one folder of the robot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> Pointer:
        """The stored pointer; a missing or damaged one means the baseline, and never a guess."""
        try:
            data = json.loads((self._folder / _FILE).read_text(encoding="utf-8"))
            return Pointer(committed=data["committed"], previous=data["previous"], version=int(data["version"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Pointer(committed=None, previous=None, version=0)

    def write(self, pointer: Pointer) -> None:
        """Replace the pointer atomically; it is on disk when this returns."""
        values = {"committed": pointer.committed, "previous": pointer.previous, "version": pointer.version}
        write_atomically(self._folder / _FILE, json.dumps(values).encode())

    def keep(self, artefact: Artefact) -> None:
        """Store an artefact under its hash."""
        folder = self._folder / artefact.sha256
        folder.mkdir(exist_ok=True)
        for name, data in artefact.files.items():
            write_atomically(folder / name, data)

    def load(self, sha256: str) -> Artefact | None:
        """The stored artefact with this hash, or None if it is missing or not what its hash says."""
        folder = self._folder / sha256
        try:
            artefact = artefact_from_files(sha256[:12], {p.name: p.read_bytes() for p in folder.iterdir()})
        except (OSError, BadInput):
            return None
        return artefact if artefact.sha256 == sha256 else None

    def boot(self, baseline: Artefact) -> Artefact:
        """What to run now: committed, else previous, else the built-in baseline."""
        pointer = self.read()
        for sha256 in (pointer.committed, pointer.previous):
            if sha256 is not None:
                artefact = self.load(sha256)
                if artefact is not None:
                    return artefact
        return baseline
