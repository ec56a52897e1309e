"""Controller x scenario -> trace: the loop that every judgement in simulation rests on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np

from controllers.artefact import Artefact
from controllers.library import find_law
from controllers.runtime import Command, Runtime
from controllers.slot import Slot
from core.frames import Frame, Reference
from core.metrics import METRICS, Array
from core.robot import Robot
from sim.faults.course import FaultCourse
from sim.plant import Plant
from sim.scenario import Scenario
from sim.tasks.task import Task
from sim.worlds import borrow

_LOST = 10.0  # error [rad or m] and, times a thousand, effort of a diverged run: it never looks good in a mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What happened in one rollout of N ticks on a robot with n coordinates and m actuators."""

    error: Array  # (N, n) reference minus true position [rad or m]
    measured_error: Array  # (N, n) reference minus measured position
    command: Array  # (N, m)
    q_true: Array  # (N, n)
    tracked: tuple[int, ...]  # k coordinates by which tracking is judged
    scale: tuple[float, ...]  # k, what their errors are divided by
    diverged: bool
    clipped_share: float  # share of ticks with a clipped command
    safety_share: float  # share of ticks in which the safety law had to command

    def metrics(self) -> dict[str, float]:
        """All metrics of the catalogue; a diverged run gets a number no other run reaches."""
        if self.diverged:
            return {name: _LOST * (1.0 if m.of == "error" else 1e3) for name, m in METRICS.items()}
        error = self.error[:, self.tracked] / self.scale
        return {name: m.compute(error if m.of == "error" else self.command) for name, m in METRICS.items()}


Steps = Generator[tuple[Frame, Reference], Command, Trace]


class Driver(Protocol):
    """What gives the commands of a rollout: the control loop of a robot, or a record of one."""

    def tick(self, frame: Frame, reference: Reference, now_ns: int) -> Command:
        """The command for this measurement."""
        ...


def make_runtime(robot: Robot, artefact: Artefact, safety: Artefact | None = None) -> Runtime:
    """The control loop of `robot` with `artefact` committed and a safety law behind it, by default the robot's own."""
    safety = safety or find_law(robot, robot.safety_controller)
    return Runtime(robot, Slot(robot, artefact), Slot(robot, safety))


def run(plant: Plant, driver: Driver, references: Sequence[Reference]) -> Trace:
    """Let `driver` drive `plant` along `references`, one per tick; stops early when the simulation breaks down."""
    tick = driver.tick
    steps = stepping(plant, references)
    asked = next(steps)
    try:
        while True:
            frame, reference = asked
            asked = steps.send(tick(frame, reference, frame.stamp_ns))
    except StopIteration as end:
        trace: Trace = end.value
        return trace


def stepping(plant: Plant, references: Sequence[Reference]) -> Steps:
    """A rollout that asks for each command: it yields frame and reference of a tick, is sent the command, and returns
    the trace. Rollouts of different plants may take turns.
    """
    robot, n = plant.robot, plant.robot.dof
    measure, apply, state = plant.measure, plant.apply, plant.true_state
    # All ticks in one list: that is half the time of a list for each, and nothing for the garbage collector.
    true: list[Array] = []
    measured: list[float] = []
    commands: list[float] = []
    clipped = safety = 0
    diverged = False
    for reference in references:
        frame = measure()
        command = yield frame, reference
        true.append(state()[0])
        measured += frame.q
        commands += command.tau
        clipped += command.clipped
        safety += command.source == "safety"
        try:
            apply(command.tau)
        except FloatingPointError:
            diverged = True
            break
    asked = chain.from_iterable(reference.q_ref for reference in references[: len(true)])
    q_true, q_ref = np.concatenate(true).reshape(-1, n), np.fromiter(asked, float).reshape(-1, n)
    error = q_ref - q_true
    lost = np.abs(error) >= robot.lost_error
    diverged = diverged or bool(np.any(lost[:, robot.tracked])) or not bool(np.all(np.isfinite(error)))
    return Trace(
        error=error,
        measured_error=q_ref - np.array(measured).reshape(-1, n),
        command=np.array(commands).reshape(len(true), -1),
        q_true=q_true,
        tracked=robot.tracked,
        scale=robot.tracking_scale,
        diverged=diverged,
        clipped_share=clipped / len(true),
        safety_share=safety / len(true),
    )


def rollout(robot: Robot, artefact: Artefact, scenario: Scenario, safety: Artefact | None = None) -> Trace:
    """One run of a controller in a scenario, from rest; `safety` is the law behind it, by default the robot's own."""
    return drive(robot, make_runtime(robot, artefact, safety), scenario)


def drive(robot: Robot, driver: Driver, scenario: Scenario) -> Trace:
    """One run of whatever drives, in a scenario, from rest."""
    task = scenario.task(robot)
    return run(placed(robot, scenario, task), driver, task.references())


def placed(robot: Robot, scenario: Scenario, task: Task) -> Plant:
    """The plant of a scenario at the start of its task; whoever asks for its physics next gets the same plant."""
    plant = borrow(robot, scenario.physics)
    plant.restart(FaultCourse.constant(scenario.effect), scenario.noise_seed)
    plant.reset(task.q[0])
    return plant
