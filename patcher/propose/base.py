"""What every proposer gets and gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from controllers.artefact import Artefact, with_params
from controllers.controller import Controller
from controllers.manifest import Param
from controllers.params import Value, check_step
from core.errors import BadInput
from core.ids import new_id
from core.records import Candidate, ParamChange
from patcher.spent import Spent
from sim.twin.twin import Twin
from sim.workers.base import Workers

_NEW_LAW = 100  # changed numbers that another law is worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A candidate record with its artefact."""

    candidate: Candidate
    artefact: Artefact


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A proposal with what the race says of it."""

    proposal: Proposal
    score: float  # mean, lower is better, 1 = incumbent
    bound: float  # what the typical score is below, with the policy's confidence; candidates are ranked by it
    recovery: float  # share of the lost tracking that came back in the twin
    dropped: bool = False  # as hopeless

    @property
    def size(self) -> int:
        """How much it changes: numbers, and much more where the law is another one."""
        return len(self.proposal.candidate.changes) + (_NEW_LAW if self.proposal.candidate.kind != "params" else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A patch that helped before."""

    cause: str  # that was diagnosed then
    candidate: Candidate
    artefact: Artefact


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """An incident as a proposer sees it."""

    incident_id: str
    twin: Twin
    incumbent: Artefact
    budget: int  # search rollouts that may be spent
    seed: int
    tried: tuple[Ranked, ...] = ()  # what other proposers have brought so far, best first
    remembered: tuple[Remembered, ...] = ()  # patches of this incumbent that were kept, newest first


@runtime_checkable
class Proposer(Protocol):
    """Turns a situation into proposals, best first; an empty answer means that it has no remedy."""

    name: str

    def propose(self, situation: Situation, workers: Workers) -> list[Proposal]:
        """Propose, spending at most `situation.budget` rollouts of `workers`."""
        ...


@runtime_checkable
class Charging(Protocol):
    """A proposer that costs more than rollouts."""

    @property
    def spent(self) -> Spent:
        """Waiting and tokens of the last incident."""
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
    changes = tuple(_changes(base, base.params, values))
    if not changes:
        return None
    return _proposal(situation, proposer, "params", artefact, changes, rationale, rollouts)


def code_proposal(
    situation: Situation, proposer: str, artefact: Artefact, neutral: dict[str, Value], rationale: str, rollouts: int
) -> Proposal | None:
    """Another law in the place of the incumbent's, or None if it is no law of this robot or the same one.

    Args:
        neutral: of parameters that the law has on top of the incumbent's, the values at which they do nothing.
    """
    robot = situation.twin.robot
    try:
        law = Controller.from_artefact(artefact, robot.ports)
    except BadInput:
        return None
    if artefact.sha256 == situation.incumbent.sha256:
        return None
    base = Controller.from_artefact(situation.incumbent, robot.ports)
    old = {
        name: base.params[name]
        for name, spec in base.manifest.params.items()
        if _same(spec, law.manifest.params.get(name))
    }
    before = {**neutral, **old}
    new = {name: value for name, value in law.params.items() if name in before}
    changes = tuple(_changes(law, before, new))
    return _proposal(situation, proposer, "code", artefact, changes, rationale, rollouts)


def weights_proposal(
    situation: Situation, proposer: str, artefact: Artefact, neutral: dict[str, Value], rationale: str, rollouts: int
) -> Proposal | None:
    """As `code_proposal`, for a law with a network in it."""
    found = code_proposal(situation, proposer, artefact, neutral, rationale, rollouts)
    return None if found is None else replace(found, candidate=replace(found.candidate, kind="weights"))


def _proposal(
    situation: Situation,
    proposer: str,
    kind: str,
    artefact: Artefact,
    changes: tuple[ParamChange, ...],
    rationale: str,
    rollouts: int,
) -> Proposal:
    candidate = Candidate(
        id=new_id("pat"),
        incident_id=situation.incident_id,
        kind=kind,
        proposer=proposer,
        base_sha=situation.incumbent.sha256,
        result_sha=artefact.sha256,
        changes=changes,
        rationale=rationale,
        search_rollouts=rollouts,
    )
    return Proposal(candidate=candidate, artefact=artefact)


def _changes(law: Controller, before: dict[str, Value], values: dict[str, Value]) -> list[ParamChange]:
    found = []
    for name, value in values.items():
        spec, old = law.manifest.params[name], before[name]
        pairs = (
            list(zip(old, value, strict=True)) if isinstance(old, list) and isinstance(value, list) else [(old, value)]
        )
        for i, (was, becomes) in enumerate(pairs):
            assert isinstance(was, float)
            if was != becomes:
                found.append(
                    ParamChange(
                        name=name if spec.size is None else f"{name}[{i}]",
                        unit=spec.units[i],
                        old=was,
                        new=float(becomes),  # type: ignore[arg-type]
                        low=spec.low[min(i, len(spec.low) - 1)],
                        high=spec.high[min(i, len(spec.high) - 1)],
                    )
                )
    return found


def _same(one: Param, other: Param | None) -> bool:
    """Whether two laws mean the same by a parameter."""
    return other is not None and (one.units, one.size) == (other.units, other.size)


def values_before(candidate: Candidate, law: Controller) -> dict[str, Value]:
    """What the parameters that a candidate changes were before."""
    found: dict[str, Value] = {}
    for change in candidate.changes:
        name, _, index = change.name.partition("[")
        value = law.params[name]
        if isinstance(value, list):
            before = found.setdefault(name, list(value))
            assert isinstance(before, list)
            before[int(index.rstrip("]"))] = change.old
        else:
            found[name] = change.old
    return found
