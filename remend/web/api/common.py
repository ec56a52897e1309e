"""What all routes of the API share: names, limits, and the answers that any of them may give."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, Field

from remend.service.decisions import MAX_REASON
from remend.web.problems import MEDIA_TYPE, Problem

_STATUSES = {400: "what was asked makes no sense", 401: "nobody has signed in", 403: "the answer is no"}
_STATUSES |= {404: "there is nothing of this name", 409: "the world has moved on", 413: "the body is too long"}
_STATUSES |= {422: "a value is not of its kind", 429: "too many attempts", 503: "it cannot be done now"}

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,80}$")]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Before = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,80}$", description="Go on after this id.")]
Reason = Annotated[str, Field(max_length=MAX_REASON, examples=["agreed with the shift"])]
IfMatch = Annotated[str | None, Header(description="ETag of the patch as it was read.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=80,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key again is the same request.",
    ),
]


def routes() -> APIRouter:
    """A router that documents the problems it may answer with."""
    problem = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return APIRouter(
        responses={status: {"description": text, "content": problem} for status, text in _STATUSES.items()}
    )


class Asked(BaseModel):
    """Why somebody asks for something."""

    reason: Reason = ""


class Page(BaseModel):
    """A page of a list; `next` is what to pass as `before`, null on the last page."""

    next: str | None
