"""What went wrong, as `application/problem+json` (RFC 9457) for programs and as a page for people."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from core.errors import BadInput, Conflict, Damaged, Missing, Refused, RemendError, Unavailable

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """One problem."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str  # one sentence: what, where, what to do instead
    request_id: str


def status_of(error: RemendError) -> HTTPStatus:
    """The status that says who has to act."""
    match error:
        case Missing():
            return HTTPStatus.NOT_FOUND
        case Damaged() | Unavailable():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case BadInput():
            return HTTPStatus.BAD_REQUEST
        case Conflict():
            return HTTPStatus.CONFLICT
        case Refused():
            return HTTPStatus.FORBIDDEN
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE


def problem(request: Request, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a program."""
    request_id = getattr(request.state, "request_id", "")
    content = Problem(title=status.phrase, status=status, detail=detail, request_id=request_id).model_dump()
    return JSONResponse(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def wants_page(request: Request) -> bool:
    """Whether a person is looking."""
    path = request.url.path
    return not path.startswith(("/api/", "/metrics", "/healthz", "/readyz", "/openapi.json"))
