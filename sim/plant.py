"""A simulated robot of any kind: bus, drives and sensors around a body in PyBullet.

It speaks frames and takes commands, as the hardware does. What it knows beyond a frame (true state, fault) is read by
the scorer alone. A kind of robot (`sim.plants`) adds its body, and how it moves in a control period.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from core.frames import Frame
from core.rigid_body import Array
from core.robot import Robot
from sim.bullet import bullet
from sim.command_path import CommandPath
from sim.drive import Drive
from sim.effect import Effect
from sim.faults.course import FaultCourse
from sim.physics import Physics
from sim.sensing import Sensors

GRAVITY_M_S2 = 9.81


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What became of a command, (m,) each; the applied one is a drive effort."""

    raw: list[float]  # as sent
    limited: list[float]  # inside the rated range
    delayed: list[float]  # what the drives act on now
    applied: list[float]  # effort that reached the body


class Plant(ABC):
    """One robot in a Bullet world of its own. Use as a context manager.

    Args:
        robot: model of the robot.
        physics: what this one is made of.
        course: its faults over time.
        seed: of the sensor noise and of the bus.
    """

    def __init__(self, robot: Robot, physics: Physics, course: FaultCourse, seed: int) -> None:
        self.robot, self.physics = robot, physics
        self._n, self._dt_s = robot.dof, robot.dt_s  # `measure` asks in every tick
        self.step_s = robot.dt_s / physics.substeps
        self._path, self._sensors = CommandPath(robot, physics.substeps), Sensors(robot)
        self._drive = self._make_drive()
        self._client: int = bullet.connect(bullet.DIRECT)
        try:
            bullet.setPhysicsEngineParameter(
                enableFileCaching=0,  # a file rewritten under one name would come back with the old masses
                deterministicOverlappingPairs=1,
                physicsClientId=self._client,
            )
            self._take_together(1)
            bullet.setGravity(0, 0, -GRAVITY_M_S2, physicsClientId=self._client)
            self._load()
            self.restart(course, seed)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release Bullet's world."""
        if self._client >= 0:
            bullet.disconnect(physicsClientId=self._client)
            self._client = -1

    @property
    def client(self) -> int:
        """Bullet's handle of this world."""
        return self._client

    def restart(self, course: FaultCourse, seed: int) -> None:
        """Other faults and other noise in the same world, from tick 0 at home."""
        self._course = course
        self._effect: Effect | None = None
        self._path.reseed(seed)
        self._sensors.reseed(seed)
        self.reset(np.array(self.robot.home))

    def reset(self, q: Array, v: Array | None = None, command: Array | None = None) -> None:
        """Start tick 0 at `q` and `v` (rest), the drives under `command` (what holds the robot there).

        Args:
            q: (n,) position [rad or m].
            v: (n,) velocity [rad/s or m/s].
            command: (m,) command of all ticks before.
        """
        self._q = np.array(q, dtype=float)
        self._v = np.zeros(self.robot.dof) if v is None else np.array(v, dtype=float)
        self._tick = 0
        self._place(self._q, self._v)
        hold = self._holding(self._q) if command is None else command
        self._path.restart(hold.tolist())
        self._update_fault()
        self._drive.restart(self._effort_of(np.array(self._path.limited)))
        self._sensors.restart()
        self._applied = self._drive.measured

    def _update_fault(self) -> None:
        """Bring the plant to what the fault course says for this tick."""
        effect = self._course.at(self._tick * self._dt_s)
        if effect is self._effect:
            return
        self._path.take(effect)
        self._drive.take(effect)
        self._sensors.take(effect)
        self._take(effect)
        self._effect = effect

    def measure(self) -> Frame:
        """What the robot says at the start of this tick."""
        n, tick = self._n, self._tick
        reading = self._sensors.read(self._truth())
        stamp_ns = round(tick * self._dt_s * 1e9)
        return Frame(tick, stamp_ns, reading[:n], reading[n : 2 * n], reading[2 * n :], list(self._path.raw))

    def apply(self, command: Sequence[float]) -> None:
        """Send a command and let one control period pass.

        Raises:
            FloatingPointError: the simulated robot has diverged.
        """
        self._path.send(command)
        for due, steps in self._path.period():
            self._advance(due, steps)
        self._tick += 1
        self._update_fault()

    @property
    def stages(self) -> Stages:
        """What became of the last command, at the last physics step."""
        return Stages(
            raw=list(self._path.raw),
            limited=list(self._path.limited),
            delayed=list(self._path.due(self.physics.substeps - 1)),
            applied=list(self._given()),
        )

    def true_state(self) -> tuple[Array, Array]:
        """(n,) true position and velocity. For the scorer; no controller or detector may call it."""
        return self._q, self._v

    def _take_together(self, steps: int) -> None:
        """From now on Bullet takes so many physics steps in one call."""
        self._together, self._span_s = steps, steps * self.step_s
        bullet.setPhysicsEngineParameter(
            fixedTimeStep=self._span_s, numSubSteps=steps if steps > 1 else 0, physicsClientId=self._client
        )

    def _truth(self) -> Array:
        """(2 n + m,) what the sensors see: position, velocity, and effort of the drives."""
        return np.concatenate((self._q, self._v, self._drive.measured))

    def _given(self) -> Sequence[float]:
        """(m) effort that reached the body in the last physics step."""
        applied: list[float] = self._applied.tolist()
        return applied

    def _make_drive(self) -> Drive:
        """The drives of this robot; kinds whose drives lag or cannot push say so here."""
        robot, limits = self.robot, self.robot.limits
        rotors = [0.0 if joint is None else robot.drive.rotor_inertia[joint] for joint in robot.drives]
        commands_effort = robot.mode != "position"  # the range of a position command says nothing of efforts
        return Drive(
            np.array(limits.effort),
            np.array(rotors),
            np.zeros(len(rotors)),
            self.step_s,
            low=np.array(limits.effort_low) if commands_effort else -np.array(limits.effort),
            asks_rated=commands_effort,
        )

    def _effort_of(self, command: Array) -> Array:
        """(m,) drive effort that a held `command` stands for; the command itself where efforts are commanded."""
        return command

    @abstractmethod
    def _load(self) -> None:
        """Load the body into the world `self._client`."""

    @abstractmethod
    def _place(self, q: Array, v: Array) -> None:
        """Put the body at position `q` and velocity `v`."""

    @abstractmethod
    def _holding(self, q: Array) -> Array:
        """(m,) command that holds the healthy robot at `q`."""

    @abstractmethod
    def _take(self, effect: Effect) -> None:
        """Bring into force what an effect does to the body; bus, drives and sensors have it already."""

    @abstractmethod
    def _advance(self, command: list[float], steps: int) -> None:
        """`steps` physics steps under `command` (m); sets `_q`, `_v` and `_applied`.

        Raises:
            FloatingPointError: the simulated robot has diverged.
        """
