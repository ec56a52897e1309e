"""A job: one controller on a list of scenarios, named by the hash of its content; and the work that does it.

A worker meets one controller only, so nothing that a candidate does to its process touches the run of another.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from controllers.artefact import Artefact
from controllers.library import find_law
from core.ids import sha256_of
from core.rigid_body import RigidBodyModel, hold
from core.robot import FIXED_BASE, Robot
from sim.effect import NO_EFFECT
from sim.judge import judge_trace
from sim.kinds import nominal_physics
from sim.rollout import make_runtime, rollout, run
from sim.scenario import Scenario
from sim.tasks.catalogue import require_task
from sim.workers.answer import Rolled, write_answer
from sim.worlds import borrow

MOST_SCENARIOS = 16  # of a job: fewer than the worlds that a zygote keeps
_WARM_UP_TICKS = 100
_PLACES = ("folder", "urdf")  # where a robot's files are says nothing of what is in them


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is asked: the result depends on nothing else.

    Raises:
        ValueError: no scenario, or too many.
    """

    robot: Robot
    artefact: Artefact
    scenarios: tuple[Scenario, ...]
    lockstep: bool = False  # the law in a process of its own; it decides who has to be trusted, and no result

    def __post_init__(self) -> None:
        if not 1 <= len(self.scenarios) <= MOST_SCENARIOS:
            raise ValueError(f"a job has 1 to {MOST_SCENARIOS} scenarios, not {len(self.scenarios)}")

    @property
    def sha256(self) -> str:
        """Hex sha256 of everything that decides the result, by content: names of files and laws are for people."""
        robot = self.robot
        about = {field.name: getattr(robot, field.name) for field in fields(robot) if field.name not in _PLACES}
        safety = find_law(robot, robot.safety_controller).sha256
        return sha256_of([about, robot.urdf.read_bytes().hex(), safety, self.artefact.sha256, self.scenarios])

    def to_bytes(self) -> bytes:
        """For a zygote, which trusts the service."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)


def run_job(job: Job, safety: Artefact | None = None) -> tuple[Rolled, ...]:
    """Do a job in this process, law and all; `safety` is the robot's safety law, if it has been read already."""
    rolled = []
    for scenario in job.scenarios:
        trace = rollout(job.robot, job.artefact, scenario, safety)
        rolled.append(Rolled(judgement=judge_trace(job.robot, trace), command=trace.command))
    return tuple(rolled)


def sample_job(robot: Robot) -> Job:
    """The nominal robot under its own controller, at its first task: what every machine has to do alike."""
    scenario = Scenario(
        name="sample",
        physics=nominal_physics(robot),
        effect=NO_EFFECT,
        task_kind=robot.tasks.kinds[0],
        task_seed=0,
        noise_seed=0,
        duration_s=robot.tasks.run_s,
    )
    return Job(robot=robot, artefact=find_law(robot, robot.controller), scenarios=(scenario,))


def hold_all(robot: Robot) -> None:
    """Read the files of a robot that a law may ask for; a confined process reads none."""
    hold(robot)
    if robot.kind == FIXED_BASE:
        RigidBodyModel(robot)  # model terms


class _Rollouts:
    """The work of a worker (`sim.workers.zygote.Work`)."""

    def warm_up(self, data: bytes) -> None:
        """Run every kind of task of the robot once: a confined process can neither import nor compile anything."""
        robot: Robot = pickle.loads(data)  # noqa: S301 from the service
        sample = sample_job(robot)
        (scenario,) = sample.scenarios
        plant, runtime = borrow(robot, scenario.physics), make_runtime(robot, sample.artefact)
        for kind in robot.tasks.kinds:
            task = replace(scenario, task_kind=kind).task(robot)
            plant.reset(task.q[0])
            trace = run(plant, runtime, task.references()[:_WARM_UP_TICKS])
            write_answer([Rolled(judgement=judge_trace(robot, trace), command=trace.command)])

    def prepare(self, request: bytes) -> tuple[Job, Artefact]:
        """Read all files and load the worlds of a job; they stay, for other controllers in the same scenarios."""
        job: Job = pickle.loads(request)  # noqa: S301 from the service
        hold_all(job.robot)
        for scenario in job.scenarios:
            require_task(job.robot, scenario.task_kind)
            borrow(job.robot, scenario.physics)
        return job, find_law(job.robot, job.robot.safety_controller)

    def perform(self, prepared: tuple[Job, Artefact]) -> bytes:
        return write_answer(run_job(*prepared))


ROLLOUTS = _Rollouts()
NAME = f"{__name__}:ROLLOUTS"


def ticks_of(robot: Robot, scenarios: Sequence[Scenario]) -> list[int]:
    """How many ticks each scenario lasts."""
    return [round(scenario.duration_s * robot.control_rate_hz) for scenario in scenarios]
