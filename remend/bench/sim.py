"""How fast and how repeatable the simulation is, against a bare `stepSimulation` loop of the same body.

Speeds are per CPU second: another program on the machine then costs less than half of what it costs on the wall clock.
Every rollout is followed by the bare loop over as many physics steps of the same body in a world of its own, and the
ratio is taken pair by pair.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from controllers.library import find_law
from core.robot import Robot
from core.robot_toml import load_robot
from remend.bench.figure import Figure, median_interval
from sim.bullet import bullet
from sim.catalogue import shipped_robots
from sim.effect import Effect
from sim.faults.catalogue import faults_of
from sim.faults.course import FaultCourse
from sim.faults.notation import full_effect
from sim.kinds import nominal_physics, open_plant
from sim.rollout import rollout
from sim.scenario import Scenario
from sim.worlds import borrow

SHARE = {"iiwa": 0.25, "cartpole": 0.25, "quadrotor": 0.15}  # of a bare loop's steps per second
RESET_US = 20.0
SCALING = 1.6
_DURATION_S = 2.0
_PROCESSES = 3  # that have to agree on every bit


def _scenario(robot: Robot, seed: int, effect: Effect | None = None) -> Scenario:
    """A task of `robot` on its data sheet's physics."""
    kinds = robot.tasks.kinds
    return Scenario(
        name=f"bench {seed}",
        physics=nominal_physics(robot),
        effect=effect or Effect(),
        task_kind=kinds[seed % len(kinds)],
        task_seed=seed,
        noise_seed=seed,
        duration_s=_DURATION_S,
    )


def run(quick: bool) -> Iterator[Figure]:
    """All figures of this benchmark."""
    for file in shipped_robots().values():
        robot = load_robot(file)
        yield _speed(robot, pairs=7 if quick else 25)
        yield _reset(robot, repeats=50 if quick else 300)
    yield from _repetition(quick)
    yield _scaling(load_robot(shipped_robots()["iiwa"]), rounds=3 if quick else 9)


def _speed(robot: Robot, pairs: int) -> Figure:
    """Physics steps per CPU second of `rollout`: task, noise, delay, model terms, law, envelope, metrics."""
    law = find_law(robot, robot.controller)
    rollout(robot, law, _scenario(robot, 0))  # loads the world
    shares, speeds, bare_speeds = [], [], []
    physics = nominal_physics(robot)
    with open_plant(robot, physics, FaultCourse(), seed=0) as world:
        # A plant may have Bullet take some steps in one call; the peer takes each of them by itself.
        bullet.setPhysicsEngineParameter(fixedTimeStep=world.step_s, numSubSteps=0, physicsClientId=world.client)
        for seed in range(pairs):
            scenario = _scenario(robot, seed)
            began = time.process_time()
            trace = rollout(robot, law, scenario)
            rollout_s = time.process_time() - began
            steps = len(trace.command) * physics.substeps
            bare_speeds.append(steps / _bare_s(world.client, steps))
            speeds.append(steps / rollout_s)
            shares.append(speeds[-1] / bare_speeds[-1])
    share, interval = median_interval(shares)
    return Figure(
        bench="sim",
        figure=f"{robot.name}: rollout, share of a bare loop",
        value=share,
        unit="1",
        interval=interval,
        n=pairs,
        target=SHARE.get(robot.name),
        peer="bare stepSimulation loop [steps per CPU second]",
        peer_value=float(np.median(bare_speeds)),
        note=f"{np.median(speeds):.0f} physics steps per CPU second, {robot.substeps} per control tick",
    )


def _bare_s(client: int, steps: int) -> float:
    """CPU seconds of nothing but `steps` physics steps."""
    step = bullet.stepSimulation
    began = time.process_time()
    for _ in range(steps):
        step(client)
    return time.process_time() - began


def _reset(robot: Robot, repeats: int) -> Figure:
    """CPU time to put a loaded robot back to its start."""
    plant = borrow(robot, nominal_physics(robot))
    home = np.array(robot.home)
    blocks = []
    for _ in range(9):
        began = time.process_time_ns()
        for _ in range(repeats):
            plant.reset(home)
        blocks.append((time.process_time_ns() - began) / repeats / 1000.0)
    value, interval = median_interval(blocks)
    return Figure(
        bench="sim",
        figure=f"{robot.name}: reset",
        value=value,
        unit="us",
        interval=interval,
        n=9 * repeats,
        target=RESET_US,
        sense="<=",
    )


def fingerprint(robot: Robot, spec: str, seed: int) -> str:
    """Hash of every bit of a rollout under a fault."""
    trace = rollout(robot, find_law(robot, robot.controller), _scenario(robot, seed, full_effect(spec, robot)))
    digest = hashlib.sha256()
    for part in (trace.q_true, trace.measured_error, trace.command):
        digest.update(part.tobytes())
    return digest.hexdigest()


def _fingerprints(line: Connection, files: list[Path], seeds: int) -> None:
    found = {}
    for file in files:
        robot = load_robot(file)
        specs = ["none", *faults_of(robot)]
        for seed in range(seeds):
            spec = specs[(7 * seed) % len(specs)]
            found[f"{robot.name} {spec} {seed}"] = fingerprint(robot, spec, seed)
    line.send(found)


def _repetition(quick: bool) -> Iterator[Figure]:
    """Whether fresh processes find the same bits, with contacts for the robots that touch the ground."""
    context = multiprocessing.get_context("spawn")
    for name, file in shipped_robots().items():
        answers: list[dict[str, str]] = []
        for _ in range(_PROCESSES):
            here, there = context.Pipe()
            process = context.Process(target=_fingerprints, args=(there, [file], 3 if quick else 8))
            process.start()
            answers.append(here.recv())
            process.join()
        same = [len({answer[key] for answer in answers}) == 1 for key in answers[0]]
        yield Figure(
            bench="sim",
            figure=f"{name}: runs with equal bits in {_PROCESSES} processes",
            value=float(np.mean(same)),
            unit="1",
            interval=None,
            n=len(same),
            target=1.0,
        )


def _work(line: Connection, file: Path) -> None:
    """For each number received: so many rollouts, and the CPU seconds that they took."""
    robot = load_robot(file)
    law = find_law(robot, robot.controller)
    scenario = _scenario(robot, 0)
    rollout(robot, law, scenario)
    line.send(0.0)
    while count := line.recv():
        began = time.process_time()
        for _ in range(count):
            rollout(robot, law, scenario)
        line.send(time.process_time() - began)


def _scaling(robot: Robot, rounds: int) -> Figure:
    """Rollouts per CPU second of two processes side by side, over those of one alone.

    CPU seconds, not wall time: what is measured is that the processes do not hold each other up, whatever else runs.
    """
    count = 12
    context = multiprocessing.get_context("spawn")
    lines, processes = [], []
    for _ in range(2):
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, robot.folder / "robot.toml"), daemon=True)
        process.start()
        here.recv()
        lines.append(here)
        processes.append(process)
    scales = []
    for _ in range(rounds):
        lines[0].send(count)
        alone_s = lines[0].recv()
        for line in lines:
            line.send(count)
        together_s = [line.recv() for line in lines]
        scales.append(sum(alone_s / seconds for seconds in together_s))
    for line, process in zip(lines, processes, strict=True):
        line.send(0)
        process.join()
    value, interval = median_interval(scales)
    return Figure(
        bench="sim",
        figure=f"{robot.name}: two processes over one, by CPU time",
        value=value,
        unit="1",
        interval=interval,
        n=rounds,
        target=SCALING,
    )
