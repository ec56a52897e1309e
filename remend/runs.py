"""Results of one controller in past incidents, as a record."""

from __future__ import annotations

from dataclasses import dataclass

from sim.judge import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What was computed at once; another validation adds another record."""

    artefact_sha: str
    world_sha: str  # of robot, program and libraries; under another one the results may differ
    judged: dict[str, Judgement]  # scenario hash -> result
