"""Which controller version a robot is committed to, on its own disk: what it boots into after any crash.

Three levels: the committed version, the one committed before, the built-in baseline. An uncommitted candidate is never
here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from controllers.artefact import SIZE_CAPS, Artefact, artefact_from_files
from core.durable import write_atomically
from core.errors import BadInput

_FILE = "committed.json"
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """The robot's memory of commits."""

    committed: str | None  # sha256 of the artefact; None = built-in baseline
    previous: str | None
    version: int  # highest patch version ever accepted; only grows
    killed: str | None = None  # mark of the kill that holds; nothing but the baseline is booted then
    trust: int = 0  # highest exchange of keys ever accepted; only grows

    @property
    def is_sound(self) -> bool:
        """Whether these are values that `CommitFolder.write` may have written."""
        names = (self.committed, self.previous)
        if not (self.killed is None or type(self.killed) is str):
            return False
        return type(self.version) is type(self.trust) is int and all(
            n is None or (type(n) is str and _SHA.fullmatch(n)) for n in names
        )


class CommitFolder:
    """The pointer and the artefacts it names, in one folder of the robot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> Pointer:
        """The stored pointer; a missing or damaged one means the baseline, and never a guess."""
        try:
            data = json.loads((self._folder / _FILE).read_text(encoding="utf-8"))
            pointer = Pointer(
                committed=data["committed"],
                previous=data["previous"],
                version=data["version"],
                killed=data.get("killed"),
                trust=data.get("trust", 0),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pointer = None
        return pointer if pointer and pointer.is_sound else Pointer(committed=None, previous=None, version=0)

    def write(self, pointer: Pointer) -> None:
        """Replace the pointer atomically; it is on disk when this returns."""
        write_atomically(self._folder / _FILE, json.dumps(asdict(pointer)).encode())

    def keep(self, artefact: Artefact) -> None:
        """Store an artefact under its hash."""
        folder = self._folder / artefact.sha256
        folder.mkdir(exist_ok=True)
        for name, data in artefact.files.items():
            write_atomically(folder / name, data)

    def load(self, sha256: str) -> Artefact | None:
        """The stored artefact with this hash, or None if it is missing or not what its hash says."""
        folder = self._folder / sha256
        try:  # by name: a kill in the middle of `keep` may have left a draft beside the files
            files = {name: (folder / name).read_bytes() for name in SIZE_CAPS if (folder / name).exists()}
            artefact = artefact_from_files(sha256[:12], files)
        except (OSError, BadInput):
            return None
        return artefact if artefact.sha256 == sha256 else None

    def boot(self, baseline: Artefact) -> Artefact:
        """What to run now: committed, else previous, else the built-in baseline."""
        return next(self.boot_order(baseline))

    def boot_order(self, baseline: Artefact) -> Iterator[Artefact]:
        """The three levels that are on this disk, best first; the built-in baseline is always the last."""
        pointer = self.read()
        levels = () if pointer.killed is not None else (pointer.committed, pointer.previous)
        for sha256 in levels:
            artefact = None if sha256 is None else self.load(sha256)
            if artefact is not None:
                yield artefact
        yield baseline
