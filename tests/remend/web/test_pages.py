"""Pages say what is so, in every state; they escape what they are told, and lose nothing that was typed."""

from __future__ import annotations

import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from core.clock import ManualClock
from core.status import PatchStatus
from remend.agency.policy import AgencyPolicy, KindRule, Rules
from remend.ledger import Patch
from remend.service.accounts import Role
from remend.service.orders import waiting
from remend.service.pulse import Condition
from remend.service.service import Service
from remend.web.queries import last_seq
from remend.web.views.audit import csv_rows
from remend.web.views.times import ago, duration

A, O, V = Role.ADMIN, Role.OPERATOR, Role.VIEWER  # noqa: E741
S = PatchStatus
PAGE = "/patches/pat_1"


def text(html: str) -> str:
    """What a reader sees of a page, roughly."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def chosen(html: str) -> list[str]:
    """Decisions that are chosen already."""
    return re.findall(r'name="decision" value="(\w+)"[^>]* checked', html)


def form(shown: dict[str, Any], **more: str) -> dict[str, str]:
    return {**shown, **more}


# the decision page


def test_the_decision_page_shows_the_argument_in_order(signed: Any, patch: Patch) -> None:
    html = signed(O).get(PAGE).text
    places = [html.index(f'id="{name}"') for name in ("why", "what", "works", "worst", "unknown", "plan", "decision")]
    assert places == sorted(places)
    assert chosen(html) == []  # nothing is chosen for anybody
    assert len(html) < 300_000


def test_a_decision_through_the_form_is_kept_and_shown(signed: Any, service: Service, shown: dict[str, Any]) -> None:
    client = signed(O)
    answer = client.post(f"{PAGE}/decide", data=form(shown, decision="approve"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}#decision")
    assert service.store.patch("pat_1").status is S.APPROVED
    assert "otto approved this patch: agreed with the shift." in text(client.get(PAGE).text)
    assert 'name="decision"' not in client.get(PAGE).text


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        ({}, 400, "choose approve or reject"),
        ({"decision": "reject", "reason": " "}, 400, "a rejection needs a reason"),
        ({"decision": "approve", "report_sha": "0" * 64}, 409, "the report changed"),
        ({"decision": "approve", "base_sha": "0" * 64}, 409, "the controller that it changes changed"),
    ],
)
def test_what_cannot_be_decided_is_said_and_loses_nothing(
    signed: Any, service: Service, shown: dict[str, Any], sent: dict[str, str], status: int, says: str
) -> None:
    typed = {"reason": 'a "long" <reason>', **sent}
    answer = signed(O).post(f"{PAGE}/decide", data=form(shown, **typed))
    assert answer.status_code == status
    assert says in answer.text.lower()
    if typed["reason"].strip():
        assert "a &#34;long&#34; &lt;reason&gt;</textarea>" in answer.text
    assert chosen(answer.text) == ([sent["decision"]] if status == 400 and sent else [])  # else it is chosen anew
    assert service.store.patch("pat_1").status is S.AWAITING_APPROVAL


def test_a_reader_without_the_role_is_told_whom_to_ask(signed: Any, shown: dict[str, Any]) -> None:
    html = signed(V).get(PAGE).text
    assert 'name="decision"' not in html
    assert "Ask: anna, otto." in html
    assert signed(V).post(f"{PAGE}/decide", data=form(shown, decision="approve")).status_code == 403


def test_a_freeze_switches_approving_off_and_rejecting_stays(signed: Any, patch: Patch) -> None:
    back = signed(V).post("/patching/freeze", data={"reason": "the cell is open", "back": PAGE})
    assert (back.status_code, back.headers["location"]) == (303, PAGE)
    html = signed(O).get(PAGE).text
    assert 'value="approve" required disabled' in html
    assert 'value="reject" required>' in html
    assert "Patching is frozen by vera" in text(html)
    assert signed(O).post("/patching/thaw").status_code == 403
    assert signed(A).post("/patching/thaw", data={"back": "https://elsewhere.example/"}).headers["location"] == "/"
    assert "Patching is frozen" not in text(signed(O).get(PAGE).text)


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ((S.EXPIRED,), "Expired: a test. Nothing of it ran."),
        ((S.REJECTED,), "Rejected: a test."),
    ],
)
def test_what_is_over_is_only_read(
    signed: Any, service: Service, patch: Patch, way: tuple[PatchStatus, ...], says: str
) -> None:
    before = patch.status
    for after in way:
        service.store.move("pat_1", before, after, "service", "a test")
        before = after
    html = signed(O).get(PAGE).text
    assert says in text(html)
    assert 'name="decision"' not in html


def test_a_patch_without_evidence_says_so(signed: Any, service: Service, samples: ModuleType) -> None:
    service.store.add_incident(samples.incident("inc_2"))
    service.store.add_candidate(samples.candidate("pat_2", "inc_2"))
    says = text(signed(O).get("/patches/pat_2").text)
    assert "The evidence is not complete." in says
    assert "Nothing was measured about this patch." in says
    assert "No cause was found yet." in says
    assert "cannot be shown" in says  # its artefacts are not there


def test_what_records_say_is_escaped(signed: Any, service: Service, samples: ModuleType) -> None:
    evil = "<script>alert(1)</script>"
    service.store.add_incident(samples.incident("inc_2"))
    service.store.add_diagnosis(replace(samples.diagnosis("inc_2"), summary=evil, advice=evil))
    service.store.add_candidate(replace(samples.candidate("pat_2", "inc_2"), rationale=evil))
    for path in ("/", "/incidents", "/incidents/inc_2", "/patches/pat_2", "/robots/iiwa", "/audit"):
        html = signed(O).get(path).text
        assert evil not in html, path
    assert "&lt;script&gt;" in signed(O).get("/patches/pat_2").text


# other pages


def test_an_empty_inbox_is_calm_and_a_full_one_leads_on(signed: Any, service: Service, samples: ModuleType) -> None:
    assert "Nothing needs you: no incident yet, 1 of 1 robot reporting." in text(signed(V).get("/").text)
    service.store.add_incident(samples.incident())
    html = signed(V).get("/").text
    assert 'href="/incidents/inc_1"' in html
    assert "1 open incidents" in text(html)
    assert "Nothing of this kind." in text(signed(V).get("/?show=decisions").text)
    signed(O).post("/incidents/inc_1/handling", data={"handling": "closed", "note": "a loose cable, Otto sees to it"})
    assert "inc_1" not in signed(V).get("/").text


def test_old_telemetry_is_never_shown_as_what_is_so_now(signed: Any, clock: ManualClock) -> None:
    assert "RMS tracking error" in signed(V).get("/robots/iiwa").text
    clock.now_ns += 38 * 10**9
    html = signed(V).get("/robots/iiwa").text
    assert "No data from iiwa for 38 s" in text(html)
    assert "RMS tracking error" not in html
    assert '<svg class="chart"' not in html
    assert "robots to look at" in text(signed(V).get("/").text)
    assert 'href="/robots/iiwa"' in signed(V).get("/?show=robots").text


def test_rolling_back_twice_with_one_form_is_one_order(signed: Any, service: Service) -> None:
    key = re.search(r'name="key" value="([^"]+)"', signed(O).get("/robots/iiwa").text)
    assert key is not None
    sent = {"reason": "it shakes", "key": key[1]}
    places = {signed(O).post("/robots/iiwa/rollback", data=sent).headers["location"] for _ in range(2)}
    assert len(places) == 1
    with service.store.reading() as connection:
        assert [order.reason for order in waiting(connection, "iiwa")] == ["it shakes"]
    assert "there is no answer yet" in signed(O).get(places.pop().partition("#")[0]).text
    assert signed(V).post("/robots/iiwa/rollback", data=sent).status_code == 403


def test_a_robot_is_held_and_goes_on_by_a_form(signed: Any, service: Service) -> None:
    page = signed(O).get("/robots/iiwa").text
    assert "Hold iiwa" in page
    assert "Let iiwa go on" not in page
    for verb, says in (("hold", "stop and stay where it is"), ("resume", "go on")):
        answer = signed(O).post(f"/robots/iiwa/{verb}", data={"key": verb})
        page = text(signed(O).get(answer.headers["location"]).text)
        assert f"otto asked the robot to {says}; there is no answer yet" in page
        assert signed(V).post(f"/robots/iiwa/{verb}", data={"key": verb}).status_code == 403
    with service.store.reading() as connection:
        assert [order.verb.value for order in waiting(connection, "iiwa")] == ["hold", "resume"]


def test_a_held_robot_says_so_and_can_go_on(signed: Any, service: Service) -> None:
    held = Condition(
        stage="committed", share=0.0, active_sha="b" * 64, missed_deadlines=0, notes=(), held="held by ada: a visitor"
    )
    service.care("iiwa").board.take(held)
    page = signed(O).get("/robots/iiwa").text
    assert "Let iiwa go on" in page
    assert "held by ada: a visitor" in text(page)
    assert "Hold iiwa" not in page
    assert "held by ada: a visitor" in text(signed(V).get("/robots/iiwa").text)
    assert "Let iiwa go on" not in signed(V).get("/robots/iiwa").text
    assert signed(V).get("/api/v1/robots/iiwa").json()["held"] == "held by ada: a visitor"


def test_an_incident_is_closed_with_a_note_alone_and_the_note_is_kept(signed: Any, patch: Patch) -> None:
    answer = signed(O).post("/incidents/inc_1/handling", data={"handling": "closed"})
    assert answer.status_code == 400
    assert "needs a note" in answer.text
    assert signed(O).post("/incidents/inc_1/handling", data={"handling": "x", "note": "typed"}).status_code == 400
    assert "typed</textarea>" in signed(O).post("/incidents/inc_1/handling", data={"note": "typed"}).text
    assert signed(V).post("/incidents/inc_1/handling", data={"handling": "muted"}).status_code == 403


def test_only_the_files_of_an_incident_are_served(signed: Any, service: Service, patch: Patch) -> None:
    folder = service.home / "incidents" / "inc_1"
    folder.mkdir(parents=True)
    (folder / "incident.csv").write_text("t\n0\n")
    (folder / "secret.txt").write_text("x")
    answer = signed(V).get("/incidents/inc_1/files/1/incident.csv")
    assert (answer.status_code, answer.text) == (200, "t\n0\n")
    assert "attachment" in answer.headers["content-disposition"]
    assert signed(V).get("/incidents/inc_1/files/1/secret.txt").status_code == 404
    assert signed(V).get("/incidents/inc_1/files/1/..%2F..%2Fremend.db").status_code in (404, 422)


def test_the_audit_page_filters_and_verifies(signed: Any, service: Service, patch: Patch) -> None:
    rows = signed(V).get("/audit?verb=candidate").text
    assert 'href="/patches/pat_1"' in rows
    assert ">incident<" not in rows
    assert 'href="/patches/pat_1"' in signed(V).get("/audit?verb=awaiting approval&subject=pat_1").text
    assert "chain verified" in signed(V).get("/audit?check=true").text
    lines = signed(V).get("/audit.csv").text.splitlines()
    assert lines[0].startswith("seq,at_ns,actor")
    with service.store.reading() as connection:
        assert len(lines) == last_seq(connection) + 1


def test_a_spreadsheet_runs_nothing_of_the_log() -> None:
    row = dict.fromkeys(("at_ns", "verb", "subject", "subject_sha", "payload_sha", "prev_sha", "sha256"), "x")
    lines = list(csv_rows([{"seq": 1, "actor": "=cmd()", **row}]))
    assert lines[1].startswith("1,x,'=cmd()")


def test_an_admin_sees_to_people_and_nobody_else(signed: Any) -> None:
    new = {"name": "olga", "role": "operator", "password": "long enough it is"}
    assert signed(O).post("/people/users", data=new).status_code == 403
    assert signed(A).post("/people/users", data={**new, "password": "short"}).status_code == 400
    assert signed(A).post("/people/users", data=new).status_code == 303
    assert "olga" in signed(A).get("/people").text
    assert "olga" not in signed(O).get("/people").text
    assert signed(A).post("/people/users/olga/remove", data={"again": "otto"}).status_code == 400
    assert signed(A).post("/people/users/olga/remove", data={"again": "olga"}).status_code == 303
    assert "olga" not in signed(A).get("/people").text
    made = signed(V).post("/people/tokens", data={"label": "report", "role": "operator"})
    assert made.status_code == 403
    made = signed(V).post("/people/tokens", data={"label": "report", "role": "viewer", "days": "1"})
    token = re.search(r"<pre[^>]*>([^<]+)</pre>", made.text)
    assert token is not None
    assert token[1] not in signed(V).get("/people").text


def test_a_missing_page_says_that_robots_are_not_affected(signed: Any) -> None:
    answer = signed(V).get("/patches/pat_nothing")
    assert answer.status_code == 404
    assert "Robots are not affected" in answer.text


@pytest.mark.parametrize(
    ("seconds", "says"), [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (11_402, "3 h 10 min"), (40 * 86_400, "40 d")]
)
def test_durations_read_as_people_say_them(seconds: float, says: str) -> None:
    assert duration(seconds) == says
    assert ago(0, round(seconds * 1e9)) == ("just now" if seconds < 5 else f"{says} ago")


def test_the_second_of_two_people_is_shown_what_the_first_one_said(
    signed: Any, service: Service, shown: dict[str, Any]
) -> None:
    service.agency = AgencyPolicy(default=Rules(params=KindRule(persons=2)))
    assert "yours would be the first approval" in text(signed(O).get(PAGE).text)
    assert signed(O).post(f"{PAGE}/decide", data=form(shown, decision="approve")).status_code == 303
    assert service.store.patch("pat_1").status is S.AWAITING_APPROVAL
    assert "needs a second person" in text(signed(V).get("/").text)
    mine, other = signed(O).get(PAGE).text, signed(A).get(PAGE).text
    assert 'value="approve" required disabled' in mine
    assert "You gave the first approval" in text(mine)
    assert 'value="approve" required>' in other
    assert "otto approved this 0 s ago: agreed with the shift." in text(other)
    (first_id,) = re.findall(r'name="first_id" value="(app_\w+)"', other)
    unseen = signed(A).post(f"{PAGE}/decide", data=form(shown, decision="approve"))
    assert (unseen.status_code, "has approved pat_1 meanwhile" in text(unseen.text)) == (409, True)
    signed(A).post(f"{PAGE}/decide", data=form(shown, decision="approve", first_id=first_id))
    assert service.store.patch("pat_1").status is S.APPROVED
    assert "otto and anna approved this patch" in text(signed(V).get(PAGE).text)


def test_telemetry_that_was_lost_is_on_the_status_page(signed: Any) -> None:
    page = signed(V).get("/status").text
    assert "2.5 s, 12 rows lost" in page
