"""A shipped arm law for an arm with another number of joints.

The shipped laws are written for seven joints. Every loop of theirs runs over the joints and every list has one entry
per joint, so another arm needs other lengths, and values, ranges and units of its own; all else stays the same.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controllers.artefact import Artefact, artefact_from_files
from controllers.manifest import parse_manifest
from controllers.params import Value, render_params
from core.toml_file import parse_toml, render_toml

_SIZED = ("params", "states", "scratch", "outputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one parameter is on an arm. Lists have one entry per joint, a number stands for itself."""

    value: Value
    low: Value
    high: Value
    unit: str | list[str]

    @classmethod
    def of(cls, value: Value, low: Value, high: Value, unit: str | list[str]) -> Setting:
        """A setting whose bounds and units are written once where all joints share them."""
        return cls(value=value, low=_shared(low), high=_shared(high), unit=_shared(unit))


def _shared(entries: Any) -> Any:
    same = isinstance(entries, list) and len(set(entries)) == 1
    return entries[0] if same else entries


def fit_law(
    shipped: Artefact, joints: int, settings: Mapping[str, Setting], command_units: list[str], summary: str
) -> Artefact:
    """The law `shipped` for an arm with `joints` joints.

    Args:
        settings: name -> setting, for every parameter of the law.
        command_units: of the law's output, one per joint.
        summary: the manifest's one line.

    Raises:
        BadInput: a setting that is missing, or that contradicts itself.
        ValueError: the law has a loop or list that is not one entry per joint.
    """
    manifest = parse_toml(shipped.files["manifest.toml"], f"{shipped.name}/manifest.toml")
    old = _table(manifest, "outputs", "tau")["size"]
    for group in _SIZED:
        for name in _names(manifest, group):
            table = _table(manifest, group, name)
            if table.get("size", old) != old:
                raise ValueError(
                    f"{shipped.name}: {name} has {table['size']} entries, not one for each of {old} joints"
                )
            if "size" in table:
                table["size"] = joints
    for name, setting in settings.items():
        table = _table(manifest, "params", name)
        table["unit"], table["low"], table["high"] = setting.unit, setting.low, setting.high
    _table(manifest, "outputs", "tau")["unit"] = _shared(command_units)
    manifest["summary"] = summary
    data = render_toml(manifest).encode()
    files = {
        "law.py": _resized(shipped, int(old), joints),
        "manifest.toml": data,
        "params.toml": render_params(
            parse_manifest(data, f"{shipped.name}/manifest.toml"),
            {name: setting.value for name, setting in settings.items()},
        ),
    }
    return artefact_from_files(shipped.name, files)


def _names(manifest: dict[str, Any], group: str) -> list[str]:
    return list(manifest.get(group, {}))


def _table(manifest: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    table: dict[str, Any] = manifest[group][name]
    return table


def _resized(shipped: Artefact, old: int, joints: int) -> bytes:
    """law.py with every `range(old)` as `range(joints)`, found in the syntax tree: no other number is touched."""
    source = shipped.files["law.py"].decode()
    lines = source.splitlines(keepends=True)
    lengths = [node.args[0] for node in ast.walk(ast.parse(source)) if _is_range(node) and isinstance(node, ast.Call)]
    # From the end to the start: a replacement moves only what comes after it. Columns count bytes of UTF-8.
    for length in sorted(lengths, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        if not isinstance(length, ast.Constant) or length.value != old:
            raise ValueError(f"{shipped.name}/law.py:{length.lineno}: a loop that does not run over the {old} joints")
        row = lines[length.lineno - 1].encode()
        row = row[: length.col_offset] + str(joints).encode() + row[length.end_col_offset :]
        lines[length.lineno - 1] = row.decode()
    return "".join(lines).encode()


def _is_range(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"
