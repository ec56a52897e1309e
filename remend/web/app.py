"""The web application of a service."""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from core.errors import RemendError
from remend import __version__
from remend.disk import no_room
from remend.service.service import Service
from remend.web import api, health, pages, sign_in
from remend.web.attempts import Attempts, TooMany
from remend.web.guard import Guard
from remend.web.identity import NotAllowed, SignedOut
from remend.web.problems import problem, status_of, wants_page
from remend.web.rendering import STATIC, STYLE, error_page

_LOG = logging.getLogger("remend.web")


def create_app(service: Service) -> FastAPI:
    """The application that answers for `service`, which runs already."""
    app = FastAPI(
        title="Remend",
        version=__version__,
        summary="Robots, incidents, patches and the decisions on them.",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.state.attempts = Attempts(service.clock)
    app.state.stopping = threading.Event()
    app.include_router(api.router)
    app.include_router(health.router)
    app.include_router(sign_in.router, include_in_schema=False)
    app.include_router(pages.router, include_in_schema=False)
    app.mount("/static/style", StaticFiles(directory=STYLE), name="style")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard)
    app.add_exception_handler(RemendError, _known_error)
    app.add_exception_handler(SignedOut, _signed_out)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(RequestValidationError, _no_sense)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(Exception, _fault)
    return app


def _answer(request: Request, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> Response:
    if wants_page(request):
        return error_page(request, status, detail, headers)
    return problem(request, status, detail, headers)


def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RemendError)
    return _answer(request, status_of(error), str(error))


def _signed_out(request: Request, error: Exception) -> Response:
    if wants_page(request):
        return RedirectResponse(sign_in.door(request), status_code=303)
    return problem(request, HTTPStatus.UNAUTHORIZED, str(error), {"WWW-Authenticate": "Bearer"})


def _not_allowed(request: Request, error: Exception) -> Response:
    return _answer(request, HTTPStatus.FORBIDDEN, str(error))


def _too_many(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooMany)
    return _answer(request, HTTPStatus.TOO_MANY_REQUESTS, str(error), {"Retry-After": f"{error.wait_s:.0f}"})


def _no_sense(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, wrong)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, HTTPStatus(error.status_code), str(error.detail), dict(error.headers or {}))


def _disk(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    full = no_room(error)
    return _fault(request, error) if full is None else _known_error(request, full)


def _fault(request: Request, error: Exception) -> Response:
    _LOG.error("internal fault at %s", request.url.path, exc_info=error)
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal fault; the service's log says where")
