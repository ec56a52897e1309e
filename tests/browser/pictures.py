"""The pictures of docs/dashboard.md, of a seeded home: run this file, and it writes them to docs/images."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = {"width": 1280, "height": 860}


def fixtures() -> ModuleType:
    """`conftest.py` of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location("pictures_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def take(page: Any, path: str, name: str, place: str = "") -> None:
    """Open a page, wait until it is calm, and take its picture; `place` is scrolled to the top."""
    page.goto(path)
    if place:
        page.locator(place).scroll_into_view_if_needed()
        page.evaluate("(place) => document.querySelector(place).scrollIntoView({ behavior: 'instant' })", place)
    page.wait_for_timeout(2500)
    page.screenshot(path=IMAGES / f"{name}.png")


def main() -> None:
    room = fixtures()
    seeding = room._seeding()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        served = room.Served(Path(home), seeding, more=0)
        browser = playwright.chromium.launch(executable_path=room.CHROMIUM, args=list(room._QUIET))
        light = browser.new_context(base_url=served.address, viewport=SIZE)
        light.request.post("/sign-in", form={"name": "otto", "password": seeding.PASSWORD})
        dark = browser.new_context(base_url=served.address, viewport=SIZE, color_scheme="dark")
        dark.add_cookies(light.cookies())
        page = light.new_page()
        take(page, "/", "inbox")
        take(page, "/patches/pat_wait", "patch")
        take(page, "/patches/pat_wait", "decision", "#plan")
        take(dark.new_page(), "/robots/arm-1", "robot-dark")
        browser.close()
        served.close()


if __name__ == "__main__":
    main()
