"""One healing on a simulated robot, from power-on to the last figure: what `heal` and `demo` run."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from controllers.artefact import Artefact, artefact_from_files
from controllers.library import find_law
from core.block import Array, Block
from core.clock import Clock, SystemClock
from core.ids import new_id
from core.robot import Robot
from core.robot_toml import load_robot
from patcher.search import choose_proposers
from remend.audit import verify_home
from remend.console import Console
from remend.decision import Decide
from remend.healing import Healing
from remend.home import home_folder, home_path
from remend.keys import KeyRing, simulated_seal_key
from remend.links.simulated import SimulatedLink
from remend.live import LiveView
from remend.pipeline import Pipeline
from remend.service.robots import RobotEntry
from remend.settings import load_settings
from remend.store import Store
from remend.story import Story
from remend.telling import story_of
from remend.versions import Versions
from sim.catalogue import robot_file
from sim.faults.notation import parse_faults
from sim.kinds import kind_of
from sim.policy_toml import SHIPPED, load_policy
from sim.robot_process import fault_course
from sim.tasks.catalogue import task_kind
from sim.truth import measure_truth
from sim.workers.opening import open_workers

LEARN_S = 90.0
HEALTHY_S = 300.0  # how long a robot without a fault is watched
_PATIENCE_S = 30.0  # how long after its last change a fault may stay unnoticed before the run gives up
_WINDOW_S = 4.0  # faults without an onset of their own set in within this time after learning


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to simulate and heal."""

    robot: str  # catalogue name or path
    fault: str
    seed: int
    budget: int
    proposer: str
    real_time: bool  # from the end of learning on
    foxglove: int | None = None  # port of a live view
    policy: Path = SHIPPED  # what evidence must show


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished healing."""

    robot: Robot
    healing: Healing
    story: Story
    tape: Block  # telemetry from shortly before the alarm to the end
    test_ratio: Array  # (N,) per row of `tape`


def run(
    request: Request,
    decide: Decide,
    console: Console,
    clock: Clock | None = None,
    pipeline_type: type[Pipeline] = Pipeline,
) -> Run:
    """Learn, watch, heal and score one simulated robot.

    `pipeline_type` is there for tests that must get a bad patch past the gates.

    Raises:
        BadInput: the request names something that does not exist or is out of range.
    """
    clock = clock or SystemClock()
    began_ns = clock.monotonic_ns()
    toml = robot_file(request.robot)
    robot = load_robot(toml)
    kind_of(robot)  # what cannot be had is said here, not by a process of its own
    for task in robot.tasks.kinds:
        task_kind(robot, task)
    faults = parse_faults(request.fault, robot)
    settings = load_settings(home_path(os.environ))
    proposers = choose_proposers(request.proposer, settings.llm, home_path(os.environ) / "trainings")
    incumbent = find_law(robot, robot.controller)
    policy = load_policy(request.policy)
    home = home_folder(os.environ)
    run_id = new_id("run", clock)
    healing = Healing(robot=robot.name, fault=request.fault, seed=request.seed, command_unit=robot.command_unit)
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(home, clock))
        keys = KeyRing.load(home)
        workers = stack.enter_context(open_workers(robot, settings.workers))
        workers.warm_up()
        link = stack.enter_context(
            SimulatedLink(
                robot,
                toml,
                robot_id=f"{robot.name}-sim{request.seed}-{run_id[-6:]}",
                baseline=incumbent,
                trust=keys.trust(),
                folder=home / "robots" / run_id,
                spec=request.fault,
                seed=request.seed,
                learnt_s=LEARN_S,
            )
        )
        view = None
        if request.foxglove is not None:
            view = stack.enter_context(LiveView(robot, link.robot_id, request.foxglove))
            console.line(f"Live view: open the connection {view.url} in Foxglove")
        pipeline = pipeline_type(
            robot=robot,
            link=link,
            incumbent=incumbent,
            workers=workers,
            store=store,
            versions=Versions.open(home, clock),
            keys=keys,
            seal_key=simulated_seal_key(request.seed),
            policy=policy,
            clock=clock,
            console=console,
            proposers=proposers,
            decide=decide,
            budget=request.budget,
            seed=request.seed,
            view=view,
            llm=settings.llm,
        )
        _heal(pipeline, request, healing, watch_s=_watch_s(robot, request) if faults else HEALTHY_S)
        _score(pipeline, request, healing)
        healing.sim_s = pipeline.tape.end_s
        tape = pipeline.tape.all()
        ratio = pipeline.tape.ratio()
        story = story_of(pipeline, healing, tape, ratio, fault=request.fault)
    healing.audit_ok = verify_home(home).ok
    healing.wall_s = (clock.monotonic_ns() - began_ns) * 1e-9
    return Run(robot=robot, healing=healing, story=story, tape=tape, test_ratio=ratio)


def _watch_s(robot: Robot, request: Request) -> float:
    course = fault_course(robot, request.fault, request.seed, LEARN_S)
    return course.grown_after_s - LEARN_S + _PATIENCE_S


def _heal(pipeline: Pipeline, request: Request, healing: Healing, watch_s: float) -> None:
    """Watch until the fault is found; events before it sets in are false alarms and are not acted upon."""
    pipeline.learn(LEARN_S)
    if request.real_time and isinstance(pipeline.link, SimulatedLink):
        pipeline.link.pace()
    faults = parse_faults(request.fault, pipeline.robot)
    course = fault_course(pipeline.robot, request.fault, request.seed, LEARN_S)
    begins = [course.begins_s(fault) for fault in course.faults]
    healing.fault_s = min(begins) if faults else None
    end_s = LEARN_S + watch_s
    while True:
        event = pipeline.wait_for_event(end_s - max(pipeline.tape.end_s, LEARN_S))
        if event is None:
            return
        if healing.fault_s is not None and event.alarm_s >= healing.fault_s:
            pipeline.heal(event, healing)
            return
        healing.false_alarms += 1
        pipeline.console.line("  false alarm: no fault has set in yet, as only a simulation can know; not acted upon")


def _score(pipeline: Pipeline, request: Request, healing: Healing) -> None:
    """The figures on the true robot."""
    in_force: Artefact | None = None
    if healing.deployed and not healing.rolled_back and healing.patch is not None:
        files = pipeline.versions.read(healing.patch.result_sha)
        in_force = artefact_from_files(pipeline.incumbent.name, files)
    with pipeline.console.stage("scoring on the true robot, over fresh tasks") as stage:
        healing.truth = measure_truth(pipeline.workers, request.fault, request.seed, pipeline.incumbent, in_force)
        stage.finish("done")


def simulated_robot(model: str, fault: str, seed: int) -> RobotEntry:
    """A robot that exists only in simulation.

    Raises:
        BadInput: there is no such robot or fault.
    """
    robot = load_robot(robot_file(model))
    parse_faults(fault, robot)
    return RobotEntry(
        robot_id=f"{robot.name}-sim{seed}",
        model=model,
        link="sim",
        fault=fault,
        seed=seed,
        at_ns=SystemClock().wall_ns(),
    )
