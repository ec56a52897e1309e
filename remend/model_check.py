"""Whether the language model that the settings name can be had. It is not asked anything that costs tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from remend.finding import Finding, fine, in_one_line, warning

if TYPE_CHECKING:
    from patcher.llm.settings import LlmSettings

_NAME = "language model"
_SHOWN = 5  # names of models in one line


def language_model(home: Path) -> Iterator[Finding]:
    """The model of the settings in `home`; nothing where these cannot be read, which is a finding of its own."""
    try:
        from core.errors import BadInput  # noqa: PLC0415 - a broken installation can still say why
        from remend.settings import load_settings  # noqa: PLC0415
    except (ImportError, OSError, AttributeError) as error:
        yield warning(_NAME, f"cannot be asked: {in_one_line(error)}", "pip install 'remend[sim]'")
        return
    try:
        settings = load_settings(home).llm
    except BadInput:
        return
    if settings.wanted:
        yield endpoint(settings)
    else:
        yield fine(_NAME, "none is set, and nobody needs one; llm.model names one that writes laws")


def endpoint(settings: LlmSettings) -> Finding:
    """Whether the endpoint answers, and has the model."""
    from core.errors import BadInput  # noqa: PLC0415 - as above
    from patcher.llm.reach import models_at  # noqa: PLC0415
    from patcher.llm.writer import NoAnswer  # noqa: PLC0415

    where = settings.base_url or f"the endpoint of {settings.provider}"
    try:
        names = models_at(settings)
    except BadInput as error:
        return warning(_NAME, in_one_line(error), "docs/settings.md explains every key")
    except NoAnswer as error:
        what = f"{where} does not answer ({in_one_line(error)}); the other proposers go on without it"
        return warning(_NAME, what, "start it, or correct llm.base_url")
    if settings.model not in names:
        known = ", ".join(names[:_SHOWN]) or "none"
        return warning(_NAME, f"{where} has no {settings.model}, but {known}", "correct llm.model")
    return fine(_NAME, f"{where} has {settings.model}")
