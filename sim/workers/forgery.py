"""A run that is not what it was said to be, or that the process of its law broke off."""

from __future__ import annotations

from dataclasses import dataclass

from sim.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """Why a run cannot be believed."""

    scenario: Scenario
    what: str  # in words


class Forged(Exception):  # noqa: N818 it is what the run is
    """There is no run: the process of the law did not keep to the exchange."""

    def __init__(self, forgery: Forgery) -> None:
        super().__init__(f"{forgery.scenario.name}: {forgery.what}")
        self.forgery = forgery
