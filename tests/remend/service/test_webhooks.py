"""What is added to the audit log is told in order and at least once, to whoever answers, when they do."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput
from core.toml_table import Table
from remend.service import webhooks as room
from remend.service.settings import read_service_settings
from remend.service.webhooks import Webhook, webhooks
from remend.store import Store


class Listener:
    """A server that takes what it is told, or refuses as often as it is asked to."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.refusals = 0
        self.more = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with listener.more:
                    refuse, listener.refusals = listener.refusals > 0, max(0, listener.refusals - 1)
                    if not refuse:
                        headers = {name.lower(): value for name, value in self.headers.items()}
                        listener.heard.append((json.loads(body), {**headers, "body": body.decode()}))
                    self.send_response(503 if refuse else 204)
                    self.end_headers()
                    listener.more.notify_all()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> list[str]:
        with self.more:
            assert self.more.wait_for(lambda: len(self.heard) >= count, timeout=60), self.heard
        return [content["verb"] for content, _ in self.heard]


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(room, "_LOOK_S", 0.02)
    monkeypatch.setattr(room, "_FIRST_WAIT_S", 0.02)
    opened = Listener()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


def note(store: Store, *verbs: str) -> None:
    for verb in verbs:
        with store.journal("anna") as journal:
            journal.note("patching", verb, {})


def test_what_comes_is_told_in_order_and_what_was_before_is_not(
    store: Store, listener: Listener, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    note(store, "before")
    (hook,) = webhooks((listener.url,), store, home, "HOOK_SECRET")
    hook.start()
    note(store, "freeze", "thaw")
    assert listener.wait_for(2) == ["freeze", "thaw"]
    hook.stop()
    content, headers = listener.heard[0]
    assert (content["actor"], content["subject"]) == ("anna", "patching")
    assert headers["idempotency-key"] == str(content["seq"])
    signed = hmac.new(b"s3cret", headers["body"].encode(), hashlib.sha256).hexdigest()
    assert headers["remend-signature"] == f"sha256={signed}"


def test_what_was_refused_is_told_again_and_nothing_is_left_out(store: Store, listener: Listener, home: Path) -> None:
    listener.refusals = 3
    hook = Webhook(listener.url, store, home)
    hook.start()
    note(store, "one", "two", "three")
    assert listener.wait_for(3) == ["one", "two", "three"]
    hook.stop()


def test_what_came_while_nobody_told_is_told_after_the_next_start(store: Store, listener: Listener, home: Path) -> None:
    first = Webhook(listener.url, store, home)
    first.start()
    note(store, "one")
    listener.wait_for(1)
    first.stop()
    note(store, "two")
    second = Webhook(listener.url, store, home)
    second.start()
    assert listener.wait_for(2) == ["one", "two"]
    second.stop()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match=r"webhooks.*'robot:80' is no address"):
        read_service_settings(Table(Path("remend.toml"), {"webhooks": ["robot:80"]}))
