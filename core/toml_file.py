"""TOML in and out: a table from bytes that anybody may have written, or one sentence about them; text from a table."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import BadInput


def read_toml(file: Path, *, what: str) -> dict[str, Any]:
    """The table in a file.

    Args:
        what: the file should be, for who has none: "a robot.toml".

    Raises:
        BadInput: it cannot be read, or is no TOML.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{file}: no such file; give the path of {what}") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror}); give the path of {what}") from None
    return parse_toml(data, str(file))


def parse_toml(data: bytes, file: str) -> dict[str, Any]:
    """The table in `data`, which is the content of `file`.

    Raises:
        BadInput: it is no TOML.
    """
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{file}: cannot be read as TOML (byte {error.start} is not UTF-8); save the file as UTF-8"
        ) from error
    except RecursionError as error:
        raise BadInput(f"{file}: nested too deeply; values are numbers, texts and lists of them") from error
    except ValueError as error:  # TOMLDecodeError, and integers with thousands of digits
        raise BadInput(f"{file}: cannot be read as TOML ({error}); correct that line") from error


def render_toml(table: Mapping[str, Any]) -> str:
    """TOML text of a table of texts, numbers, lists of them and tables; a list stays on one line."""
    return "\n".join(_lines(table)) + "\n"


def _lines(table: Mapping[str, Any], path: str = "") -> list[str]:
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            at = f"{path}{key}"
            inner = _lines(value, f"{at}.")
            plain = any(not isinstance(item, dict) for item in value.values())
            lines += ["", f"[{at}]", *inner] if plain else inner
    return lines
