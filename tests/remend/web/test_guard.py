"""Other sites ask in vain, answers carry strict headers, and passwords cannot be tried at will."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from core.clock import ManualClock
from remend.ledger import Patch
from remend.service.accounts import Role
from remend.service.service import Service
from remend.web.attempts import MOST, Attempts, TooMany
from remend.web.guard import is_forged

PASSWORD = "correct horse battery"  # noqa: S105 of a test
COOKIE = {"cookie": "remend_session=x"}


@pytest.mark.parametrize(
    ("headers", "forged"),
    [
        ({**COOKIE, "sec-fetch-site": "same-origin"}, False),
        ({**COOKIE, "sec-fetch-site": "none"}, False),
        ({**COOKIE, "sec-fetch-site": "same-site"}, True),
        ({**COOKIE, "sec-fetch-site": "cross-site"}, True),
        ({**COOKIE, "host": "robot:8600", "origin": "http://robot:8600"}, False),
        ({**COOKIE, "host": "robot:8600", "origin": "http://robot:8601"}, True),
        ({**COOKIE, "host": "robot:8600", "origin": "http://evil.example"}, True),
        ({**COOKIE, "host": "robot:8600", "origin": "null"}, True),
        ({**COOKIE, "host": "robot:8600"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"host": "robot:8600"}, False),
    ],
)
def test_a_request_in_the_name_of_a_browser_comes_from_its_own_site(headers: dict[str, str], forged: bool) -> None:
    assert is_forged(Headers(headers)) is forged


def test_another_site_changes_nothing(signed: Any, service: Service) -> None:
    browser = signed(None)
    browser.headers["sec-fetch-site"] = "same-origin"
    assert browser.post("/sign-in", data={"name": "vera", "password": PASSWORD}).status_code == 303
    assert browser.get("/").status_code == 200
    forged = browser.post("/api/v1/patching/freeze", json={}, headers={"sec-fetch-site": "cross-site"})
    assert forged.status_code == 403
    assert browser.get("/api/v1/patching").json()["frozen"] is None
    assert browser.post("/api/v1/patching/freeze", json={}).status_code == 200


def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites(signed: Any) -> None:
    answer = signed(None).post("/sign-in", data={"name": "vera", "password": PASSWORD, "next": "/patches/pat_1"})
    assert answer.headers["location"] == "/patches/pat_1"
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_nobody_is_sent_elsewhere_after_signing_in(signed: Any, place: str) -> None:
    answer = signed(None).post("/sign-in", data={"name": "vera", "password": PASSWORD, "next": place})
    assert answer.headers["location"] == "/"


def test_signing_out_ends_the_session_not_only_the_cookie(signed: Any) -> None:
    browser = signed(None)
    browser.headers["sec-fetch-site"] = "same-origin"
    cookie = browser.post("/sign-in", data={"name": "vera", "password": PASSWORD}).cookies["remend_session"]
    assert browser.post("/sign-out").headers["location"] == "/sign-in"
    thief = signed(None)
    thief.cookies.set("remend_session", cookie)
    assert thief.get("/api/v1/me").status_code == 401


def test_a_token_is_no_cookie_and_a_cookie_no_token(signed: Any, tokens: dict[Role, str]) -> None:
    browser = signed(None)
    browser.cookies.set("remend_session", tokens[Role.ADMIN])
    assert browser.get("/api/v1/me").status_code == 401
    secret = signed(None).post("/sign-in", data={"name": "vera", "password": PASSWORD}).cookies["remend_session"]
    assert signed(None).get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_passwords_are_tried_five_times_a_minute(signed: Any, clock: ManualClock) -> None:
    browser = signed(None)
    for _ in range(MOST):
        assert browser.post("/sign-in", data={"name": "vera", "password": "wrong"}).status_code == 403
    late = browser.post("/sign-in", data={"name": "vera", "password": PASSWORD})
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 60
    assert signed(None).post("/sign-in", data={"name": "otto", "password": PASSWORD}).status_code == 303
    clock.now_ns += 61 * 10**9
    assert browser.post("/sign-in", data={"name": "vera", "password": PASSWORD}).status_code == 303


def test_attempts_are_forgotten_before_memory_ends() -> None:
    attempts = Attempts(ManualClock())
    for number in range(10_050):
        attempts.count("127.0.0.1", str(number))
    assert len(attempts._times) == 10_000
    for _ in range(MOST - 1):
        attempts.count("127.0.0.1", "10049")
    with pytest.raises(TooMany):
        attempts.count("127.0.0.1", "10049")


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/robots", "/nowhere", "/healthz"])
def test_every_answer_carries_the_headers_that_browsers_obey(signed: Any, path: str) -> None:
    headers = signed(Role.VIEWER).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_a_body_that_is_too_long_is_not_read(signed: Any) -> None:
    long = signed(Role.VIEWER).post("/api/v1/patching/freeze", content=b"x" * (1 << 20) + b"y")
    assert long.status_code == 413


def test_the_set_up_link_works_once(home: Any, clock: ManualClock, signed: Any, service: Service) -> None:
    assert service.setup_token is not None, "it was made before anybody could sign in"
    late = signed(None).post(
        "/setup", data={"token": service.setup_token, "name": "eve", "password": "long enough indeed"}
    )
    assert late.status_code == 403
    assert "set the service up already" in late.text
    with service.store.reading() as connection:
        assert "eve" not in str(connection.exec_driver_sql("SELECT name FROM users").all())


def test_texts_of_others_are_text_on_a_page(signed: Any, patch: Patch) -> None:
    evil = "<script>alert(1)</script>"
    signed(Role.VIEWER).post("/api/v1/patching/freeze", json={"reason": evil})
    for path in ("/", f"/sign-in?next={evil}", f"/setup?token={evil}", f"/nowhere/{evil}"):
        assert "<script>alert" not in signed(Role.VIEWER).get(path).text, path
