"""A policy file: what it says, what it refuses, and that nothing is allowed by leaving something out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from core.clock import ManualClock
from core.errors import BadInput
from remend import ledger
from remend.agency.policy import KINDS, NOTHING, AgencyPolicy, KindRule, Rules
from remend.agency.policy_toml import load_agency, read_agency
from remend.cli import app
from remend.service.robots import RobotEntry
from remend.service.service import Service
from remend.service.settings import ServiceSettings
from remend.store import Store

ENTRY = RobotEntry(robot_id="arm-7", model="iiwa", link="sim", fault="none", seed=1, at_ns=1)


def written(folder: Path, text: str) -> Path:
    (folder / "policy.toml").write_text(text)
    return folder / "policy.toml"


def test_without_a_file_nothing_is_approved_by_itself(tmp_path: Path) -> None:
    policy = load_agency(tmp_path)
    assert policy == AgencyPolicy()
    assert all(policy.of("any").of_kind(kind).auto_approved_per_day == 0 for kind in KINDS)


@given(st.text())
def test_a_kind_that_is_not_known_may_do_nothing(kind: str) -> None:
    rule = Rules().of_kind(kind)
    assert (rule is NOTHING) == (kind not in KINDS)
    assert NOTHING.proposed_per_day == NOTHING.auto_approved_per_day == 0


def test_a_robots_table_says_only_what_differs(tmp_path: Path) -> None:
    text = """
    version = 4
    [default.params]
    auto_approved_per_day = 2
    [default.code]
    persons = 2
    [robots.arm-7.params]
    auto_approved_per_day = 0
    [robots.arm-7.budget]
    simulations = 10
    usd = 0.5
    """
    policy = read_agency(written(tmp_path, text))
    assert policy.version == 4
    assert policy.of("other").params == KindRule(auto_approved_per_day=2)
    own = policy.of("arm-7")
    assert own.params == KindRule()
    assert own.code.persons == 2
    assert (own.budget.simulations, own.budget.usd, own.budget.tokens) == (10, 0.5, 300_000)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "version is missing; add it"),
        ("version = 0", "version must be a number between 1"),
        ("version = 1\nauto = true", "auto is not known here"),
        ("version = 1\n[default.parms]\npersons = 1", "default.parms is not known here; use one of"),
        ("version = 1\n[default.code]\npersons = 3", "default.code.persons must be a number between 1 and 2"),
        ("version = 1\n[default.code]\nauto_approve = true", "default.code.auto_approve is not known here"),
        ("version = 1\n[robots.a.code]\nproposed_per_day = -1", "robots.a.code.proposed_per_day must be a number"),
        (
            "version = 1\n[default.params]\nproposed_per_day = 1\nauto_approved_per_day = 2",
            "default.params.auto_approved_per_day is more than proposed_per_day, 1; lower it",
        ),
        (
            "version = 1\n[default.params]\npersons = 2\nauto_approved_per_day = 2",
            "default.params.auto_approved_per_day must be 0 where persons is 2",
        ),
        ("version = 1\n[default.budget]\nalpha = nan", "default.budget.alpha must be a number between 0 and 1"),
        ("version = 1\n[default.budget]\ntokens = 1.5", "default.budget.tokens must be a whole number"),
        ("version = ", "cannot be read as TOML"),
    ],
)
def test_an_error_is_one_sentence_with_file_and_key(tmp_path: Path, text: str, what: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        read_agency(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: {what}")
    assert "\n" not in said
    answer = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert answer.exit_code != 0
    with pytest.raises(BadInput, match=r"policy\.toml"):
        Service(tmp_path, ServiceSettings())  # refused at start, before anything begins
    assert not (tmp_path / "remend.db").exists()


def test_a_table_for_a_robot_that_is_not_there_is_refused_at_start(tmp_path: Path) -> None:
    written(tmp_path, "version = 1\n[robots.arm-8.code]\npersons = 2")
    with pytest.raises(BadInput, match=r"robots.arm-8 is no robot of this service; known are arm-7"):
        Service(tmp_path, ServiceSettings(), (ENTRY,))


def test_each_change_is_a_row_of_the_audit_log_and_needs_a_new_version(tmp_path: Path, clock: ManualClock) -> None:
    def begin(text: str) -> None:
        written(tmp_path, text)
        Service(tmp_path, ServiceSettings(), (ENTRY,), clock=clock).store.close()

    begin("version = 2\n[default.params]\nauto_approved_per_day = 1")
    begin("version = 2 # the same\n[default.params]\nauto_approved_per_day = 1")
    with pytest.raises(BadInput, match="version is 2, but the policy has changed since version 2; count it up"):
        begin("version = 2")
    with pytest.raises(BadInput, match="version is 1, but"):
        begin("version = 1")
    begin("version = 3")
    (tmp_path / "policy.toml").unlink()
    Service(tmp_path, ServiceSettings(), (ENTRY,), clock=clock).store.close()  # back to the defaults, and it is said
    with Store.open(tmp_path, clock) as store, store.reading() as connection:
        notes = ledger.notes(connection, "policy", "policy")
    assert [note.payload["version"] for note in notes] == ["2", "3", "0"]
    assert '"auto_approved_per_day":1' in notes[0].payload["policy"]


def test_show_prints_what_was_used_beside_what_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMEND_HOME", str(tmp_path))
    Service(tmp_path, ServiceSettings(), (ENTRY,)).store.close()
    answer = CliRunner().invoke(app, ["policy", "show"])
    assert answer.exit_code == 0, answer.output
    assert "arm-7: the defaults" in answer.output
    assert "params: approved by the policy     never" in answer.output
    assert "simulations                        0 of 20000" in answer.output
    written(tmp_path, "version = 7\n[robots.arm-7.code]\npersons = 2")
    answer = CliRunner().invoke(app, ["policy", "show", "--robot", "arm-7", "--json"])
    assert '"persons":{"code":2,"params":1,"weights":1}' in answer.output
    assert CliRunner().invoke(app, ["policy", "show", "--robot", "nobody"]).exit_code != 0
    assert "version 7" in CliRunner().invoke(app, ["policy", "check", str(tmp_path / "policy.toml")]).output


def test_the_hash_is_that_of_what_it_says(tmp_path: Path) -> None:
    first = read_agency(written(tmp_path, "version = 1\n[default.code]\npersons = 1"))
    assert first.sha256 == read_agency(written(tmp_path, "version = 1")).sha256
    assert first.sha256 != replace(first, version=2).sha256
