"""Answers of a real model, kept and given again: a healing with a model that needs no model.

{"model": "...", "prompt_sha": "...", "text": "...", "tokens_in": 812, "tokens_out": 140}     one line for each call
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.ids import sha256_of
from patcher.llm.settings import LlmSettings
from patcher.llm.writer import MakeModel, live_model


def recorded(file: Path) -> MakeModel:
    """A model that gives the answers in a file, one after the other, whatever it is asked."""

    def make(settings: LlmSettings) -> Any:
        from pydantic_ai.exceptions import ModelAPIError  # noqa: PLC0415 an extra
        from pydantic_ai.messages import ModelResponse, TextPart  # noqa: PLC0415
        from pydantic_ai.models.function import FunctionModel  # noqa: PLC0415
        from pydantic_ai.usage import RequestUsage  # noqa: PLC0415

        answers = iter([json.loads(line) for line in file.read_text().splitlines()])

        def answer(messages: list[Any], info: Any) -> Any:
            for kept in answers:
                usage = RequestUsage(input_tokens=kept["tokens_in"], output_tokens=kept["tokens_out"])
                return ModelResponse(parts=[TextPart(kept["text"])], usage=usage)
            raise ModelAPIError(settings.model, "the recording has no further answer")

        return FunctionModel(answer, model_name=settings.model)

    return make


def recording(file: Path, make_model: MakeModel = live_model) -> MakeModel:
    """A model whose answers are added to a file."""

    def make(settings: LlmSettings) -> Any:
        from pydantic_ai.models.wrapper import WrapperModel  # noqa: PLC0415 an extra

        class Recording(WrapperModel):
            """Writes down what comes back."""

            async def request(self, messages: Any, *rest: Any, **named: Any) -> Any:
                response = await super().request(messages, *rest, **named)
                kept = {
                    "model": settings.model,
                    "prompt_sha": sha256_of("\n".join(_texts(messages))),
                    "text": "".join(getattr(part, "content", "") for part in response.parts),
                    "tokens_in": response.usage.input_tokens,
                    "tokens_out": response.usage.output_tokens,
                }
                with file.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(kept) + "\n")
                return response

        return Recording(make_model(settings))

    return make


def _texts(messages: list[Any]) -> Iterator[str]:
    """What was said so far, without moments and ids."""
    for message in messages:
        for part in message.parts:
            content = getattr(part, "content", "")
            yield content if isinstance(content, str) else ""
