"""Past incidents as scenarios that every later candidate for the same robot meets: what happened once can happen again.

A rollout is the same bit for bit wherever scenario, controller, robot and program are, so what is known of a controller
that was proven is kept and never computed again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from controllers.artefact import Artefact
from controllers.library import find_law
from core.ids import sha256_of
from core.robot import Robot
from sim.evidence import Pair
from sim.judge import Judgement
from sim.scenario import Scenario
from sim.twin.twin import Twin
from sim.workers.base import Workers

_PROGRAM = ("core", "controllers", "sim")  # packages that decide a rollout
_LIBRARIES = ("numpy", "pin", "pybullet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One past incident."""

    incident_id: str
    robot: str  # name of the model, not of the individual
    cause: str
    scenario: Scenario

    def fits(self, twin: Twin) -> bool:
        """Whether the robot is still made of as many bodies and coordinates."""
        now, then = twin.physics(), self.scenario.physics
        sizes = [(made.inertials.shape, made.viscous.shape) for made in (now, then)]
        return sizes[0] == sizes[1]


def regression_of(twin: Twin, incident_id: str, telemetry_sha: str) -> Regression:
    """The incident as its twin explains it: mean of physics and fault, at a task that follows from the telemetry."""
    top, kinds, digits = twin.causes[0], twin.robot.tasks.kinds, int(telemetry_sha, 16)
    kind = kinds[digits % len(kinds)]
    return Regression(
        incident_id=incident_id,
        robot=twin.robot.name,
        cause=top.cause,
        scenario=Scenario(
            name=f"past incident, {top.label}, {kind}",
            physics=twin.physics(),
            effect=twin.effect,
            task_kind=kind,
            task_seed=digits >> 8 & 0x7FFFFFFF,
            noise_seed=digits >> 40 & 0x7FFFFFFF,
            duration_s=twin.robot.tasks.run_s,
        ),
    )


class Memory(Protocol):
    """Results of past incidents, kept."""

    def recall(self, artefact_sha: str) -> Mapping[str, Judgement]:
        """Scenario hash -> result, as far as it is known."""
        ...

    def keep(self, artefact_sha: str, judged: Mapping[str, Judgement]) -> None:
        """Remember more results."""
        ...


def run_regressions(
    workers: Workers, incumbent: Artefact, candidate: Artefact, past: Sequence[Regression], memory: Memory | None
) -> tuple[Pair, ...]:
    """Both laws in every past incident. What `memory` knows of the incumbent is not run again.

    The candidate runs all of them, in lockstep: what is said of it must have been seen.
    """
    scenarios = {regression.scenario.sha256: regression.scenario for regression in past}
    known = dict(memory.recall(incumbent.sha256)) if memory else {}
    unknown = [sha for sha in scenarios if sha not in known]
    jobs = [(incumbent, scenarios[sha]) for sha in unknown] + [(candidate, scenario) for scenario in scenarios.values()]
    rolled = workers.roll(jobs, lockstep=candidate)
    new = {sha: found.judgement for sha, found in zip(unknown, rolled, strict=False)}
    _keep(memory, incumbent, new)
    known |= new
    return tuple(
        Pair(scenario=scenario, before=known[sha], after=run.judgement, run=run)
        for (sha, scenario), run in zip(scenarios.items(), rolled[len(unknown) :], strict=True)
    )


def remember(memory: Memory | None, candidate: Artefact, pairs: Sequence[Pair]) -> None:
    """Keep what was confirmed of a candidate, which may be the next incumbent."""
    _keep(memory, candidate, {pair.scenario.sha256: pair.after for pair in pairs})


def _keep(memory: Memory | None, law: Artefact, judged: Mapping[str, Judgement]) -> None:
    sound = {sha: each for sha, each in judged.items() if all(map(math.isfinite, each.metrics.values()))}
    if memory and sound:
        memory.keep(law.sha256, sound)


def world_sha(robot: Robot) -> str:
    """Hash of all that decides a rollout besides scenario and controller: robot, safety law, program and libraries."""
    bare = replace(robot, folder=Path(), urdf=Path(robot.urdf.name))
    return sha256_of(
        {
            "robot": bare,
            "urdf": sha256_of(robot.urdf.read_bytes()),
            "safety": find_law(robot, robot.safety_controller).sha256,
            "program": _program_sha(),
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
    )


@cache
def _program_sha() -> str:
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for package in _PROGRAM:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(f"{file.relative_to(root)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
