"""The simulated robot as a process of its own: frames out, commands in, and a fault that it tells nobody about."""

from __future__ import annotations

import struct
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from core.frames import pack_frame
from core.robot import Robot
from core.robot_toml import load_robot
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics, open_plant


def fault_course(robot: Robot, spec: str, seed: int, learnt_s: float) -> FaultCourse:
    """When the faults of `spec` set in: `onset` seconds after learning ends, or 2 to 4 s after, drawn from `seed`."""
    rng = np.random.default_rng([seed, 0x0A5E])
    onset_s = learnt_s + float(rng.uniform(2.0, 4.0))
    faults = [
        fault if fault.onset_s is None else replace(fault, onset_s=learnt_s + fault.onset_s)
        for fault in parse_faults(spec, robot)
    ]
    return FaultCourse(faults=tuple(faults), onset_s=onset_s)


def robot_main(line: Connection, robot_toml: Path, spec: str, seed: int, learnt_s: float) -> None:
    """Serve one robot on `line` until the other end hangs up: a frame, then a command for it, and so on.

    An empty message says that the simulated robot has come apart.
    """
    robot = load_robot(robot_toml)
    course = fault_course(robot, spec, seed, learnt_s)
    command_format = f"<{len(robot.actuators)}d"
    with open_plant(robot, hidden_physics(robot, seed), course, seed) as plant:
        try:
            while True:
                line.send_bytes(pack_frame(plant.measure()))
                plant.apply(list(struct.unpack(command_format, line.recv_bytes())))
        except FloatingPointError:
            line.send_bytes(b"")
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
