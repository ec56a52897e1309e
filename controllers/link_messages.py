"""Requests to a robot, and its answers, as JSON text: what a service and a host say to each other over ROS 2.

Nothing here is trusted: a text that is too long or not what it should be is a `BadInput`, and patches are believed for
their signatures alone.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controllers.canary import CanaryLimits
from controllers.host_status import HostStatus
from controllers.inline_messages import InlineStatus
from controllers.requests import (
    AskStatus,
    BeginCanary,
    BeginShadow,
    Hold,
    KeepHead,
    Kill,
    Order,
    Resume,
    RollBack,
    StagePatch,
)
from controllers.runtime import Note, Stage
from controllers.timing import LoopTiming
from core.errors import BadInput

MOST_CHARACTERS = 32 * 2**20  # a patch with the largest weights
Wish = StagePatch | Order | AskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of one service."""

    session: str
    number: int  # from 1, rising
    wish: Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of a request."""

    session: str
    number: int
    kind: str  # "done", "refused", "signature", "bad" or "fault"
    why: str = ""
    status: dict[str, Any] | None = None


def ask(asked: Asked) -> str:
    """A request as text."""
    body: dict[str, Any] = {"session": asked.session, "number": asked.number}
    match asked.wish:
        case StagePatch(signed=signed, files=files):
            body |= {"verb": "stage", "signed": _text(signed), "files": {k: _text(v) for k, v in files.items()}}
        case BeginShadow(limits=limits):
            body |= {"verb": "shadow", "limits": dataclasses.asdict(limits)}
        case BeginCanary():
            body |= {"verb": "canary"}
        case RollBack(reason=reason):
            body |= {"verb": "roll_back", "reason": reason}
        case Kill(reason=reason):
            body |= {"verb": "kill", "reason": reason}
        case Hold(reason=reason):
            body |= {"verb": "hold", "reason": reason}
        case Resume():
            body |= {"verb": "resume"}
        case KeepHead(head=head):
            body |= {"verb": "keep_head", "head": _text(head)}
        case AskStatus():
            body |= {"verb": "status"}
    return json.dumps(body)


def read_asked(text: str) -> Asked:
    """Inverse of `ask`.

    Raises:
        BadInput: this is no request.
    """
    body = _object(text)
    session, number = body.get("session"), body.get("number")
    if not isinstance(session, str) or not 0 < len(session) <= 100 or type(number) is not int or number < 1:
        raise BadInput("a request has a session and a number from 1; send it again with both")
    return Asked(session=session, number=number, wish=_wish(body))


def _wish(body: Mapping[str, Any]) -> Wish:
    verb = body.get("verb")
    if not isinstance(verb, str) or (read := _WISHES.get(verb)) is None:
        *most, last = _WISHES
        raise BadInput(f"there is no request {verb!r}; use {', '.join(most)} or {last}")
    return read(body)


def _stage(body: Mapping[str, Any]) -> StagePatch:
    files = body.get("files")
    if not isinstance(files, dict):
        raise BadInput("a request to stage has files by name; send it again with them")
    return StagePatch(
        signed=_bytes(body.get("signed")), files={str(name): _bytes(data) for name, data in files.items()}
    )


def _reason(body: Mapping[str, Any]) -> str:
    return str(body.get("reason"))[:300]


_WISHES: dict[str, Callable[[Mapping[str, Any]], Wish]] = {
    "stage": _stage,
    "shadow": lambda body: BeginShadow(limits=read_limits(body.get("limits"))),
    "canary": lambda _: BeginCanary(),
    "roll_back": lambda body: RollBack(reason=_reason(body)),
    "kill": lambda body: Kill(reason=_reason(body)),
    "hold": lambda body: Hold(reason=_reason(body)),
    "resume": lambda _: Resume(),
    "keep_head": lambda body: KeepHead(head=_bytes(body.get("head"))),
    "status": lambda _: AskStatus(),
}


def read_limits(value: object) -> CanaryLimits:
    """Limits of a canary from JSON.

    Raises:
        BadInput: these are none.
    """
    lists, numbers = ("offset", "ramp_error", "settled_error"), ("settle_s", "variation_nm")
    if not isinstance(value, dict) or value.keys() != {*lists, *numbers}:
        raise BadInput(f"limits of a canary are {', '.join((*lists, *numbers))}; send all of them")
    try:
        return CanaryLimits(
            offset=_floats(value["offset"]),
            ramp_error=_floats(value["ramp_error"]),
            settled_error=_floats(value["settled_error"]),
            settle_s=float(value["settle_s"]),
            variation_nm=float(value["variation_nm"]),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput("limits of a canary are numbers and lists of numbers; correct them") from error


def answer(answered: Answered) -> str:
    """An answer as text."""
    return json.dumps(dataclasses.asdict(answered))


def read_answer(text: str) -> Answered:
    """Inverse of `answer`.

    Raises:
        BadInput: this is no answer.
    """
    body = _object(text)
    try:
        return Answered(**body)
    except TypeError as error:
        raise BadInput("this is no answer of a host; check that both sides have the same version") from error


def status_body(status: InlineStatus) -> dict[str, Any]:
    """A status as JSON types; what is not finite becomes null."""
    body = dataclasses.asdict(status)
    body["host"]["stage"] = status.host.stage.value
    if not math.isfinite(status.host.max_command_step_nm):
        body["host"]["max_command_step_nm"] = None
    return body


def read_host_status(body: Mapping[str, Any]) -> HostStatus:
    """The part of `status_body` that is about controllers.

    Raises:
        BadInput: this is none.
    """
    try:
        host = dict(body["host"])
        host["stage"] = Stage(host["stage"])
        host["stages_run"] = tuple(host["stages_run"])
        host["notes"] = tuple(Note(**note) for note in host["notes"])
        if (timing := host["timing"]) is not None:
            lists = {name: tuple(timing[name]) for name in ("wake_us", "tick_us")}
            host["timing"] = LoopTiming(**{**timing, **lists})
        step = host["max_command_step_nm"]
        host["max_command_step_nm"] = math.nan if step is None else float(step)
        return HostStatus(**host)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("this is no status of a host; check that both sides have the same version") from error


def _object(text: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        raise BadInput(f"a message has {len(text)} characters; send at most {MOST_CHARACTERS}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput("a message is not JSON; send an object") from error
    if not isinstance(body, dict):
        raise BadInput("a message is not a JSON object; send one")
    return body


def _floats(values: object) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(float(value) for value in values)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text).encode(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("bytes in a message are base64; encode them so") from error
