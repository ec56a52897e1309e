"""Files of other projects are the ones that their packages bring, and every one of them is named."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("remend/web/static/vendor", "tests/browser/vendor")


@pytest.mark.parametrize("folder", FOLDERS)
def test_vendored_files_are_named_and_unchanged(folder: str) -> None:
    listed = tomllib.loads((ROOT / folder / "VENDOR.toml").read_text())["file"]
    found = {path.name for path in (ROOT / folder).iterdir()} - {"VENDOR.toml"}
    assert {each["name"] for each in listed} == found
    for each in listed:
        assert hashlib.sha256((ROOT / folder / each["name"]).read_bytes()).hexdigest() == each["sha256"], each["name"]
        assert each["version"] in each["name"]
        assert each["licence"]
        assert each["integrity"].startswith("sha512-")
