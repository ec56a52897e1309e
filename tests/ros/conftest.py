"""Graphs of ROS 2 processes; without rclpy there is nothing to test here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from remend.keys import KeyRing

if TYPE_CHECKING:
    from tests.ros.graph import Graph

if find_spec("rclpy") is None:  # the extra `ros` is not installed
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    """A graph that also this process is on, and a home with keys that the robots trust."""
    from tests.ros.graph import Graph  # noqa: PLC0415 needs rclpy

    home = tmp_path / "home"
    home.mkdir()
    made = Graph(tmp_path, home)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    (home / "trust.json").write_bytes(KeyRing.open(home).trust().to_json())
    try:
        yield made
    finally:
        made.close()
