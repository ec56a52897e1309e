"""The whole service as a user starts it: set up, a robot that degrades, a kill, a decision, the way back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from core.ids import new_id
from remend.audit import verify_home
from remend.service.client import Client
from remend.store import Store

ROOT = Path(__file__).parents[3]
PATIENCE_S = 420.0  # a loaded machine; idle it takes a tenth
FIRST = ("--sim", "--robot", "cartpole", "--fault", "sensor_bias:onset=2", "--seed", "1")


class Served:
    """A service in a process of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.log = home.parent / f"serve-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "remend", "serve", "--port", "0", *arguments],
                env={**os.environ, "REMEND_HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home.parent,
            )
        self.url = self.wait_for(lambda: self.said(r"serves 1 robot at (http://\S+)"))

    def said(self, pattern: str) -> str:
        found = re.search(pattern, self.log.read_text())
        return found.group(1) if found else ""

    def wait_for(self, check: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if answer := check():
                return answer
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.3)
        raise AssertionError(f"it did not happen within {PATIENCE_S:.0f} s: {self.log.read_text()}")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    running: list[Served] = []

    def begin(*arguments: str) -> Served:
        running.append(Served(tmp_path / "home", *arguments))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


def statuses(client: Client) -> dict[str, str]:
    return {patch.id: patch.status.value for patch in client.patches()}


@pytest.mark.e2e
def test_a_robot_is_healed_over_http_across_a_kill_and_taken_back(tmp_path: Path, start: Callable[..., Served]) -> None:
    home = tmp_path / "home"
    service = start(*FIRST)
    token = service.said(r"/setup\?token=(\S+)")
    with httpx.Client(base_url=service.url, headers={"sec-fetch-site": "same-origin"}) as browser:
        browser.post("/setup", data={"token": token, "name": "anna", "password": "correct horse battery"})
        made = browser.post("/api/v1/tokens", json={"label": "test", "role": "operator", "hours": 1})
    secret = made.json()["token"]

    with Client(service.url, secret) as client:
        waiting = service.wait_for(lambda: next(client.patches("awaiting_approval"), None))
        robot = client.robots()[0]
        assert robot.stage == "committed"
        assert robot.silent_s is not None

    service.end(signal.SIGKILL)
    service = start()  # it knows its robot
    with Client(service.url, secret) as client:
        patch = client.patch(waiting.id)
        assert patch.summary.status.value == "awaiting_approval"
        client.decide("approve", patch, "agreed with the shift")
        service.wait_for(lambda: statuses(client)[waiting.id] == "active")
        service.wait_for(lambda: client.robots()[0].active_sha == patch.candidate.result_sha)
        outcomes = service.wait_for(lambda: client.patch(waiting.id).outcomes)  # once it was watched for a while
        assert outcomes[-1].deployed

        order = client.roll_back("cartpole-sim1", "odd noise", new_id("key"))
        shown = service.wait_for(lambda: (found := client.order(order.order.id)).result and found)
        assert shown.result.done, shown.result.what
        assert statuses(client)[waiting.id] == "rolled_back"
        service.wait_for(lambda: client.robots()[0].active_sha == patch.candidate.base_sha)
        rest = {name: status for name, status in statuses(client).items() if name != waiting.id}
        assert "active" not in rest.values()

    assert service.end(signal.SIGTERM) == 0
    assert "Remend has stopped" in service.log.read_text()
    assert verify_home(home).ok
    with Store.open(home) as store:
        assert store.patch(waiting.id).approval is not None
    left = subprocess.run(["pgrep", "-f", str(home)], capture_output=True, text=True, check=False)
    assert not left.stdout.split(), "processes are left over"
