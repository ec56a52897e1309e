"""A model that writes laws, through pydantic-ai: any endpoint of OpenAI's chat API, or Anthropic.

What goes wrong outside (no endpoint, too slow, rubbish) is one exception with one sentence; nobody else has to know the
library. Budgets hold over all calls for one incident.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from core.errors import BadInput
from patcher.llm.answer import Answer, read_text
from patcher.llm.settings import LlmSettings
from patcher.spent import Spent

MakeModel = Callable[[LlmSettings], Any]  # a model of pydantic-ai
Charge = Callable[[int, int], None]  # tokens of a prompt, and of its answer


class NoAnswer(Exception):  # noqa: N818 it is what there is
    """The model gave nothing to work with: why, in one sentence."""


class SpentUp(NoAnswer):
    """A budget of this incident is used up."""


class Writer:
    """One conversation about one incident.

    Args:
        make_model: how the model is had, for recordings and tests.
    """

    def __init__(self, settings: LlmSettings, make_model: MakeModel | None = None) -> None:
        self._settings = settings
        self._agent = _agent(settings, (make_model or live_model)(settings))
        self._history: list[Any] | None = None
        self.spent = Spent()

    def write(self, prompt: str) -> Answer:
        """Ask, in the conversation so far.

        Raises:
            NoAnswer: there is none: no endpoint, too late, or not in the form that was asked for.
            SpentUp: a budget does not allow it.
        """
        from pydantic_ai.exceptions import AgentRunError, ModelAPIError, UserError  # noqa: PLC0415 an extra
        from pydantic_ai.usage import RunUsage  # noqa: PLC0415

        self._require_budget()
        usage, began_s = RunUsage(), time.monotonic()
        try:
            result = self._agent.run_sync(prompt, message_history=self._history, usage=usage)
        except (AgentRunError, ModelAPIError, UserError, OSError, TimeoutError) as error:
            raise NoAnswer(f"{type(error).__name__}: {_short(error)}") from error
        finally:
            self.spent = self.spent.plus(usage.input_tokens, usage.output_tokens, time.monotonic() - began_s)
        self._history = result.all_messages()
        answer: Answer = result.output
        return answer

    def _require_budget(self) -> None:
        settings, spent = self._settings, self.spent
        if spent.calls >= settings.calls:
            raise SpentUp(f"{settings.calls} calls are made, as llm.calls allows for one incident")
        if spent.tokens_in + spent.tokens_out + settings.answer_tokens > settings.tokens:
            raise SpentUp(f"another call may pass {settings.tokens} tokens, which llm.tokens allows for one incident")
        if settings.cost_usd(spent.tokens_in, spent.tokens_out) >= settings.usd > 0.0:
            raise SpentUp(f"{settings.usd:g} USD are spent, as llm.usd allows for one incident")


def say(
    prompt: str, settings: LlmSettings, make_model: MakeModel | None = None, charge: Charge = lambda *_: None
) -> str:
    """What a model says to a prompt, once, as text.

    Args:
        charge: told the tokens that it took, also where nothing came of it.

    Raises:
        NoAnswer: nothing.
    """
    from pydantic_ai import Agent  # noqa: PLC0415 an extra
    from pydantic_ai.exceptions import AgentRunError, ModelAPIError, UserError  # noqa: PLC0415
    from pydantic_ai.usage import RunUsage  # noqa: PLC0415

    agent = Agent((make_model or live_model)(settings), output_type=str, model_settings=_sampling(settings))
    usage = RunUsage()
    try:
        said: str = agent.run_sync(prompt, usage=usage).output
    except (AgentRunError, ModelAPIError, UserError, OSError, TimeoutError) as error:
        raise NoAnswer(f"{type(error).__name__}: {_short(error)}") from error
    finally:
        charge(usage.input_tokens, usage.output_tokens)
    return said


def live_model(settings: LlmSettings) -> Any:
    """The model that the settings name.

    Raises:
        BadInput: its library or its key is missing.
    """
    try:
        if settings.provider == "anthropic":
            from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415 an extra
            from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

            return AnthropicModel(
                settings.model, provider=AnthropicProvider(api_key=_key(settings), base_url=settings.base_url or None)
            )
        from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415
        from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415
    except ImportError as error:
        raise BadInput("llm.model needs pydantic-ai; pip install 'remend[llm]', or leave the setting out") from error
    provider = OpenAIProvider(base_url=settings.base_url or None, api_key=_key(settings))
    return OpenAIChatModel(settings.model, provider=provider)


def _key(settings: LlmSettings) -> str:
    if not settings.key_variable:
        return "none"  # a local endpoint asks for no key
    if settings.key_variable not in os.environ:
        raise BadInput(f"llm.key_variable: there is no {settings.key_variable} in the environment; set it to the key")
    return os.environ[settings.key_variable]


def _agent(settings: LlmSettings, model: Any) -> Any:
    from pydantic_ai import Agent, ModelRetry, NativeOutput, TextOutput  # noqa: PLC0415 an extra

    def from_text(text: str) -> Answer:
        try:
            return read_text(text)
        except ValueError as error:
            raise ModelRetry(str(error)) from error

    return Agent(
        model,
        output_type=TextOutput(from_text) if settings.form == "text" else NativeOutput(Answer),
        retries=1,
        model_settings=_sampling(settings),
    )


def _sampling(settings: LlmSettings) -> Any:
    return {
        "temperature": settings.temperature,
        "max_tokens": settings.answer_tokens,
        "timeout": settings.timeout_s,
    }


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
