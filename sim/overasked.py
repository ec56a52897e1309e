"""Broken limits that no controller could have kept: the task asks a motor of an arm for more than it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.records import Gate
from core.rigid_body import RigidBodyModel
from core.robot import FIXED_BASE, Robot
from core.status import Verdict
from sim.evidence import Pair, draw_scenarios
from sim.scenario import Scenario
from sim.tasks.demand import efforts
from sim.twin.twin import Twin

_DRAWN = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The most that a task asks of the motor that it asks most of."""

    joint: str
    share: float  # of what the motor has left


def demand(robot: Robot, scenario: Scenario) -> Demand | None:
    """By the nominal model with the load of `scenario`, along its task without any error; None where there is no model.

    Friction that a fault adds is left out, so the share is at least this.
    """
    driven = [(k, joint) for k, joint in enumerate(robot.drives) if joint is not None]
    if robot.kind != FIXED_BASE or not driven:
        return None
    effect, m = scenario.effect, len(robot.actuators)
    left = (1.0 - effect.vector("limit_loss", m)) * (1.0 - effect.vector("gain_loss", m))
    asked = efforts(RigidBodyModel(robot, payload_kg=effect.payload_kg), scenario.task(robot))
    peak = np.abs(asked).max(axis=0)
    shares = [peak[joint] / max(robot.limits.effort[k] * left[k], 1e-9) for k, joint in driven]
    most = int(np.argmax(shares))
    return Demand(joint=robot.joints[driven[most][1]], share=float(shares[most]))


def explained(gate: Gate, robot: Robot, pairs: Sequence[Pair]) -> Gate:
    """The answer on broken limits, with the run that broke one first, or with the tasks that were too much to ask.

    Every other answer comes back as it is.
    """
    broken = [pair.scenario for pair in pairs if pair.after.limit_broken]
    if gate.name != "limits" or gate.verdict is Verdict.PASS or not broken:
        return gate
    words = too_much(robot, broken)
    return replace(gate, why=f"{gate.why}; {words}" if words else f"{gate.why}; the first is '{broken[0].name}'")


def too_much(robot: Robot, scenarios: Sequence[Scenario]) -> str:
    """In how many of `scenarios` the task is too much to ask, and the worst of them; empty if in none."""
    asked = [(found, scenario) for scenario in scenarios if (found := demand(robot, scenario)) is not None]
    beyond = [(found, scenario) for found, scenario in asked if found.share > 1.0]
    if not beyond:
        return ""
    worst, scenario = max(beyond, key=lambda each: each[0].share)
    return (
        f"in {len(beyond)} of these {len(scenarios)} the task asks a motor for more than it has, whatever controls it: "
        f"{worst.joint} for {100 * worst.share:.0f} % in '{scenario.name}'; slow the work down or take load off"
    )


def overasked_under(twin: Twin) -> str:
    """The same of tasks that are drawn under the diagnosed fault."""
    words = too_much(twin.robot, draw_scenarios(twin, _DRAWN, seed=0))
    return f"{_DRAWN} tasks drawn under this fault: {words}" if words else ""
