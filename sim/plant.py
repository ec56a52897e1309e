"""A simulated arm in PyBullet: sensors, bus, drives, friction and load around Bullet's rigid bodies.

It speaks frames and takes commands, as the hardware does. What it knows beyond a frame (true state, fault) is read by
the scorer alone.
"""

from __future__ import annotations

import tempfile
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from core.frames import Frame
from core.rigid_body import Array, RigidBodyModel
from core.robot import Robot
from sim.body import NO_MASS_KG, PAYLOAD_LINK, write_body
from sim.bullet import bullet
from sim.drivetrain import Drivetrain
from sim.faults import Effect, FaultCourse
from sim.physics import Physics

_NOISE_ROWS = 1024  # sensor noise is drawn in blocks: a Generator call per tick costs more than the tick
GRAVITY_M_S2 = 9.81


class Plant:
    """One robot arm in torque mode, fixed to the ground and free of contact. Use as a context manager.

    Args:
        robot: model of the robot.
        physics: what this one is made of.
        course: its faults over time.
        seed: of the sensor noise.
    """

    def __init__(self, robot: Robot, physics: Physics, course: FaultCourse, seed: int) -> None:
        self.robot, self._course = robot, course
        self._substeps, self._dt_s = physics.substeps, robot.dt_s / physics.substeps
        self._model = RigidBodyModel(robot)
        self._model.set_inertial_parameters(physics.inertials)
        self._drivetrain = Drivetrain(self._model.rotor_inertia, physics, self._dt_s)
        self._torque_limit = np.array(robot.limits.effort)
        self._client = bullet.connect(bullet.DIRECT)
        with tempfile.TemporaryDirectory(prefix="remend-body-") as folder:
            self._body = self._load(write_body(Path(folder), robot, physics.inertials))
        self._noise = _Noise(robot, seed)
        self._effect: Effect | None = None
        self.reset(np.array(robot.home))

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

    def _load(self, urdf: Path) -> int:
        client = self._client
        bullet.setPhysicsEngineParameter(
            enableFileCaching=0,
            deterministicOverlappingPairs=1,
            fixedTimeStep=self._dt_s,
            numSubSteps=0,
            physicsClientId=client,
        )
        bullet.setGravity(0, 0, -GRAVITY_M_S2, physicsClientId=client)
        # Without USE_INERTIA_FROM_FILE Bullet makes inertia up from collision shapes, of which there are none.
        body = bullet.loadURDF(
            str(urdf), useFixedBase=True, flags=bullet.URDF_USE_INERTIA_FROM_FILE, physicsClientId=client
        )
        names = {}
        for k in range(bullet.getNumJoints(body, physicsClientId=client)):
            names[bullet.getJointInfo(body, k, physicsClientId=client)[1].decode()] = k
        self._joints = [names[name] for name in self.robot.joints]
        self._payload = names[PAYLOAD_LINK]
        for k in range(-1, len(names)):
            bullet.changeDynamics(
                body,
                k,
                linearDamping=0.0,
                angularDamping=0.0,
                jointDamping=0.0,
                maxJointVelocity=1e4,  # Bullet clamps at 100 rad/s in silence; a divergence should be seen as one
                activationState=bullet.ACTIVATION_STATE_DISABLE_SLEEPING,
                physicsClientId=client,
            )
        for name, k in zip(self.robot.joints, self._joints, strict=True):  # Bullet only prints a warning
            if not all(bullet.getDynamicsInfo(body, k, physicsClientId=client)[2]):
                raise ValueError(f"Bullet refused the inertia of the link behind {name}: no rigid body has it")
        # Bullet starts with velocity motors that brake every joint.
        bullet.setJointMotorControlArray(
            body, self._joints, bullet.VELOCITY_CONTROL, forces=[0.0] * self.robot.dof, physicsClientId=client
        )
        return int(body)

    def reset(self, q: Array, v: Array | None = None, torque_nm: Array | None = None) -> None:
        """Start tick 0 at `q` [rad] and `v` [rad/s] (rest), drives giving `torque_nm` (what holds against gravity)."""
        self._q, self._v = np.array(q, dtype=float), np.zeros(self.robot.dof) if v is None else np.array(v, dtype=float)
        for k, joint in enumerate(self._joints):
            bullet.resetJointState(self._body, joint, self._q[k], self._v[k], physicsClientId=self._client)
        self._tick = 0
        hold = (self._model.gravity(self._q) if torque_nm is None else torque_nm).tolist()
        depth = 2 + int((self.robot.drive.command_delay_s + 0.1) / self.robot.dt_s)
        self._commands: deque[list[float]] = deque([hold] * depth, maxlen=depth)
        self._drive_torque = np.clip(np.array(hold), -self._torque_limit, self._torque_limit)
        self._update_fault()

    def _update_fault(self) -> None:
        """Bring mass, friction, gain, bias and delay to what the fault course says for this tick."""
        effect = self._course.at(self._tick * self.robot.dt_s)
        if effect is self._effect:
            return
        if self._effect is None or effect.payload_kg != self._effect.payload_kg:
            payload_kg = max(effect.payload_kg, NO_MASS_KG)
            self._model.set_payload(payload_kg)
            bullet.changeDynamics(
                self._body,
                self._payload,
                mass=payload_kg,
                localInertiaDiagonal=[0.0, 0.0, 0.0],
                physicsClientId=self._client,
            )
        self._effect = effect
        self._drivetrain.set_fault(np.array(effect.viscous), np.array(effect.coulomb))
        self._motor_gain = np.maximum(1.0 - np.array(effect.gain_loss), 0.0)  # two losses never drive backwards
        self._offset = np.array(effect.offset)
        self._delay_substeps = round((self.robot.drive.command_delay_s + effect.delay_s) / self._dt_s)

    def measure(self) -> Frame:
        """What the robot says at the start of this tick."""
        position, velocity, torque = self._noise.next()
        return Frame(
            seq=self._tick,
            stamp_ns=round(self._tick * self.robot.dt_s * 1e9),
            q=(self._q + self._offset + position).tolist(),
            qd=(self._v + velocity).tolist(),
            tau_meas=(self._drive_torque + torque).tolist(),
            tau_cmd=self._commands[-1],
        )

    def apply(self, tau_cmd: list[float]) -> None:
        """Send a command [N*m] and let one control period pass.

        Raises:
            FloatingPointError: the simulated robot has diverged.
        """
        self._commands.append(tau_cmd)
        for substep in range(self._substeps):
            age = self._delay_substeps - substep  # substeps before the start of this tick that are due now
            ticks_ago = -(-age // self._substeps) if age > 0 else 0
            command = np.array(self._commands[-1 - min(ticks_ago, len(self._commands) - 1)])
            self._drive_torque = np.minimum(np.maximum(command, -self._torque_limit), self._torque_limit)
            self._step(self._drive_torque * self._motor_gain)
        self._tick += 1
        self._update_fault()

    def _step(self, motor: Array) -> None:
        inertia = self._model.link_inertia(self._q)
        nonlinear = self._model.nonlinear(self._q, self._v)
        torque = self._drivetrain.link_torque(motor, self._v, inertia, nonlinear)
        bullet.setJointMotorControlArray(
            self._body, self._joints, bullet.TORQUE_CONTROL, forces=torque.tolist(), physicsClientId=self._client
        )
        bullet.stepSimulation(physicsClientId=self._client)
        states = bullet.getJointStates(self._body, self._joints, physicsClientId=self._client)
        self._q = np.array([state[0] for state in states])
        self._v = np.array([state[1] for state in states])

    def true_state(self) -> tuple[Array, Array]:
        """(n,) true position [rad] and velocity [rad/s]. For the scorer; no controller or detector may call it."""
        return self._q, self._v


class _Noise:
    """White sensor noise in blocks: position, velocity and torque rows of n entries each."""

    def __init__(self, robot: Robot, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 0x5E5E])
        s = robot.sensors
        self._scale = np.concatenate([s.position_noise, s.velocity_noise, s.effort_noise])
        self._dof, self._row = robot.dof, _NOISE_ROWS

    def next(self) -> tuple[Array, Array, Array]:
        if self._row == _NOISE_ROWS:
            self._block = self._rng.standard_normal((_NOISE_ROWS, 3 * self._dof)) * self._scale
            self._row = 0
        row = self._block[self._row]
        self._row += 1
        n = self._dof
        return row[:n], row[n : 2 * n], row[2 * n :]
