"""Whether the language model of the settings can be had: its endpoint is asked for its models, which costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from patcher.llm.settings import LlmSettings
from patcher.llm.writer import MakeModel, NoAnswer, live_model

_PATIENCE_S = 5.0


def models_at(settings: LlmSettings, make_model: MakeModel | None = None) -> tuple[str, ...]:
    """Names of the models that the endpoint of `settings` has.

    Raises:
        BadInput: the library or the key is missing.
        NoAnswer: the endpoint cannot be reached, or says no.
    """
    model = (make_model or live_model)(settings)
    try:
        return _complete(_names(model.client))
    except Exception as error:  # the libraries of two providers have their own, which share nothing
        why = " ".join(str(error).split())[:200]
        raise NoAnswer(f"{type(error).__name__}: {why}") from error


def _complete(work: Coroutine[Any, Any, tuple[str, ...]]) -> tuple[str, ...]:
    """In a loop of its own: `asyncio.run` would drop, unclosed, the one that an agent has set for this thread."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def _names(client: Any) -> tuple[str, ...]:
    async with client.with_options(timeout=_PATIENCE_S, max_retries=0) as asked:
        page = await asked.models.list()
    return tuple(each.id for each in page.data)
