"""The parameter values of a controller: read, checked against the manifest, compared, and written back.

params.toml holds values only; units and bounds are declared in the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controllers.manifest import Manifest, read_entries, wanted
from core.errors import BadInput
from core.toml_file import parse_toml

Value = float | list[float]

STEP_TOLERANCE = 1e-9  # of the range: rounding must not refuse a step of exactly max_step


def parse_params(data: bytes, manifest: Manifest, file: str = "params.toml") -> dict[str, Value]:
    """Name -> value, in the manifest's order, every one inside its bounds.

    Raises:
        BadInput: an undeclared or missing parameter, a wrong length, a value that is not finite or out of bounds.
    """
    return check_values(manifest, parse_toml(data, file), file)


def check_values(manifest: Manifest, values: Mapping[str, object], file: str = "params.toml") -> dict[str, Value]:
    """The same values as plain floats and lists, proven complete and inside the declared bounds.

    Raises:
        BadInput: see `parse_params`.
    """
    for name in values:
        if name not in manifest.params:
            raise BadInput(f"{file}: {name}: not declared; add [params.{name}] to manifest.toml or remove the value")
    checked: dict[str, Value] = {}
    for name, param in manifest.params.items():
        if name not in values:
            raise BadInput(f"{file}: {name}: missing; give {wanted(param.size)} in {param.unit}")
        value = values[name]
        if hasattr(value, "tolist"):  # an array from an optimiser
            value = value.tolist()
        if param.size is not None and not isinstance(value, Sequence):
            raise BadInput(f"{file}: {name}: is one number; give {wanted(param.size)}")
        entries = read_entries(value, param.size, f"{file}: {name}")
        for index, (entry, low, high) in enumerate(zip(entries, param.low, param.high, strict=True)):
            if not low <= entry <= high:
                where = name if param.size is None else f"{name}[{index}]"
                raise BadInput(
                    f"{file}: {where}: {entry!r} is outside [{low!r}, {high!r}] {param.units[index]}; choose one inside"
                )
        checked[name] = entries[0] if param.size is None else list(entries)
    return checked


def check_step(manifest: Manifest, old: Mapping[str, Value], new: Mapping[str, Value]) -> None:
    """Holds one patch to the bounds and to `max_step` of every parameter, entry by entry.

    Raises:
        BadInput: `new` leaves the bounds, or moves a parameter farther than one patch may.
    """
    before = check_values(manifest, old, "old values")
    after = check_values(manifest, new, "new values")
    for name, param in manifest.params.items():
        pairs = zip(_listed(before[name]), _listed(after[name]), param.low, param.high, strict=True)
        for index, (was, becomes, low, high) in enumerate(pairs):
            allowed = param.max_step * (high - low)
            if abs(becomes - was) > allowed + STEP_TOLERANCE * (high - low):
                where = name if param.size is None else f"{name}[{index}]"
                unit = param.units[index]
                raise BadInput(
                    f"{where}: a step from {was!r} to {becomes!r} {unit} is more than one patch may change it;"
                    f" stay within {allowed!r} {unit} of the old value"
                )


def render_params(manifest: Manifest, values: Mapping[str, Value]) -> bytes:
    """params.toml for these values: the manifest's order, shortest floats that read back the same.

    Raises:
        BadInput: see `parse_params`.
    """
    lines = []
    for name, value in check_values(manifest, values).items():
        text = repr(value) if isinstance(value, float) else f"[{', '.join(repr(entry) for entry in value)}]"
        lines.append(f"{name} = {text} # {manifest.params[name].unit}\n")
    return "".join(lines).encode()


def _listed(value: Value) -> list[float]:
    return value if isinstance(value, list) else [value]
