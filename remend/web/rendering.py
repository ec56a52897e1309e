"""Pages from templates: plain HTML that works without scripts."""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

import remend
from remend import numbers
from remend.web.identity import known, service_of
from remend.web.views.chrome import chrome_of

STATIC = Path(__file__).parent / "static"
STYLE = Path(str(remend.__file__)).parent / "templates" / "style"  # shared with the report


@cache
def static(name: str) -> str:
    """Address of a static file; it changes with the content, so that no browser keeps an old one."""
    file = STYLE / name.removeprefix("style/") if name.startswith("style/") else STATIC / name
    return f"/static/{name}?v={hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"


_ENVIRONMENT = Environment(
    loader=ChoiceLoader([PackageLoader("remend.web", "templates"), PackageLoader("remend", "templates")]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals.update(n=numbers, static=static)


def page(
    request: Request, template: str, *, status: HTTPStatus = HTTPStatus.OK, here: str = "", **content: Any
) -> HTMLResponse:
    """A page in its frame.

    Args:
        here: where forms of the frame lead back to; by default the page itself.
    """
    service, who = service_of(request), known(request)
    if not here:
        here = request.url.path if request.method == "GET" else "/"
    with service.store.reading() as connection:
        chrome = chrome_of(service, connection, who, here)
    text = _ENVIRONMENT.get_template(template).render(chrome=chrome, **content)
    return HTMLResponse(text, status_code=status)


def error_page(request: Request, status: HTTPStatus, detail: str, headers: dict[str, str] | None) -> Response:
    """What went wrong, for a person."""
    answer = page(
        request,
        "error.html.jinja",
        status=status,
        phrase=status.phrase,
        code=int(status),
        detail=detail,
        request_id=getattr(request.state, "request_id", ""),
    )
    answer.headers.update(headers or {})
    return answer


def inside(path: str) -> str:
    """Only places of this service: a link must not send anybody elsewhere."""
    parts = urlsplit(path)
    is_inside = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return path if is_inside else "/"
