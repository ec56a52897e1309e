"""How soon the dashboard is there: pages in a browser, from the click to the last picture, with 10,000 incidents.

The home is one that a service made: `remend serve --sim` heals a robot up to the decision, and is ended. Its incident
is then copied (`remend.bench.crowd`). Pages are loaded by a headless Chromium over a real port, in turns from the home
as it was and from the crowded one, each time into an empty cache.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn

from core.clock import SystemClock
from core.errors import BadInput, RobotFault
from core.status import PatchStatus
from remend.bench.crowd import multiply
from remend.bench.figure import Figure, median_interval
from remend.service import accounts
from remend.service.accounts import Role
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.store import Store
from remend.web.app import create_app

LOADED_S = 1.0  # of the decision page
HEAVY_KB = 300.0
_CROWD, _QUICK_CROWD = 10_000, 1_000
_PATIENCE_S = 600.0  # until a patch waits
_PASSWORD = "a password of a benchmark"  # noqa: S105 of nobody
_SERVE = ("serve", "--sim", "--robot", "iiwa", "--fault", "payload:mass=5,onset=2", "--seed", "1", "--port", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A service, and the cookies of somebody who has signed in there."""

    address: str
    cookies: list[dict[str, Any]]


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    crowd, visits = (_QUICK_CROWD, 7) if quick else (_CROWD, 25)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ImportError:
        chromium = None
    if chromium is None:
        yield _unmeasured("it takes a chromium in PATH and playwright, which is in the dev extra")
        return
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        patch_id = lived(small)
        shutil.copytree(small, large)
        multiply(large, crowd)
        with served(small) as few, served(large) as many, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            yield from pages(browser, enter(browser, few), enter(browser, many), patch_id, crowd, visits)
            browser.close()


def pages(browser: Any, few: Door, many: Door, patch_id: str, crowd: int, visits: int) -> Iterator[Figure]:
    """Decision page and inbox, from a home with one incident and one with `crowd`.

    Args:
        few, many: the two services.
    """
    for name, path in (("decision page", f"/patches/{patch_id}"), ("inbox", "/")):
        alone, crowded, weights = [], [], []
        for _ in range(visits):
            alone.append(visit(browser, few, path)[0])
            loaded_s, weight = visit(browser, many, path)
            crowded.append(loaded_s)
            weights.append(weight)
        value, interval = median_interval(crowded)
        yield Figure(
            bench="dashboard",
            figure=f"{name}: click to complete, {crowd} incidents",
            value=value,
            unit="s",
            interval=interval,
            n=visits,
            target=LOADED_S if path != "/" else None,
            sense="<=",
            peer="the same with one incident",
            peer_value=median_interval(alone)[0],
            note=f"slowest {max(crowded):.2g} s",
        )
        yield Figure(
            bench="dashboard",
            figure=f"{name} with everything that it loads",
            value=max(weights) / 1000,
            unit="kB",
            interval=None,
            n=visits,
            target=HEAVY_KB if path != "/" else None,
            sense="<=",
            note="not compressed",
        )


def visit(browser: Any, door: Door, path: str) -> tuple[float, int]:
    """Open a page as somebody who has signed in and has nothing of it yet.

    Returns:
        Seconds from the start of the navigation until everything is loaded, and how many bytes that was.

    Raises:
        RobotFault: there is no such page.
    """
    context = browser.new_context(base_url=door.address)
    try:
        context.add_cookies(door.cookies)
        page = context.new_page()
        finished: list[Any] = []
        page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108 it marks what it is given
        answer = page.goto(path, wait_until="load")
        if answer is None or answer.status != HTTPStatus.OK:
            raise RobotFault(f"{door.address}{path} could not be loaded")
        took_ms = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        return took_ms / 1000, sum(request.sizes()["responseBodySize"] for request in finished)
    finally:
        context.close()


def enter(browser: Any, address: str) -> Door:
    """Sign in, once: whoever tries too often is refused."""
    context = browser.new_context(base_url=address)
    context.request.post("/sign-in", form={"name": "anna", "password": _PASSWORD})
    door = Door(address=address, cookies=context.cookies())
    context.close()
    return door


def lived(home: Path) -> str:
    """Let a service heal a simulated robot up to the decision; the id of the patch that waits.

    Raises:
        BadInput: no patch came to its decision.
    """
    with tempfile.TemporaryFile() as log:
        service = subprocess.Popen(  # noqa: S603 ourselves
            [sys.executable, "-m", "remend", *_SERVE],
            env={**os.environ, "REMEND_HOME": str(home)},
            stdout=log,
            stderr=log,
        )
        try:
            end_s = time.monotonic() + _PATIENCE_S
            while time.monotonic() < end_s and service.poll() is None:
                time.sleep(1.0)
                if (home / "remend.db").exists() and (waiting := _waiting(home)):
                    return waiting
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait()
        log.seek(0)
        raise BadInput(f"no patch came to its decision: {log.read().decode(errors='replace')[-600:]}")


def _waiting(home: Path) -> str | None:
    with Store.open(home) as store:
        found = store.in_status("iiwa-sim1", PatchStatus.AWAITING_APPROVAL)
    return found[0].id if found else None


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The address of a service over a home, whose robots nobody looks after meanwhile."""
    service = Service(home, ServiceSettings(), clock=SystemClock())
    with service.store.journal("benchmark") as journal:
        accounts.add_user(journal, "anna", Role.ADMIN, _PASSWORD)
    app = create_app(service)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        app.state.stopping.set()
        server.should_exit = True
        thread.join()
        service.store.close()


def _unmeasured(why: str) -> Figure:
    return Figure(
        bench="dashboard",
        figure="decision page: click to complete",
        value=None,
        unit="s",
        interval=None,
        n=0,
        target=LOADED_S,
        sense="<=",
        note=why,
    )
