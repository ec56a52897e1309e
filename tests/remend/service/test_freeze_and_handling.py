"""A freeze holds until it is lifted; what people say of an incident stays until it shows again."""

from __future__ import annotations

from types import ModuleType

import pytest

from core.errors import BadInput, Conflict, Missing, Refused
from remend.service.freeze import freeze, frozen, require_moving, thaw
from remend.service.handling import Handling, handle, handled
from remend.store import Store
from telemetry.incidents import Severity

H = Handling


def test_a_freeze_names_who_and_why_and_the_first_one_counts(store: Store) -> None:
    with store.journal("anna") as journal:
        require_moving(journal.connection)
        freeze(journal, "visitors in the cell")
    with store.journal("berta") as journal:
        freeze(journal, "me too")
        now = frozen(journal.connection)
        assert now is not None
        assert (now.actor, now.reason) == ("anna", "visitors in the cell")
        with pytest.raises(Refused, match=r"frozen by anna \(visitors in the cell\)"):
            require_moving(journal.connection)
        thaw(journal, "they are gone")
        thaw(journal, "twice")
        assert frozen(journal.connection) is None
        require_moving(journal.connection)


@pytest.fixture
def incident(store: Store, samples: ModuleType) -> str:
    store.add_occurrence(samples.incident(), Severity.DEGRADED)
    return "inc_1"


def say(store: Store, incident: str, handling: Handling, note: str = "") -> None:
    with store.journal("anna") as journal:
        handle(journal, incident, handling, note)


def said(store: Store, incident: str) -> Handling | None:
    with store.reading() as connection:
        last = handled(connection, incident)
    return None if last is None else last.handling


def test_the_last_word_counts(store: Store, incident: str) -> None:
    assert said(store, incident) is None
    for handling in (H.ACKNOWLEDGED, H.MUTED):
        say(store, incident, handling)
        assert said(store, incident) is handling
    say(store, incident, H.CLOSED, "the gripper was loose; maintenance has it")
    assert said(store, incident) is H.CLOSED
    say(store, incident, H.REOPENED)
    assert said(store, incident) is None


def test_a_closed_incident_is_reopened_first_and_closing_takes_a_note(store: Store, incident: str) -> None:
    with pytest.raises(BadInput, match="needs a note"):
        say(store, incident, H.CLOSED, "  ")
    say(store, incident, H.CLOSED, "loose")
    with pytest.raises(Conflict, match="closed by anna; reopen it first"):
        say(store, incident, H.MUTED)


@pytest.mark.parametrize(("handling", "after"), [(H.MUTED, None), (H.ACKNOWLEDGED, H.ACKNOWLEDGED)])
def test_what_was_muted_is_heard_again_when_it_shows_again(
    store: Store, samples: ModuleType, incident: str, handling: Handling, after: Handling | None
) -> None:
    say(store, incident, handling)
    again = store.add_occurrence(samples.incident("inc_2"), Severity.DEGRADED)
    assert again.incident_id == incident
    assert said(store, incident) is after


def test_nothing_is_said_of_what_does_not_exist(store: Store) -> None:
    with pytest.raises(Missing, match="no incident 'inc_9'"):
        say(store, "inc_9", H.MUTED)
