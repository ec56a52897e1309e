"""Nobody gets in without a password that is right, and a pass says no more than its owner may."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from core.clock import ManualClock
from core.errors import BadInput, Conflict, Refused
from remend.service import accounts
from remend.service.accounts import Role, User
from remend.store import Store

PASSWORD = "correct horse battery"  # noqa: S105 of a test
ADMIN, OPERATOR, VIEWER = Role.ADMIN, Role.OPERATOR, Role.VIEWER


@pytest.fixture
def anna(store: Store) -> User:
    with store.journal("test") as journal:
        return accounts.add_user(journal, "anna", ADMIN, PASSWORD)


def issue(
    store: Store, owner: User, clock: ManualClock, kind: str = "token", role: Role = OPERATOR, hours: float = 1.0
) -> str:
    with store.journal("test") as journal:
        return accounts.issue(journal, owner, kind="token", role=role, label="a test", hours=hours, clock=clock)


def test_a_password_lets_in_and_another_one_does_not(store: Store, anna: User) -> None:
    with store.reading() as connection:
        assert accounts.check_password(connection, "anna", PASSWORD) == anna
        for name, password in (("anna", PASSWORD + "x"), ("anna", ""), ("berta", PASSWORD), ("", "")):
            with pytest.raises(Refused, match=r"^name or password is wrong$"):
                accounts.check_password(connection, name, password)


def test_neither_password_nor_pass_can_be_read_from_the_disk(store: Store, anna: User, clock: ManualClock) -> None:
    secret = issue(store, anna, clock)
    with closing(sqlite3.connect(store.home / "remend.db")) as connection:
        everything = "\n".join(connection.iterdump())
    assert PASSWORD not in everything
    assert secret not in everything
    assert "$argon2id$" in everything


@pytest.mark.parametrize("name", ["", "Anna", "an na", "anna/../x", "service", "robot", "simulated-operator", "a" * 41])
def test_a_name_that_is_none_or_somebody_elses_is_refused(store: Store, name: str) -> None:
    with store.journal("test") as journal, pytest.raises(BadInput, match="cannot be a user name"):
        accounts.add_user(journal, name, VIEWER, PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_a_password_that_is_too_short_or_too_long_is_refused(store: Store, password: str) -> None:
    with store.journal("test") as journal, pytest.raises(BadInput, match="10 to 200 characters"):
        accounts.add_user(journal, "anna", VIEWER, password)


def test_a_name_is_given_once(store: Store, anna: User) -> None:
    with store.journal("test") as journal, pytest.raises(Conflict, match="anna already"):
        accounts.add_user(journal, "anna", VIEWER, PASSWORD)


def test_a_pass_ends_when_its_time_is_over(store: Store, anna: User, clock: ManualClock) -> None:
    secret = issue(store, anna, clock, hours=1.0)
    now_ns = clock.wall_ns()
    with store.reading() as connection:
        found = accounts.pass_of(connection, secret, now_ns + accounts.HOUR_NS - 1)
        assert found is not None
        assert (found.user, found.role, found.kind) == ("anna", OPERATOR, "token")
        assert accounts.pass_of(connection, secret, now_ns + accounts.HOUR_NS) is None
        assert accounts.pass_of(connection, secret + "x", now_ns) is None
    clock.now_ns += accounts.HOUR_NS
    with store.journal("test") as journal:
        accounts.sweep(journal)
    clock.now_ns -= accounts.HOUR_NS  # a clock that jumps back wakes nothing up again
    with store.reading() as connection:
        assert accounts.pass_of(connection, secret, clock.wall_ns()) is None


@pytest.mark.parametrize(("owner", "wanted"), [(VIEWER, OPERATOR), (VIEWER, ADMIN), (OPERATOR, ADMIN)])
def test_a_token_says_no_more_than_its_owner_may(store: Store, clock: ManualClock, owner: Role, wanted: Role) -> None:
    with store.journal("test") as journal:
        user = accounts.add_user(journal, "owner", owner, PASSWORD)
    with pytest.raises(Refused, match="cannot make a token"):
        issue(store, user, clock, role=wanted)


@pytest.mark.parametrize("change", ["password", "role", "removed", "revoked"])
def test_whoever_was_let_in_is_out_when_password_or_role_changes(
    store: Store, anna: User, clock: ManualClock, change: str
) -> None:
    with store.journal("test") as journal:
        berta = accounts.add_user(journal, "berta", ADMIN, PASSWORD)
    secret = issue(store, berta, clock)
    with store.journal("test") as journal:
        match change:
            case "password":
                accounts.set_password(journal, "berta", "another one entirely")
            case "role":
                accounts.set_role(journal, "berta", VIEWER)
            case "removed":
                accounts.remove_user(journal, "berta")
            case _:
                (token,) = accounts.passes(journal.connection, "token")
                accounts.revoke(journal, token.id)
    with store.reading() as connection:
        assert accounts.pass_of(connection, secret, clock.wall_ns()) is None


def test_the_last_admin_stays(store: Store, anna: User) -> None:
    with store.journal("test") as journal, pytest.raises(Refused, match="only admin"):
        accounts.remove_user(journal, "anna")
    with store.journal("test") as journal, pytest.raises(Refused, match="only admin"):
        accounts.set_role(journal, "anna", OPERATOR)


def test_every_change_is_in_the_audit_log(store: Store, anna: User, clock: ManualClock) -> None:
    issue(store, anna, clock)
    with store.journal("test") as journal:
        accounts.set_password(journal, "anna", "another one entirely")
    with store.reading() as connection:
        verbs = [row[0] for row in connection.exec_driver_sql("SELECT verb FROM audit ORDER BY seq")]
    assert verbs == ["user_added", "token_issued", "password_changed"]


@pytest.mark.parametrize(
    ("role", "scopes", "kind"),
    [(VIEWER, ["high_risk"], BadInput), (OPERATOR, ["everything"], BadInput), (OPERATOR, ["high_risk"], None)],
)
def test_a_token_has_the_scopes_that_it_was_made_with_and_no_others(
    store: Store, anna: User, clock: ManualClock, role: Role, scopes: list[str], kind: type[Exception] | None
) -> None:
    def make() -> str:
        with store.journal("test") as journal:
            return accounts.issue(
                journal, anna, kind="token", role=role, label="", hours=1.0, clock=clock, scopes=scopes
            )

    if kind is not None:
        with pytest.raises(kind, match="scope"):
            make()
        return
    secret = make()
    with store.reading() as connection:
        found = accounts.pass_of(connection, secret, clock.wall_ns())
    assert found is not None
    assert (found.role, found.scopes) == (role, tuple(scopes))
