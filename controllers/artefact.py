"""The artefact: the few small files that are one version of a controller, addressed by the hash of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controllers.manifest import parse_manifest
from controllers.params import Value, parse_params, render_params
from core.errors import BadInput
from core.ids import sha256_of

# File name -> largest size [bytes]. The law's cap also keeps Python's parser within its own limits.
SIZE_CAPS = {
    "law.py": 64 * 1024,
    "manifest.toml": 64 * 1024,
    "params.toml": 64 * 1024,
    "weights.safetensors": 16 * 1024 * 1024,
}
REQUIRED = ("law.py", "manifest.toml", "params.toml")

LAWS = Path(__file__).parent / "laws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One controller version. `name` is for people and not part of the hash.

    Raises:
        BadInput: a file is missing, too large, or not one of the four that a controller consists of.
    """

    name: str
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        for file, data in self.files.items():
            if file not in SIZE_CAPS:
                raise BadInput(f"{self.name}/{file}: a controller is made of {_names(SIZE_CAPS)}; remove this file")
            if len(data) > SIZE_CAPS[file]:
                raise BadInput(f"{self.name}/{file}: {len(data)} bytes; keep it within {SIZE_CAPS[file]} bytes")
        for file in REQUIRED:
            if file not in self.files:
                raise BadInput(f"{self.name}/{file}: missing; a controller needs {_names(REQUIRED)}")
        object.__setattr__(self, "files", {file: bytes(self.files[file]) for file in sorted(self.files)})

    @property
    def sha256(self) -> str:
        """Hex sha256 over the canonical mapping file name -> sha256 of its bytes."""
        return sha256_of({file: hashlib.sha256(data).hexdigest() for file, data in self.files.items()})

    def __hash__(self) -> int:
        return hash(self.sha256)


def load_artefact(folder: Path) -> Artefact:
    """The artefact in `folder`, named after it. Links, sub-folders and foreign files are refused.

    Raises:
        BadInput: not a readable folder, or not the files of a controller.
    """
    files: dict[str, bytes] = {}
    try:
        entries = sorted(folder.iterdir())
        for entry in entries:
            if entry.name == "__pycache__":  # pip leaves one beside every .py that it installs
                continue
            label = f"{folder.name}/{entry.name}"
            if entry.name not in SIZE_CAPS:
                raise BadInput(f"{label}: a controller is made of {_names(SIZE_CAPS)}; remove this entry")
            if entry.is_symlink() or not entry.is_file():
                raise BadInput(f"{label}: not a regular file; put the file itself here")
            with entry.open("rb") as stream:
                # one byte more than allowed is enough to know, and a growing file cannot fill the memory
                files[entry.name] = stream.read(SIZE_CAPS[entry.name] + 1)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be read ({error.strerror}); give the folder of a controller") from error
    return artefact_from_files(folder.resolve().name, files)


def artefact_from_files(name: str, files: Mapping[str, bytes]) -> Artefact:
    """An artefact from bytes in memory; `files` is copied.

    Raises:
        BadInput: not the files of a controller.
    """
    return Artefact(name=name, files=files)


def with_params(artefact: Artefact, changes: Mapping[str, Value]) -> Artefact:
    """The same controller with some parameters set to new values; the text of params.toml is a function of the values.

    Raises:
        BadInput: an unknown name, a wrong length, or a value outside its declared bounds.
    """
    manifest = parse_manifest(artefact.files["manifest.toml"], f"{artefact.name}/manifest.toml")
    old = parse_params(artefact.files["params.toml"], manifest, f"{artefact.name}/params.toml")
    for name in changes:
        if name not in old:
            raise BadInput(f"{artefact.name}: no parameter {name!r}; it has {', '.join(old) or 'none'}")
    data = render_params(manifest, {**old, **changes})
    return artefact_from_files(artefact.name, {**artefact.files, "params.toml": data})


def shipped_laws() -> dict[str, Path]:
    """Name -> folder of the laws that come with Remend."""
    return {folder.name: folder for folder in sorted(LAWS.iterdir()) if (folder / "law.py").is_file()}


def _names(files: Mapping[str, int] | tuple[str, ...]) -> str:
    return ", ".join(files)
