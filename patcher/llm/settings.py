"""The settings of the language model, as `[llm]` of remend.toml has them."""

from __future__ import annotations

from dataclasses import dataclass

from core.toml_table import Table

PROVIDERS = ("openai", "anthropic")  # "openai" is every endpoint that speaks its chat API: llama.cpp, vLLM, Ollama
FORMS = ("text", "json")
_MOST_TOKENS, _MOST_CALLS, _LONGEST_S, _MOST_MONEY = 10_000_000, 100, 3600.0, 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSettings:
    """Which model is asked, how, and for how much. Without a model nobody is asked."""

    model: str = ""
    provider: str = "openai"
    base_url: str = ""  # of the endpoint; without one the provider's own
    key_variable: str = ""  # environment variable that holds the key; a key is never in a file
    form: str = "text"  # of the answer: code and table as text for small models, JSON by schema for those that can
    summary: bool = False  # also puts the diagnosis into words
    temperature: float = 0.2
    answer_tokens: int = 900  # of one answer
    calls: int = 4  # for one incident, repairs included
    tokens: int = 60_000  # for one incident, prompts and answers
    timeout_s: float = 120.0  # of one call
    usd_per_mtok_in: float = 0.0
    usd_per_mtok_out: float = 0.0
    usd: float = 1.0  # for one incident

    @property
    def wanted(self) -> bool:
        return bool(self.model)

    def cost_usd(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        return 1e-6 * (tokens_in * self.usd_per_mtok_in + tokens_out * self.usd_per_mtok_out)


def read_llm_settings(table: Table) -> LlmSettings:
    """Settings from a table of which only the keys that differ from the defaults need be there.

    Raises:
        BadInput: a key is not known, or a value is out of range.
    """
    default = LlmSettings()

    def text(key: str) -> str:
        value: str = table.text(key) if table.has(key) else getattr(default, key)
        return value

    def number(key: str, low: float, high: float) -> float:
        value: float = table.number(key, low, high) if table.has(key) else getattr(default, key)
        return value

    def whole(key: str, low: int, high: int) -> int:
        value: int = table.whole(key, low, high) if table.has(key) else getattr(default, key)
        return value

    def choice(key: str, known: tuple[str, ...]) -> str:
        value: str = table.choice(key, known) if table.has(key) else getattr(default, key)
        return value

    read = LlmSettings(
        model=text("model"),
        provider=choice("provider", PROVIDERS),
        base_url=text("base_url"),
        key_variable=text("key_variable"),
        form=choice("form", FORMS),
        summary=table.flag("summary") if table.has("summary") else default.summary,
        temperature=number("temperature", 0.0, 2.0),
        answer_tokens=whole("answer_tokens", 50, 100_000),
        calls=whole("calls", 1, _MOST_CALLS),
        tokens=whole("tokens", 1000, _MOST_TOKENS),
        timeout_s=number("timeout_s", 1.0, _LONGEST_S),
        usd_per_mtok_in=number("usd_per_mtok_in", 0.0, _MOST_MONEY),
        usd_per_mtok_out=number("usd_per_mtok_out", 0.0, _MOST_MONEY),
        usd=number("usd", 0.0, _MOST_MONEY),
    )
    table.close()
    return read
