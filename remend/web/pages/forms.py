"""What forms send: short texts, and names in addresses."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Form, Path
from fastapi.responses import RedirectResponse

from remend.service.decisions import MAX_REASON

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,80}$")]
Text = Annotated[str, Form(max_length=200)]
Sha = Annotated[str, Form(max_length=64)]
Words = Annotated[str, Form(max_length=2 * MAX_REASON)]  # what is too long is told, and not lost


def see(path: str) -> RedirectResponse:
    """Go on to another page, so that a reload sends nothing twice."""
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)
