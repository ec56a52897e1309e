"""Requests over ROS 2 come back from text as they went in, and what is no request is refused with a sentence."""

from __future__ import annotations

import pytest

from controllers.link_messages import Asked, Wish, ask, read_asked
from controllers.requests import AskStatus, BeginCanary, BeginShadow, Hold, Kill, Resume, RollBack, StagePatch
from core.errors import BadInput
from tests.controllers import candidates

WISHES: tuple[Wish, ...] = (
    StagePatch(signed=b"\x00{}", files={"law.py": b"\xff", "params.toml": b""}),
    BeginShadow(limits=candidates.wide_limits(2)),
    BeginCanary(),
    RollBack(reason="it hums"),
    Kill(reason="smoke"),
    Hold(reason="a visitor"),
    Resume(),
    AskStatus(),
)


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: type(wish).__name__)
def test_a_request_comes_back_as_it_went_in(wish: Wish) -> None:
    asked = Asked(session="s", number=3, wish=wish)
    assert read_asked(ask(asked)) == asked


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "object"),
        ("{", "send an object"),
        ('{"session": "s", "number": 0, "verb": "hold"}', "number from 1"),
        ('{"session": "s", "number": 1, "verb": "halt"}', "resume, keep_head or status"),
        ('{"session": "s", "number": 1, "verb": ["hold"]}', "there is no request"),
        ('{"session": "s", "number": 1, "verb": "stage"}', "files by name"),
        ('{"session": "s", "number": 1, "verb": "shadow", "limits": {}}', "limits of a canary"),
    ],
)
def test_what_is_no_request_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_asked(text)
