"""Graphs of ROS 2 processes; without rclpy there is nothing to test here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remend.keys import KeyRing
from tests.ros.graph import Graph

pytest.importorskip("rclpy", reason="the extra `ros` is not installed")


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    """A graph that also this process is on, and a home with keys that the robots trust."""
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
