"""A robot that degrades, healed through the pages of the real service: by mouse, by keyboard, and without scripts.

One service finds the fault and proves a patch, and is ended; three others go on from copies of its home, and a person
decides at each of them in another way.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.status import PatchStatus
from remend.audit import verify_home
from remend.store import Store

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; it is in the dev extra")
expect = api.expect

ROOT = Path(__file__).parents[2]
PATIENCE_S = 420.0  # a loaded machine; idle it takes a tenth
ROBOT = "cartpole-sim1"
FIRST = ("--sim", "--robot", "cartpole", "--fault", "sensor_bias:onset=2", "--seed", "1")
PASSWORD = "correct horse battery"  # noqa: S105 of a test
WAYS = ("mouse", "keyboard", "no scripts")


class Service:
    """`remend serve` in a process of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._log = home.parent / f"{home.name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "remend", "serve", "--port", "0", *arguments],
                env={**os.environ, "REMEND_HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home.parent,
            )

    @property
    def url(self) -> str:
        return self.wait_for(lambda: self.said(r"serves 1 robot at (http://\S+)"))

    def said(self, pattern: str) -> str:
        found = re.search(pattern, self._log.read_text())
        return found.group(1) if found else ""

    def wait_for(self, check: Callable[[], str]) -> str:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if answer := check():
                return answer
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.3)
        raise AssertionError(f"it did not happen within {PATIENCE_S:.0f} s: {self._log.read_text()}")

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)


@pytest.fixture
def running() -> Iterator[list[Service]]:
    services: list[Service] = []
    yield services
    for each in services:
        each.end()


def in_status(home: Path, status: PatchStatus) -> str:
    with Store.open(home) as store:
        found = store.in_status(ROBOT, status)
    return found[0].id if found else ""


class Visitor:
    """A browser at a service; what it complains of and where it goes is written down."""

    def __init__(self, browser: Any, url: str, **how: Any) -> None:
        self._context = browser.new_context(base_url=url, **how)
        self._context.set_default_timeout(PATIENCE_S * 1000)
        self.page = self._context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.on("request", lambda sent: self.complaints.append(sent.url) if not sent.url.startswith(url) else None)

    def close(self) -> None:
        assert self.complaints == []
        self._context.close()


def set_up(page: Any, link: str) -> None:
    page.goto(link)
    page.get_by_label("Your name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Become the first admin").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


def with_the_mouse(page: Any, patch_id: str) -> None:
    page.goto("/")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator(f".go[href='/patches/{patch_id}']").click()
    page.get_by_role("radio", name="Approve").click()
    page.get_by_label("Reason").fill("it does what it should")
    page.locator("button.effect").click()
    expect(page.locator(".decision")).to_contain_text("anna approved this patch")
    page.get_by_role("link", name="The way to the robot, live").click()
    expect(page.locator("#standing .pill").first).to_have_text("active", timeout=PATIENCE_S * 1000)


def with_the_keyboard(page: Any, patch_id: str) -> None:
    page.goto("/")
    press = page.keyboard.press
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("anna")
    press("Tab")
    page.keyboard.type(PASSWORD)
    press("Enter")
    row = page.locator(f".go[href='/patches/{patch_id}']")
    expect(row).to_be_visible()
    for _ in range(20):
        press("j")
        if row.evaluate("(each) => each === document.activeElement"):
            break
    expect(row).to_be_focused()
    press("Enter")
    expect(page.locator("#decision")).to_be_attached()
    press("d")
    press("Tab")
    press("Space")
    expect(page.get_by_role("radio", name="Approve")).to_be_checked()
    press("Tab")
    page.keyboard.type("it does what it should")
    press("Tab")
    expect(page.locator("button.effect")).to_be_focused()
    press("Enter")
    expect(page.locator(".decision")).to_contain_text("anna approved this patch")
    way = page.get_by_role("link", name="The way to the robot, live")
    for _ in range(80):
        press("Shift+Tab")
        if way.evaluate("(each) => each === document.activeElement"):
            break
    expect(way).to_be_focused()
    press("Enter")
    expect(page.locator("#standing .pill").first).to_have_text("active", timeout=PATIENCE_S * 1000)


def without_scripts(page: Any, patch_id: str) -> None:
    page.goto("/")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator(f".go[href='/patches/{patch_id}']").click()
    page.get_by_role("radio", name="Approve").check()
    page.get_by_label("Reason").fill("it does what it should")
    page.locator("button.effect").click()
    expect(page.locator(".decision")).to_contain_text("anna approved this patch")
    page.get_by_role("link", name="The way to the robot, live").click()
    end = time.monotonic() + PATIENCE_S
    while page.locator("#standing .pill").first.inner_text() != "active":
        assert time.monotonic() < end, page.locator("#standing").inner_text()
        time.sleep(0.5)
        page.reload()


ACTS = {"mouse": with_the_mouse, "keyboard": with_the_keyboard, "no scripts": without_scripts}


@pytest.mark.e2e
def test_a_robot_is_healed_through_the_pages_in_every_way(tmp_path: Path, running: list[Service], browser: Any) -> None:
    first = Service(tmp_path / "first", *FIRST)
    running.append(first)
    visitor = Visitor(browser, first.url)
    set_up(visitor.page, first.said(r"(http://\S+/setup\?token=\S+)"))
    inbox = visitor.page.locator(".rows .go[href^='/patches/']").first
    expect(inbox).to_be_visible(timeout=PATIENCE_S * 1000)  # by itself: nobody loads the page anew
    visitor.close()
    first.end()
    patch_id = in_status(first.home, PatchStatus.AWAITING_APPROVAL)
    assert patch_id
    for way in WAYS:
        shutil.copytree(first.home, tmp_path / way)
        running.append(Service(tmp_path / way))
    for way, service in zip(WAYS, running[1:], strict=True):
        visitor = Visitor(browser, service.url, java_script_enabled=way != "no scripts")
        ACTS[way](visitor.page, patch_id)
        visitor.close()
        service.end()
        assert in_status(service.home, PatchStatus.ACTIVE) == patch_id, way
        assert verify_home(service.home).ok, way
