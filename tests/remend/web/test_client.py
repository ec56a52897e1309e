"""The verbs of the command line do over HTTP what the pages do, and say the same sentences."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.errors import BadInput, Conflict, Missing, Refused, RemendError
from core.status import PatchStatus
from remend.agency.policy import AgencyPolicy, KindRule, Rules
from remend.cli import app
from remend.ledger import Patch
from remend.service.accounts import Role
from remend.service.client import Client
from remend.service.orders import OrderResult, answer, waiting
from remend.service.service import Service

ANY = Role.VIEWER


class Here(Client):
    """Speaks to the application in this process."""

    def __init__(self, http: Any) -> None:
        super().__init__("http://testserver", "")
        self._http.close()
        self._http = http


@pytest.fixture
def client(signed: Any) -> Any:
    return lambda role: Here(signed(role))


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, client: Any) -> Any:
    """The command line, with the token of a role."""

    def run(role: Role, *words: str) -> Result:
        monkeypatch.setenv("REMEND_TOKEN", "given")
        monkeypatch.setattr("remend.service.client.Client", lambda url, token: client(role))
        return CliRunner().invoke(app, list(words))

    return run


def test_a_patch_is_found_read_and_approved(shell: Any, service: Service, patch: Patch) -> None:
    listed = shell(ANY, "patches", "--status", "awaiting_approval")
    assert listed.exit_code == 0, listed.output
    assert "pat_1  iiwa  awaiting_approval" in listed.output
    assert '"id":"inc_1"' in shell(ANY, "incidents", "--json").output
    assert "inc_1" in shell(ANY, "incidents").output
    done = shell(Role.OPERATOR, "approve", "pat_1", "--reason", "fine")
    assert "pat_1 is approved by otto" in done.output
    assert service.store.patch("pat_1").status is PatchStatus.APPROVED


def test_a_second_person_is_told_of_the_first_approval(shell: Any, service: Service, patch: Patch) -> None:
    service.agency = AgencyPolicy(default=Rules(params=KindRule(persons=2)))
    first = shell(Role.OPERATOR, "approve", "pat_1", "--reason", "seen it on the arm")
    assert "pat_1 has the first approval, by otto; another person has to approve the same" in first.output
    second = shell(Role.ADMIN, "approve", "pat_1", "--reason", "so have I")
    assert "otto has approved pat_1 first: seen it on the arm" in second.output
    assert "pat_1 is approved by otto and anna" in second.output


def test_what_a_service_refuses_is_an_error_with_its_sentence(shell: Any, patch: Patch) -> None:
    for role, words, kind, text in (
        (Role.VIEWER, ("approve", "pat_1"), Refused, "vera is viewer; this takes operator"),
        (Role.OPERATOR, ("approve", "pat_9"), Missing, "no patch 'pat_9'"),
        (Role.OPERATOR, ("reject", "pat_1"), BadInput, "needs a reason"),
        (Role.OPERATOR, ("thaw",), Refused, "this takes admin"),
    ):
        result = shell(role, *words)
        assert isinstance(result.exception, kind), (words, result.output)
        assert text in str(result.exception)
    assert shell(Role.OPERATOR, "reject", "pat_1", "--reason", "no").exit_code == 0
    late = shell(Role.OPERATOR, "approve", "pat_1")
    assert isinstance(late.exception, Conflict)


@pytest.mark.parametrize("verb", ["rollback", "hold", "resume"])
def test_an_order_waits_for_its_answer(shell: Any, service: Service, verb: str) -> None:
    unanswered = shell(Role.OPERATOR, verb, "iiwa", "--reason", "noise", "--wait", "0")
    assert unanswered.exit_code == 1
    assert "has not answered yet" in unanswered.output
    with service.store.journal("robot") as journal:
        (order,) = waiting(journal.connection, "iiwa")
        assert (order.actor, order.reason) == ("otto", "noise")
        assert order.verb.value.replace("_", "") == verb
        answer(journal, order, OrderResult(order_id=order.id, done=True, what="the robot is back", at_ns=1))
        assert not waiting(journal.connection, "iiwa")


def test_patching_is_frozen_and_goes_on(shell: Any, client: Any) -> None:
    assert "patching is frozen" in shell(ANY, "freeze", "--reason", "visitors").output
    assert "patching goes on" in shell(Role.ADMIN, "thaw").output


def test_a_service_that_is_not_there_and_a_token_that_is_not_set_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMEND_TOKEN", "x")
    monkeypatch.setenv("REMEND_URL", "http://127.0.0.1:9")
    for word, kind in (("patches", Refused),):
        result = CliRunner().invoke(app, [word])
        assert isinstance(result.exception, kind)
        assert "no service answers at http://127.0.0.1:9" in str(result.exception)
    monkeypatch.delenv("REMEND_TOKEN")
    result = CliRunner().invoke(app, ["patches"])
    assert isinstance(result.exception, RemendError)
    assert "remend user token" in str(result.exception)


def test_people_are_added_at_the_home_folder(monkeypatch: pytest.MonkeyPatch, service: Service, signed: Any) -> None:
    monkeypatch.setenv("REMEND_HOME", str(service.home))

    def run(*words: str, typed: str = "") -> str:
        result = CliRunner().invoke(app, ["user", *words], input=typed)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.output

    assert "berta can sign in as viewer" in run("add", "berta", "--role", "viewer", typed="a long password\n")
    assert "berta  viewer" in run("list")
    run("role", "berta", "--role", "operator")
    run("password", "berta", typed="another password\n")
    secret = run("token", "berta", "--hours", "8000")  # the clock of the fixture is ahead.strip()
    bearer = {"Authorization": f"Bearer {secret}"}
    assert signed(None).get("/api/v1/me", headers=bearer).json() == {"name": "berta", "role": "operator"}
    assert "cannot sign in any more" in run("remove", "berta")
    assert signed(None).get("/api/v1/me", headers=bearer).status_code == 401
