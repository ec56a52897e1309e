"""What every proposer gets and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.params import Value, check_step
from core.errors import BadInput
from core.ids import new_id
from core.records import Candidate, ParamChange
from sim.twin.twin import Twin
from sim.workers.base import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """An incident as a proposer sees it."""

    incident_id: str
    twin: Twin
    incumbent: Artefact
    budget: int  # search rollouts that may be spent
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A candidate record with its artefact."""

    candidate: Candidate
    artefact: Artefact


@runtime_checkable
class Proposer(Protocol):
    """Turns a situation into proposals, best first; an empty answer means that it has no remedy."""

    name: str

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        """Propose, spending at most `situation.budget` rollouts of `workers`."""
        ...


def params_proposal(
    situation: Situation, proposer: str, values: dict[str, Value], rationale: str, rollouts: int
) -> Proposal | None:
    """The incumbent with `values` changed, or None if the step is out of bounds or changes nothing."""
    base = Controller.from_artefact(situation.incumbent, situation.twin.robot.ports)
    new = {**base.params, **values}
    try:
        check_step(base.manifest, base.params, new)
        artefact = with_params(situation.incumbent, values)
    except BadInput:
        return None
    changes = tuple(_changes(base, values))
    if not changes:
        return None
    candidate = Candidate(
        id=new_id("pat"),
        incident_id=situation.incident_id,
        kind="params",
        proposer=proposer,
        base_sha=situation.incumbent.sha256,
        result_sha=artefact.sha256,
        changes=changes,
        rationale=rationale,
        search_rollouts=rollouts,
    )
    return Proposal(candidate=candidate, artefact=artefact)


def _changes(base: Controller, values: dict[str, Value]) -> list[ParamChange]:
    found = []
    for name, value in values.items():
        spec, old = base.manifest.params[name], base.params[name]
        pairs = (
            list(zip(old, value, strict=True)) if isinstance(old, list) and isinstance(value, list) else [(old, value)]
        )
        for i, (before, after) in enumerate(pairs):
            assert isinstance(before, float)
            if before != after:
                found.append(
                    ParamChange(
                        name=name if spec.size is None else f"{name}[{i}]",
                        unit=spec.units[i],
                        old=before,
                        new=float(after),  # type: ignore[arg-type]
                        low=spec.low[min(i, len(spec.low) - 1)],
                        high=spec.high[min(i, len(spec.high) - 1)],
                    )
                )
    return found
