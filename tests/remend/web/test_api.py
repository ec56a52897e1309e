"""The API says what there is, does what it is asked once, and says plainly what went wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.clock import ManualClock
from core.status import PatchStatus
from remend import ledger
from remend.agency.policy import AgencyPolicy, KindRule, Rules
from remend.audit import verify_home
from remend.ledger import Patch
from remend.service.accounts import Role
from remend.service.orders import OrderResult, answer, waiting
from remend.service.service import Service
from remend.web.api import log

A, O, V = Role.ADMIN, Role.OPERATOR, Role.VIEWER  # noqa: E741
API = "/api/v1"


def test_a_robot_is_shown_as_its_board_says(signed: Any, clock: ManualClock) -> None:
    clock.now_ns += 2 * 10**9
    (robot,) = signed(V).get(f"{API}/robots").json()
    assert robot["robot_id"] == "iiwa"
    assert (robot["stage"], robot["test_ratio"], robot["silent_s"]) == ("committed", 0.4, 2.0)
    assert (robot["behind_s"], robot["lost_rows"]) == (2.5, 12)
    course = signed(V).get(f"{API}/robots/iiwa/course").json()
    assert (course["t_s"], course["error"], course["command"]) == ([0.9, 1.0], [[0.01, 0.02]], [[1.0, 2.0]])
    assert signed(V).get(f"{API}/robots/iiwa/course", params={"since_s": 1.0}).json()["t_s"] == []


def test_a_patch_is_approved_with_what_was_shown(
    signed: Any, service: Service, patch: Patch, shown: dict[str, Any]
) -> None:
    read = signed(O).get(f"{API}/patches/pat_1")
    assert read.json()["summary"]["status"] == "awaiting_approval"
    assert "+kp = [2.5]" in read.json()["diff"]
    made = signed(O).post(f"{API}/patches/pat_1/approve", json=shown, headers={"If-Match": read.headers["etag"]})
    assert made.status_code == 201
    assert made.json()["actor"] == "otto"
    assert service.store.patch("pat_1").status is PatchStatus.APPROVED
    assert signed(O).post(f"{API}/patches/pat_1/approve", json=shown).json() == made.json(), "twice is once"
    assert read.headers["etag"] != signed(O).get(f"{API}/patches/pat_1").headers["etag"]
    other = signed(A).post(f"{API}/patches/pat_1/reject", json=shown)
    assert (other.status_code, other.headers["content-type"]) == (409, "application/problem+json")
    assert "approved by otto" in other.json()["detail"]
    assert verify_home(service.home).ok


@pytest.mark.parametrize("stale", ["base_sha", "result_sha", "report_sha", "etag"])
def test_a_decision_on_something_else_is_a_conflict(
    signed: Any, service: Service, shown: dict[str, Any], stale: str
) -> None:
    headers = {"If-Match": '"0-other"'} if stale == "etag" else {}
    asked = shown if stale == "etag" else {**shown, stale: "f" * 64}
    refused = signed(O).post(f"{API}/patches/pat_1/approve", json=asked, headers=headers)
    assert refused.status_code == 409
    assert "changed since" in refused.json()["detail"]
    assert service.store.patch("pat_1").status is PatchStatus.AWAITING_APPROVAL


def test_a_freeze_stops_approvals_and_only_an_admin_ends_it(signed: Any, shown: dict[str, Any]) -> None:
    frozen = signed(V).post(f"{API}/patching/freeze", json={"reason": "visitors"})
    assert frozen.json()["frozen"]["actor"] == "vera"
    refused = signed(O).post(f"{API}/patches/pat_1/approve", json=shown)
    assert (refused.status_code, "frozen by vera" in refused.json()["detail"]) == (403, True)
    assert signed(O).post(f"{API}/patching/thaw", json={}).status_code == 403
    assert signed(A).post(f"{API}/patching/thaw", json={}).json()["frozen"] is None
    assert signed(O).post(f"{API}/patches/pat_1/approve", json=shown).status_code == 201


def test_an_order_is_one_for_its_key_and_shows_its_answer(signed: Any, service: Service) -> None:
    ask = {"url": f"{API}/robots/iiwa/rollback", "json": {"reason": "odd noise"}, "headers": {"Idempotency-Key": "k1"}}
    first, again = signed(O).post(**ask), signed(O).post(**ask)
    assert first.status_code == 202
    assert first.json() == again.json()
    assert first.json()["result"] is None
    with service.store.journal("robot") as journal:
        (order,) = waiting(journal.connection, "iiwa")
        answer(journal, order, OrderResult(order_id=order.id, done=True, what="the robot is back", at_ns=1))
    assert signed(V).get(f"{API}/orders/{order.id}").json()["result"]["what"] == "the robot is back"


def test_lists_go_on_where_a_page_ends(signed: Any, service: Service, samples: Any) -> None:
    for number in range(5):
        service.store.add_incident(samples.incident(f"inc_{number}"))
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = signed(V).get(f"{API}/incidents", params={"limit": 2, **before}).json()
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == [f"inc_{number}" for number in (4, 3, 2, 1, 0)]
    assert signed(V).get(f"{API}/incidents", params={"before": "inc_9"}).status_code == 404


def test_patches_are_found_by_status(signed: Any, patch: Patch) -> None:
    def names(*statuses: str) -> list[str]:
        items = signed(V).get(f"{API}/patches", params={"status": list(statuses)}).json()["items"]
        return [each["id"] for each in items]

    assert names() == names("awaiting_approval") == names("active", "awaiting_approval") == ["pat_1"]
    assert names("active") == []


def test_what_is_said_of_an_incident_is_shown(signed: Any, patch: Patch) -> None:
    said = signed(O).post(f"{API}/incidents/inc_1/handling", json={"handling": "acknowledged", "note": "on it"})
    assert (said.json()["actor"], said.json()["note"]) == ("otto", "on it")
    whole = signed(V).get(f"{API}/incidents/inc_1").json()
    assert whole["summary"]["handling"]["handling"] == "acknowledged"
    assert whole["summary"]["patches"][0]["id"] == "pat_1"
    assert whole["diagnoses"][0]["causes"][0]["cause"] == "payload"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/patches/pat_9", None, 404),
        ("GET", "/patches/..%2f..%2fetc", None, 404),
        ("GET", "/robots/another", None, 404),
        ("GET", "/incidents?limit=0", None, 422),
        ("GET", "/incidents?limit=x", None, 422),
        ("POST", "/patching/freeze", {"reason": "x" * 2001}, 422),
        ("POST", "/incidents/inc_9/handling", {"handling": "muted"}, 404),
        ("POST", "/users", {"name": "An na", "role": "viewer", "password": "long enough indeed"}, 422),
        ("POST", "/users", {"name": "service", "role": "viewer", "password": "long enough indeed"}, 400),
        ("POST", "/users", {"name": "vera", "role": "viewer", "password": "long enough indeed"}, 409),
        ("DELETE", "/users/anna", None, 403),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/patches", None, 405),
    ],
)
def test_what_went_wrong_is_a_problem_in_one_sentence(
    signed: Any, method: str, path: str, body: Any, status: int
) -> None:
    answered = signed(A).request(method, API + path, json=body)
    assert answered.status_code == status
    assert answered.headers["content-type"] == "application/problem+json"
    problem = answered.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["request_id"] == answered.headers["x-request-id"]


def test_a_token_is_shown_once_and_works_until_it_is_revoked(signed: Any) -> None:
    made = signed(O).post(f"{API}/tokens", json={"label": "report", "role": "viewer", "hours": 1}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    nobody = signed(None)
    assert nobody.get(f"{API}/me", headers=headers).json() == {"name": "otto", "role": "viewer"}
    assert nobody.post(f"{API}/robots/iiwa/rollback", json={}, headers=headers).status_code == 403
    assert signed(O).post(f"{API}/tokens", json={"label": "x", "role": "admin"}).status_code == 403
    listed = signed(A).get(f"{API}/tokens")
    assert made["token"] not in listed.text
    name = next(each["id"] for each in listed.json() if each["label"] == "report")
    assert signed(A).delete(f"{API}/tokens/{name}").status_code == 204
    assert nobody.get(f"{API}/me", headers=headers).status_code == 401


def test_the_audit_log_is_shown_newest_first_and_can_be_filtered(signed: Any, patch: Patch) -> None:
    rows = signed(V).get(f"{API}/audit", params={"limit": 5}).json()
    seqs = [row["seq"] for row in rows]
    assert seqs == sorted(seqs, reverse=True)
    older = signed(V).get(f"{API}/audit", params={"limit": 5, "before_seq": seqs[-1]}).json()
    assert older[0]["seq"] == seqs[-1] - 1
    only = signed(V).get(f"{API}/audit", params={"verb": "incident", "subject": "inc_1"}).json()
    assert [row["verb"] for row in only] == ["incident"]


def test_figures_are_there_for_who_may_see_them(signed: Any) -> None:
    text = signed(V).get("/metrics").text
    assert 'remend_test_ratio{robot="iiwa"} 0.4' in text
    assert 'remend_false_alarms{robot="iiwa"} 2.0' in text
    assert 'remend_healthy_hours{robot="iiwa"} 12.5' in text
    assert 'remend_telemetry_behind_seconds{robot="iiwa"} 2.5' in text
    assert 'remend_telemetry_lost_rows{robot="iiwa"} 12.0' in text
    assert "remend_patching_frozen 0.0" in text
    assert signed(None).get("/metrics").status_code == 401
    assert signed(None).get("/healthz").json() == {"status": "alive"}
    assert signed(None).get("/readyz").json() == {"status": "ready"}


def complete(work: Coroutine[Any, Any, list[tuple[str, str, str]]]) -> list[tuple[str, str, str]]:
    """In a loop of its own: `asyncio.run` drops the one that another test's agent has set for this thread."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def test_the_stream_says_names_and_ids_and_goes_on_where_it_stopped(service: Service, patch: Patch) -> None:
    """Without a client in between: a stream has no end that a test client could wait for."""

    async def first(last: int | None, count: int) -> list[tuple[str, str, str]]:
        request = SimpleNamespace(
            is_disconnected=_never, app=SimpleNamespace(state=SimpleNamespace(stopping=threading.Event()))
        )
        heard = []
        async for event in log.listen(cast(Any, request), service, cast(Any, None), last):
            heard.append((str(event.event), str(event.raw_data), str(event.id)))
            if len(heard) == count:
                break
        return heard

    heard = complete(first(0, 4))
    assert heard[0] == ("hello", "0", "0")
    rows = [(row["verb"], row["subject"], str(row["seq"])) for row in _rows(service)]
    assert heard[1:] == rows[:3]
    assert complete(first(2, 2))[1] == rows[2]
    assert complete(first(None, 1)) == [("hello", rows[-1][2], rows[-1][2])]


async def _never() -> bool:
    return False


def _rows(service: Service) -> list[dict[str, Any]]:
    with service.store.reading() as connection:
        return ledger.audit_after(connection, 0)


def test_the_first_of_two_approvals_is_accepted_and_moves_nothing(
    signed: Any, service: Service, shown: dict[str, Any]
) -> None:
    service.agency = AgencyPolicy(default=Rules(params=KindRule(persons=2)))
    where = f"{API}/patches/pat_1"
    before = signed(O).get(where)
    made = signed(O).post(f"{where}/approve", json=shown)
    assert (made.status_code, made.json()["decision"]) == (202, "first_approve")
    whole = signed(A).get(where)
    assert whole.json()["persons"] == 2
    assert whole.json()["first_approval"] == made.json()
    assert whole.headers["etag"] != before.headers["etag"]
    again = signed(O).post(f"{where}/approve", json=shown)
    assert (again.status_code, "another person's" in again.json()["detail"]) == (409, True)
    second = signed(A).post(f"{where}/approve", json={**shown, "first_id": made.json()["id"]})
    assert (second.status_code, second.json()["first_actor"]) == (201, "otto")
    assert service.store.patch("pat_1").status is PatchStatus.APPROVED
