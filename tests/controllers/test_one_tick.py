"""There is one tick: rollout, replay and shadow compute the same bits from the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from controllers.artefact import Artefact, load_artefact, shipped_laws
from controllers.canary import CanaryLimits
from controllers.runtime import Runtime
from controllers.slot import Slot
from core.block import Block, flat_row
from core.frames import Frame, Reference, pack_frame, unpack_frame
from core.robot import Robot
from sim.faults.course import FaultCourse
from sim.faults.notation import parse_faults
from sim.kinds import hidden_physics
from sim.plants.fixed_base import FixedBase
from sim.rollout import make_runtime, run
from sim.tasks.catalogue import draw_task


class Tape(FixedBase):
    """A plant that remembers what it said and was told."""

    def __init__(self, robot: Robot, course: FaultCourse) -> None:
        super().__init__(robot, hidden_physics(robot, 2), course, seed=5)
        self.frames: list[Frame] = []
        self.commands: list[list[float]] = []

    def measure(self) -> Frame:
        frame = super().measure()
        self.frames.append(frame)
        return frame

    def apply(self, tau_cmd: list[float]) -> None:
        self.commands.append(tau_cmd)
        super().apply(tau_cmd)


@dataclass
class Recorded:
    frames: list[Frame]
    references: list[Reference]
    commands: list[list[float]]
    trace_command: np.ndarray = field(repr=False)  # type: ignore[type-arg]


@pytest.fixture(scope="module", params=["computed_torque", "joint_pd"])
def artefact(request: pytest.FixtureRequest) -> Artefact:
    return load_artefact(shipped_laws()[request.param])


@pytest.fixture(scope="module")
def recorded(iiwa: Robot, artefact: Artefact) -> Recorded:
    """One second of a hidden, degraded robot under `artefact`."""
    task = draw_task(iiwa, "weave", np.array(iiwa.home), 1.0, np.random.default_rng(6))
    faults = parse_faults("payload:mass=3,onset=0.3,ramp=0.2+sensor_bias:joint=4,rad=0.02,onset=0.6", iiwa)
    with Tape(iiwa, FaultCourse(faults=faults)) as plant:
        trace = run(plant, make_runtime(iiwa, artefact), task.references())
        return Recorded(plant.frames, task.references(), plant.commands, trace.command)


def _replay(runtime: Runtime, frames: Sequence[Frame], references: Sequence[Reference]) -> list[list[float]]:
    pairs = zip(frames, references, strict=True)
    return [runtime.tick(frame, reference, frame.stamp_ns).tau for frame, reference in pairs]


def test_a_trace_holds_the_commands_that_the_plant_got(recorded: Recorded) -> None:
    assert recorded.trace_command.tolist() == recorded.commands
    assert len(recorded.commands) == 500


def test_a_replay_through_a_fresh_loop_repeats_every_bit(iiwa: Robot, artefact: Artefact, recorded: Recorded) -> None:
    assert _replay(make_runtime(iiwa, artefact), recorded.frames, recorded.references) == recorded.commands


def test_a_replay_of_what_links_and_files_carry_repeats_every_bit(
    iiwa: Robot, artefact: Artefact, recorded: Recorded
) -> None:
    sent = [unpack_frame(pack_frame(frame), 7, 7) for frame in recorded.frames]
    assert _replay(make_runtime(iiwa, artefact), sent, recorded.references) == recorded.commands
    rows = zip(recorded.frames, recorded.references, strict=True)
    block = Block(data=np.array([flat_row(frame, reference) for frame, reference in rows]), actuators=7)
    stored = Block.from_bytes(block.to_bytes(), 7, 7).rows()
    frames, references = [row.frame for row in stored], [row.reference for row in stored]
    assert _replay(make_runtime(iiwa, artefact), frames, references) == recorded.commands


def test_shadow_computes_what_the_loop_would_command(iiwa: Robot, artefact: Artefact, recorded: Recorded) -> None:
    other = load_artefact(shipped_laws()["joint_pd" if artefact.name == "computed_torque" else "computed_torque"])
    runtime = make_runtime(iiwa, other)
    shadow, computed = Slot(iiwa, artefact), []

    class Listening(Slot):
        def compute(self, frame: Frame, reference: Reference) -> list[float]:
            computed.append(super().compute(frame, reference))
            return computed[-1]

    shadow.__class__ = Listening
    zero = (1.0,) * iiwa.dof
    runtime.begin_shadow(
        shadow,
        CanaryLimits(offset=zero, ramp_error=zero, settled_error=zero, settle_s=1.0, variation_nm=1.0),
    )
    commanded = _replay(runtime, recorded.frames, recorded.references)
    assert computed == recorded.commands
    assert commanded != recorded.commands
    assert commanded == _replay(make_runtime(iiwa, other), recorded.frames, recorded.references)
