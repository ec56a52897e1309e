"""TOML files: a table, or one sentence that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadInput
from core.toml_file import parse_toml, read_toml
from core.toml_table import Table


def test_a_table_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('name = "ä"\n')
    assert read_toml(file, what="a file") == {"name": "ä"} == parse_toml('name = "ä"'.encode(), "a.toml")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a = ", "cannot be read as TOML"),
        (b"ok = 1\n\xff", "byte 7 is not UTF-8"),
        (b"a = " + b"[" * 20000 + b"]" * 20000, "nested too deeply"),
        (b"a = " + b"9" * 20000, "cannot be read as TOML"),
        (b"a = 1\na = 2\n", "cannot be read as TOML"),
    ],
)
def test_what_is_no_toml_is_named_with_its_file(data: bytes, why: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_toml(data, "a.toml")
    assert str(refusal.value).startswith("a.toml: ")
    assert why in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_a_file_that_cannot_be_had_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file; give the path of a robot"):
        read_toml(tmp_path / "absent.toml", what="a robot")
    with pytest.raises(BadInput, match=r"cannot be read .* give the path of a robot"):
        read_toml(tmp_path, what="a robot")


@pytest.mark.parametrize("value", ["../law", "a/b", "a.b", "", " a", "a\nb"])
def test_a_name_is_never_a_path(value: str, tmp_path: Path) -> None:
    table = Table(tmp_path / "a.toml", {"law": value, "own": "my_law2"})
    assert table.name("own") == "my_law2"
    with pytest.raises(BadInput, match="law must be"):
        table.name("law")
