"""What holds for all tests: patience with a busy machine, and recordings of a simulated arm made once per session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import sim
from controllers.artefact import load_artefact, shipped_laws
from core.block import Block, flat_row
from core.robot_toml import load_robot

Recorder = Callable[..., Block]

# A machine that is busy with other things is no failure of what is tested.
settings.register_profile("remend", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("remend")


@pytest.fixture(scope="session", autouse=True)
def logs_of_learners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stable-Baselines3 makes a folder for each training; here it goes with the others of the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SB3_LOGDIR", str(tmp_path_factory.mktemp("learners")))
        yield


@pytest.fixture(scope="session")
def record_arm() -> Recorder:
    """(seed, seconds, faults="none", day=seed) -> telemetry of hidden robot `seed` at work, faulty from the start."""
    # Only the tests that record need the simulator.
    from sim.faults.course import FaultCourse  # noqa: PLC0415
    from sim.faults.notation import parse_faults  # noqa: PLC0415
    from sim.kinds import hidden_physics, open_plant  # noqa: PLC0415
    from sim.rollout import make_runtime  # noqa: PLC0415
    from sim.tasks.catalogue import endless_tasks  # noqa: PLC0415

    robot = load_robot(Path(str(sim.__file__)).parent / "robots" / "iiwa" / "robot.toml")
    law = load_artefact(shipped_laws()[robot.controller])

    @lru_cache
    def record(seed: int, seconds: float, faults: str = "none", day: int | None = None) -> Block:
        runtime, rows = make_runtime(robot, law), []
        course = FaultCourse(faults=parse_faults(faults, robot))
        work = endless_tasks(robot, seed if day is None else day, segment_s=4.0)
        with open_plant(robot, hidden_physics(robot, seed), course, seed) as plant:
            for reference in islice(work, round(seconds * robot.control_rate_hz)):
                frame = plant.measure()
                plant.apply(runtime.tick(frame, reference, frame.stamp_ns).tau)
                rows.append(flat_row(frame, reference))
        assert not runtime.notes
        return Block(data=np.array(rows), actuators=len(robot.actuators))

    return record
