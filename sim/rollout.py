"""Controller x scenario -> trace: the loop that every judgement in simulation rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from controllers.library import find_law
from controllers.runtime import Runtime
from controllers.slot import Slot
from core.frames import Reference
from core.metrics import METRICS, Array
from core.robot import Robot
from sim.faults import FaultCourse
from sim.plant import Plant
from sim.scenario import Scenario

DIVERGED = 1.0  # a joint this far off its reference has been lost
_LOST = 10.0  # a diverged run scores this many times `DIVERGED`, so that it never looks good in a mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What happened in one rollout; (N, n) arrays, N ticks, n joints."""

    error: Array  # reference minus true position [rad]
    measured_error: Array  # reference minus measured position [rad]
    torque: Array  # command [N*m]
    q_true: Array  # [rad]
    diverged: bool
    clipped_share: float  # share of ticks with a clipped command
    safety_share: float  # share of ticks in which the safety law had to command

    def metrics(self) -> dict[str, float]:
        """All metrics of the catalogue; a diverged run gets a number no other run reaches."""
        if self.diverged:
            return {name: _LOST * (1.0 if m.of == "error" else 1e3) for name, m in METRICS.items()}
        return {name: m.compute(self.error if m.of == "error" else self.torque) for name, m in METRICS.items()}


def make_runtime(robot: Robot, artefact: Artefact) -> Runtime:
    """The control loop of `robot` with `artefact` committed and the robot's safety law behind it."""
    return Runtime(robot, Slot(robot, artefact), Slot(robot, find_law(robot, robot.safety_controller)))


def run(plant: Plant, runtime: Runtime, references: Sequence[Reference]) -> Trace:
    """Let `runtime` drive `plant` along `references`, one per tick; stops early when the simulation breaks down."""
    true, measured, torque = [], [], []
    clipped = safety = 0
    diverged = False
    for reference in references:
        frame = plant.measure()
        command = runtime.tick(frame, reference, frame.stamp_ns)
        true.append(plant.true_state()[0])
        measured.append(frame.q)
        torque.append(command.tau)
        clipped += command.clipped
        safety += command.source == "safety"
        try:
            plant.apply(command.tau)
        except FloatingPointError:
            diverged = True
            break
    q_true, q_ref = np.array(true), np.array([reference.q_ref for reference in references[: len(true)]])
    error = q_ref - q_true
    diverged = diverged or not bool(np.all(np.abs(error) < DIVERGED))
    return Trace(
        error=error,
        measured_error=q_ref - np.array(measured),
        torque=np.array(torque),
        q_true=q_true,
        diverged=diverged,
        clipped_share=clipped / len(true),
        safety_share=safety / len(true),
    )


def rollout(robot: Robot, artefact: Artefact, scenario: Scenario) -> Trace:
    """One run of a controller in a scenario, from rest, in a fresh world."""
    task = scenario.task(robot)
    course = FaultCourse.constant(scenario.effect, robot.dof)
    with Plant(robot, scenario.physics, course, scenario.noise_seed) as plant:
        plant.reset(task.q[0])
        return run(plant, make_runtime(robot, artefact), task.references())
