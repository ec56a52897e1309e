"""`remend kill` and `remend rearm` on a simulated robot: through its folder, by signal, and over its link."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers.library import find_law
from core.block import Block
from core.robot_toml import load_robot
from remend.keys import KeyRing
from remend.links.simulated import SimulatedLink
from sim.catalogue import robot_file

PATIENCE_S = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def link(home: Path) -> Iterator[SimulatedLink]:
    toml = robot_file("arm2")
    robot = load_robot(toml)
    with SimulatedLink(
        robot,
        toml,
        robot_id="arm2-a",
        baseline=find_law(robot, robot.controller),
        trust=KeyRing.open(home).trust(),
        folder=home / "robots" / "run_1",
        spec="none",
        seed=1,
        learnt_s=1.0,
    ) as opened:
        for _ in opened.read(0.1):
            pass
        yield opened


def remend(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remend", *arguments],
        env={**os.environ, "REMEND_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def killed_within(link: SimulatedLink, ticks: int) -> str | None:
    for _ in link.read(ticks * 0.002):
        pass
    return link.status().killed


def test_kill_and_rearm_need_nothing_but_the_folder_and_the_key(home: Path, link: SimulatedLink) -> None:
    ran = remend(home, "kill", "arm2-a", "--reason", "it hums")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "arm2-a: killed (it hums)" in ran.stdout
    assert killed_within(link, 1) == "it hums"
    assert "it hums" in remend(home, "kill", "--all").stdout  # a second kill changes nothing
    for _ in link.read(0.5):
        pass
    key = home / "keys" / "operator.pem"
    aside = key.rename(home / "elsewhere.pem")
    refused = remend(home, "rearm", "arm2-a")
    assert refused.returncode == 2
    assert "operator.pem" in refused.stderr
    assert killed_within(link, 200) == "it hums"
    aside.rename(key)
    assert remend(home, "rearm", "run_1").returncode == 0
    deadline = time.monotonic() + PATIENCE_S
    while killed_within(link, 60) is not None:
        assert time.monotonic() < deadline
    again = remend(home, "rearm", "arm2-a")
    assert again.returncode == 1
    assert "not killed" in again.stderr


def test_a_kill_over_the_link(link: SimulatedLink) -> None:
    link.kill("from the page")
    assert killed_within(link, 1) == "from the page"


def test_a_kill_by_signal(link: SimulatedLink) -> None:
    os.kill(link.host_pid, signal.SIGUSR1)
    deadline = time.monotonic() + PATIENCE_S
    while killed_within(link, 1) is None:
        assert time.monotonic() < deadline
    assert link.status().killed == "signal SIGUSR1"
    assert link.status().rollback_reason == "killed: signal SIGUSR1"


@pytest.mark.parametrize("arguments", [("kill",), ("kill", "x", "--all"), ("kill", "nobody"), ("rearm", "nobody")])
def test_a_kill_of_nobody_is_refused_in_one_sentence(home: Path, arguments: tuple[str, ...]) -> None:
    ran = remend(home, *arguments)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("paced", [False, True])
def test_a_hold_over_the_link(link: SimulatedLink, paced: bool) -> None:
    if paced:
        link.pace()
    link.hold("a visitor")
    for _ in link.read(1.2):
        pass
    rows = Block.join(list(link.read(0.3)))
    assert (rows.group("q_ref") == rows.group("q_ref")[0]).all(), "telemetry says what the robot follows"
    assert not rows.group("qd_ref").any()
    assert abs(rows.group("qd")).max() < 0.1
    assert link.status().held == "a visitor"
    link.resume()
    for _ in link.read(1.5):
        pass
    rows = Block.join(list(link.read(1.0)))
    assert rows.group("qd_ref").any()
    assert (link.status().held, set(link.status().commands)) == (None, {"a"})
