"""The same request in two homes gives the same healing, figure for figure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("heal")]


def heal(home: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "remend", "heal", "--fault", "sensor_bias:joint=2,rad=0.05", "--seed", "4"]
    ran = subprocess.run(
        command, env={**os.environ, "REMEND_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def test_the_same_healing_twice_gives_the_same_figures(tmp_path: Path) -> None:
    one, other = (heal(tmp_path / name) for name in ("one", "other"))
    assert one["patch"].pop("id") != other["patch"].pop("id")
    assert one.pop("wall_s") > 0
    assert other.pop("wall_s") > 0
    assert one == other
    assert one["deployed"]
    assert one["diagnosis"][0]["cause"] == "sensor_bias"
    assert one["metrics"]["rms_tracking_error"]["patched"] > 0  # there were figures to compare
