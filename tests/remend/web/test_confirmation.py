"""A browser that somebody left open does nothing grave: the password is asked for again, and counts for a while."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from core.clock import ManualClock
from core.status import PatchStatus
from remend.service import accounts
from remend.service.accounts import HIGH_RISK, Role
from remend.service.service import Service
from remend.versions import Versions
from remend.web.attempts import MOST

PASSWORD = "correct horse battery"  # noqa: S105 of a test
API, PAGE = "/api/v1", "/patches/pat_1"
LATER_NS = round(10.01 * 60e9)  # than `confirm_minutes`
NEW = {"name": "berta", "role": "viewer", "password": "long enough indeed"}


@pytest.fixture
def browser(signed: Any) -> Any:
    """Signs somebody in as a browser does."""

    def sign_in(name: str) -> Any:
        client = signed(None)
        client.headers["sec-fetch-site"] = "same-origin"
        assert client.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
        return client

    return sign_in


@pytest.fixture
def grave(service: Service, samples: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A patch of high risk that waits for a decision; what the decision has to name."""
    monkeypatch.setattr(service, "is_simulated", lambda robot_id: False)
    versions = Versions.open(service.home, service.clock)
    base, result = versions.keep(samples.BASE), versions.keep(samples.artefact(2))
    service.store.add_incident(samples.incident("inc_1", base))
    candidate = replace(samples.candidate("pat_1", "inc_1", base, result), kind="weights")
    report = samples.report(candidate)
    samples.await_approval(service.store, candidate, report)
    return {
        "base_sha": base,
        "result_sha": result,
        "report_sha": report.sha256,
        "reason": "seen",
        "robot_name": "iiwa",
    }


def test_what_an_admin_does_takes_the_password_again_after_a_while(
    browser: Any, service: Service, clock: ManualClock
) -> None:
    anna = browser("anna")
    assert anna.post(f"{API}/users", json=NEW).status_code == 201
    clock.now_ns += LATER_NS
    asked = [
        ("POST", "/users", NEW),
        ("DELETE", "/users/berta", None),
        ("POST", "/tokens", {"label": "x", "role": "viewer"}),
        ("DELETE", "/tokens/pas_1", None),
        ("POST", "/patching/thaw", {}),
    ]
    for method, path, body in asked:
        refused = anna.request(method, API + path, json=body)
        assert (refused.status_code, "password again" in refused.json()["detail"]) == (403, True), path
    assert anna.get(f"{API}/users").status_code == 200, "reading takes none"
    assert anna.post(f"{API}/patching/freeze", json={}).status_code == 200, "nor does what makes things safer"
    assert anna.post(f"{API}/me/confirm", json={"password": "wrong"}).status_code == 403
    assert anna.post(f"{API}/patching/thaw", json={}).status_code == 403
    assert anna.post(f"{API}/me/confirm", json={"password": PASSWORD}).status_code == 204
    assert anna.post(f"{API}/patching/thaw", json={}).status_code == 200
    with service.store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT actor FROM audit WHERE verb = 'confirmed'").all()
    assert rows == [("anna",)]


def test_a_form_takes_the_password_along_and_loses_nothing(browser: Any, service: Service, clock: ManualClock) -> None:
    anna = browser("anna")
    assert 'name="confirm"' not in anna.get("/people").text
    clock.now_ns += LATER_NS
    assert 'name="confirm"' in anna.get("/people").text
    for confirm in ("", "wrong"):
        refused = anna.post("/people/users", data={**NEW, "confirm": confirm})
        assert refused.status_code == 403
        assert 'value="berta"' in refused.text, "what was typed is still there"
    assert anna.post("/people/users", data={**NEW, "confirm": PASSWORD}).status_code == 303
    assert anna.post("/people/users/berta/remove", data={"again": "berta"}).status_code == 303, "it counts for a while"


@pytest.mark.parametrize(
    "path", ["/people/users/otto/role", "/people/users/otto/remove", "/people/tokens", "/patching/thaw"]
)
def test_no_form_of_an_admin_goes_without(browser: Any, clock: ManualClock, path: str) -> None:
    anna = browser("anna")
    clock.now_ns += LATER_NS
    refused = anna.post(path, data={"role": "viewer", "again": "otto", "label": "x"})
    assert (refused.status_code, "password again" in refused.text) == (403, True)


def test_a_password_is_tried_as_seldom_as_at_the_door(browser: Any, clock: ManualClock) -> None:
    anna = browser("anna")
    clock.now_ns += LATER_NS
    for _ in range(MOST):
        assert anna.post(f"{API}/me/confirm", json={"password": "wrong"}).status_code == 403
    late = anna.post(f"{API}/me/confirm", json={"password": PASSWORD})
    assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)


def test_a_session_from_the_future_is_not_confirmed(browser: Any, clock: ManualClock) -> None:
    anna = browser("anna")
    clock.now_ns -= 1
    assert anna.post(f"{API}/users", json=NEW).status_code == 403


def test_an_approval_of_high_risk_takes_the_password(
    browser: Any, service: Service, clock: ManualClock, grave: dict[str, str]
) -> None:
    otto = browser("otto")
    clock.now_ns += LATER_NS
    page = otto.get(PAGE).text
    assert 'name="confirm"' in page
    assert otto.post(f"{API}{PAGE}/approve", json=grave).status_code == 403
    for confirm in ("", "wrong"):
        refused = otto.post(f"{PAGE}/decide", data={**grave, "decision": "approve", "confirm": confirm})
        assert refused.status_code == 403
        assert ">seen</textarea>" in refused.text
        assert service.store.patch("pat_1").status is PatchStatus.AWAITING_APPROVAL
    done = otto.post(f"{PAGE}/decide", data={**grave, "decision": "approve", "confirm": PASSWORD})
    assert done.status_code == 303
    assert service.store.patch("pat_1").status is PatchStatus.APPROVED


def test_a_rejection_takes_no_password(browser: Any, service: Service, clock: ManualClock, grave: Any) -> None:
    otto = browser("otto")
    clock.now_ns += LATER_NS
    assert otto.post(f"{API}{PAGE}/reject", json=grave).status_code == 201
    assert service.store.patch("pat_1").status is PatchStatus.REJECTED


def test_a_token_approves_high_risk_only_if_it_is_made_for_it(
    signed: Any, browser: Any, service: Service, grave: dict[str, str]
) -> None:
    refused = signed(Role.OPERATOR).post(f"{API}{PAGE}/approve", json=grave)
    assert (refused.status_code, "scope high_risk" in refused.json()["detail"]) == (403, True)
    wanted = {"label": "the cell's desk", "role": "operator", "scopes": [HIGH_RISK]}
    by_token = signed(Role.ADMIN).post(f"{API}/tokens", json=wanted)
    assert (by_token.status_code, "sign in to make it" in by_token.json()["detail"]) == (403, True)
    made = browser("otto").post(f"{API}/tokens", json=wanted)
    assert made.status_code == 201
    desk = signed(None)
    desk.headers["Authorization"] = f"Bearer {made.json()['token']}"
    assert desk.post(f"{API}{PAGE}/approve", json=grave).status_code == 201
    (token,) = [each for each in signed(Role.ADMIN).get(f"{API}/tokens").json() if each["label"] == wanted["label"]]
    assert token["scopes"] == [HIGH_RISK]


def test_a_token_has_no_password_to_give(signed: Any, service: Service) -> None:
    assert signed(Role.ADMIN).post(f"{API}/me/confirm", json={"password": PASSWORD}).status_code == 400
    with service.store.reading() as connection:
        assert all(not each.scopes for each in accounts.passes(connection, "token"))
