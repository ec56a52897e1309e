"""What asking somebody has cost besides rollouts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What an incident has cost so far."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    def plus(self, tokens_in: int, tokens_out: int, seconds: float) -> Spent:
        """With one more call."""
        return Spent(
            calls=self.calls + 1,
            tokens_in=self.tokens_in + tokens_in,
            tokens_out=self.tokens_out + tokens_out,
            seconds=self.seconds + seconds,
        )
