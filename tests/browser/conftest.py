"""A real server with a seeded home, and a real browser."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn

from remend.web.app import create_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")


def _seeding() -> ModuleType:
    spec = importlib.util.spec_from_file_location("browser_seeding", Path(__file__).with_name("seeding.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def seeding() -> ModuleType:
    return _seeding()


class Served:
    """A seeded service at an address. Telemetry of one robot goes on until it is told to stop."""

    def __init__(self, home: Path, seeding: ModuleType, more: int = 6) -> None:
        self.seeded = seeding.seed(home, more=more)
        self.service = self.seeded.service
        self.talks = True
        self.cookies: dict[str, Any] = {}  # of who has signed in; trying too often is refused
        self._end = threading.Event()
        app = create_app(self.service)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False)
        self._server = uvicorn.Server(config)
        self._app = app
        self._threads = [threading.Thread(target=self._server.run), threading.Thread(target=self._talk)]
        for thread in self._threads:
            thread.start()
        while not self._server.started:
            time.sleep(0.02)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"

    def _talk(self) -> None:
        second = 60.0
        while not self._end.wait(0.5):
            if self.talks:
                second += 1.0
                self.seeded.feed(second)

    def close(self) -> None:
        self._end.set()
        self._app.state.stopping.set()
        self._server.should_exit = True
        for thread in self._threads:
            thread.join()
        self.seeded.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, seeding: ModuleType) -> Iterator[Served]:
    opened = Served(tmp_path_factory.mktemp("home"), seeding)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium. It is closed with its module: while it is open, nobody else here can run a loop of asyncio."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium in PATH: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; it is in the dev extra")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        yield opened
        opened.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, served: Served, seeding: ModuleType) -> Iterator[Visit]:
    """(path, name="otto", **context) -> a page, signed in. Errors on the console fail the test, except answers 4xx."""
    contexts, complaints, cookies = [], [], served.cookies

    def go(path: str, name: str = "otto", **how: Any) -> Any:
        context = browser.new_context(base_url=served.address, **how)
        context.set_default_timeout(20_000)
        contexts.append(context)
        if name not in cookies:
            context.request.post("/sign-in", form={"name": name, "password": seeding.PASSWORD})
            cookies[name] = context.cookies()
        else:
            context.add_cookies(cookies[name])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.goto(path)
        return page

    yield go
    for context in contexts:
        context.close()
    expected = ("status of 400", "status of 403", "status of 404", "status of 409", "ERR_FAILED")
    assert [text for text in complaints if not any(each in text for each in expected)] == []
