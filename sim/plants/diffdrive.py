"""Bases with two driven wheels and a caster, in contact with the ground.

Bullet solves contact, ground friction and wheel friction together: wheel friction is a motor at speed zero that is as
strong as the friction, so it sticks, brakes and never pushes. Bullet's world always starts from one saved state at its
origin, and where the robot stands is added outside, so that a repetition has the same bits in spite of contacts.

A wheel whose radius has changed by k = 1 + share and which loses the share s of its motion turns Bullet's wheel of
nominal radius through a transmission:

    rate in Bullet = k (1 - s) rate      torque in Bullet = torque / k      spin inertia = I / (k^2 (1 - s))

That equals a body with wheels of that size on an axle that keeps the body level; the tilt is left out. The slip is the
constant share of Iossaqui, Camino, Zampieri 2013: what it loses is heat, not traction.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pinocchio as pin

from core.rigid_body import Array
from sim.body import NO_MASS_KG, PAYLOAD_LINK
from sim.bullet import bullet
from sim.effect import Effect
from sim.plant import GRAVITY_M_S2, Plant
from sim.wheeled_base import axle, constant
from sim.wheeled_body import WHEELS, write_base

_SETTLE_S = 0.5  # until the body rests on its wheels, before its state is saved
_STUCK_NM = 1e3  # friction of a wheel that a brake holds
_LOST_M_S = 1e3  # nothing that drives is this fast: the simulation has come apart


class DiffDrive(Plant):
    """Coordinates x, y, yaw, left and right wheel; two actuators that turn the wheels."""

    def _load(self) -> None:
        robot, client, physics = self.robot, self._client, self.physics
        ground = bullet.createCollisionShape(bullet.GEOM_PLANE, physicsClientId=client)
        self._ground = bullet.createMultiBody(0.0, ground, physicsClientId=client)
        with tempfile.TemporaryDirectory(prefix="remend-body-") as folder:
            self._body = bullet.loadURDF(
                str(write_base(Path(folder), robot, physics)),
                basePosition=[0.0, 0.0, max(constant(physics, "wheel_radius"))],
                flags=bullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=client,
            )
        links = {"body": -1}
        for k in range(bullet.getNumJoints(self._body, physicsClientId=client)):
            links[bullet.getJointInfo(self._body, k, physicsClientId=client)[1].decode()] = k
        self._wheels, self._payload = [links[name] for name in WHEELS], links[PAYLOAD_LINK]
        for name, k in links.items():
            bullet.changeDynamics(
                self._body,
                k,
                linearDamping=0.0,
                angularDamping=0.0,
                jointDamping=0.0,
                maxJointVelocity=1e4,  # Bullet clamps at 100 rad/s in silence; a divergence should be seen as one
                activationState=bullet.ACTIVATION_STATE_DISABLE_SLEEPING,
                physicsClientId=client,
            )
            # on its own: beside an activation state Bullet ignores it
            grip = 1.0 if name in WHEELS else 0.0
            bullet.changeDynamics(self._body, k, lateralFriction=grip, physicsClientId=client)
        wheels = [pin.Inertia.FromDynamicParameters(block) for block in physics.inertials[10:].reshape(-1, 10)]
        # Bullet speaks of the principal axes at the centre of mass, which need not be those of the link
        _, _, _, com, turn, *_ = bullet.getDynamicsInfo(self._body, -1, physicsClientId=client)
        self._to_link = to_link = np.array(bullet.getMatrixFromQuaternion(turn)).reshape(3, 3)
        self._ahead, self._lever = to_link[0].tolist(), (to_link.T @ com).tolist()
        rotor = robot.drive.rotor_inertia[3:]
        self._spin = [float(wheel.inertia[1, 1]) + rotor[i] for i, wheel in enumerate(wheels)]
        self._across = [(float(wheel.inertia[0, 0]), float(wheel.inertia[2, 2])) for wheel in wheels]
        self._load_from_com = (to_link.T @ (np.array(robot.payload_point_m) - axle(robot) - com)).tolist()
        self._motor_of = [robot.drives.index(3 + i) for i in range(2)]
        self._fit(Effect())
        for _ in range(round(_SETTLE_S / self.step_s)):
            self._turn([0.0, 0.0], [_STUCK_NM, _STUCK_NM])
        self._start = bullet.saveState(physicsClientId=client)
        self._start_pose = self._pose()[:3]
        self._start_angle = [state[0] for state in bullet.getJointStates(self._body, self._wheels, client)]
        _, turn = bullet.getBasePositionAndOrientation(self._body, client)
        self._start_lever = _rotate(bullet.getMatrixFromQuaternion(turn), self._lever)

    def _place(self, q: Array, v: Array) -> None:
        bullet.restoreState(self._start, physicsClientId=self._client)
        x, y, yaw = self._start_pose
        c, s = math.cos(q[2] - yaw), math.sin(q[2] - yaw)
        self._cos, self._sin = c, s
        self._origin = (float(q[0]) - c * x + s * y, float(q[1]) - s * x - c * y)
        self._yaw, self._yaw_in_bullet = float(q[2]), yaw
        self._angle = [float(q[3]), float(q[4])]
        self._angle_in_bullet = list(self._start_angle)
        effect = self._course.at(0.0)
        if effect is not self._fitted:  # a restored state keeps masses and friction
            self._fit(effect)
        self._rate = [0.0, 0.0]
        if np.any(v):
            self._set_moving(v)

    def _set_moving(self, v: Array) -> None:
        """Give the body that has just been placed the velocity `v` (5,)."""
        client, body = self._client, self._body
        vx, vy = self._cos * v[0] + self._sin * v[1], self._cos * v[1] - self._sin * v[0]
        com = [vx - v[2] * self._start_lever[1], vy + v[2] * self._start_lever[0], 0.0]
        bullet.resetBaseVelocity(body, com, [0.0, 0.0, v[2]], physicsClientId=client)
        self._rate = [float(v[3]), float(v[4])]
        for i, wheel in enumerate(self._wheels):
            rate = self._rate[i] * self._ratio[i]
            bullet.resetJointState(body, wheel, self._angle_in_bullet[i], rate, physicsClientId=client)

    def _holding(self, q: Array) -> Array:
        return np.zeros(2)

    def _take(self, effect: Effect) -> None:
        if effect is not self._fitted:
            self._fit(effect)

    def _fit(self, effect: Effect) -> None:
        """Bring friction, wheels, load and ground to `effect`."""
        self._fitted = effect
        client, body, physics = self._client, self._body, self.physics
        added = [effect.vector(name, 5)[3:] for name in ("viscous", "coulomb", "stiction", "brake")]
        self._viscous = (physics.viscous[3:] + added[0]).tolist()
        self._coulomb = (physics.coulomb[3:] + added[1] + _STUCK_NM * added[3]).tolist()
        self._breakaway = (physics.stiction[3:] - physics.coulomb[3:] + added[2]).tolist()
        grown = (1.0 + effect.vector("wheel_radius", 2))[self._motor_of]
        kept = (1.0 - effect.vector("slip", 2))[self._motor_of]
        self._gear, self._ratio = grown.tolist(), (grown * kept).tolist()
        for i, wheel in enumerate(self._wheels):
            spin = self._spin[i] / (self._gear[i] * self._ratio[i])
            moments = [self._across[i][0], spin, self._across[i][1]]
            bullet.changeDynamics(body, wheel, localInertiaDiagonal=moments, physicsClientId=client)
        self._payload_kg = max(effect.payload_kg, NO_MASS_KG)
        bullet.changeDynamics(
            body,
            self._payload,
            mass=self._payload_kg,
            localInertiaDiagonal=[0.0, 0.0, 0.0],
            physicsClientId=client,
        )
        self._moment = (self._to_link.T @ effect.moment_kgm).tolist() if any(effect.moment_kgm) else None
        self._speed_before: tuple[float, ...] | None = None
        grip = constant(physics, "ground_friction")[0] * max(1.0 - effect.ground_loss, 0.0)
        bullet.changeDynamics(self._ground, -1, lateralFriction=grip, physicsClientId=client)

    def apply(self, command: Sequence[float]) -> None:
        super().apply(command)
        self._read()  # the pose once a tick: reading costs like stepping

    def _advance(self, command: list[float], steps: int) -> None:
        due = np.array(command)
        for _ in range(steps):
            self._move(due)

    def _move(self, command: Array) -> None:
        """One physics step under a command (m,)."""
        self._applied = self._drive.step(command)
        effort, torque, friction = self._applied.tolist(), [0.0, 0.0], [0.0, 0.0]
        for i in (0, 1):
            speed = abs(self._rate[i])
            level = self._coulomb[i] + self._viscous[i] * speed
            if self._breakaway[i]:
                level += self._breakaway[i] * math.exp(-((speed / self.physics.stribeck_rad_s) ** 2))
            torque[i] = effort[self._motor_of[i]] / self._gear[i]
            friction[i] = level / self._gear[i]
        if self._moment is not None:
            self._shift_load(self._moment)
        self._turn(torque, friction)
        states = bullet.getJointStates(self._body, self._wheels, self._client)
        for i, (phase, rate, _, _) in enumerate(states):
            self._rate[i] = rate / self._ratio[i]
            self._angle[i] += (phase - self._angle_in_bullet[i]) / self._ratio[i]
            self._angle_in_bullet[i] = phase

    def _turn(self, torque: list[float], friction: list[float]) -> None:
        """One physics step with drive torque and largest friction torque at the two wheels in Bullet."""
        client, body, wheels, drive = self._client, self._body, self._wheels, bullet.setJointMotorControlArray
        drive(body, wheels, bullet.VELOCITY_CONTROL, forces=friction, physicsClientId=client)
        drive(body, wheels, bullet.TORQUE_CONTROL, forces=torque, physicsClientId=client)
        bullet.stepSimulation(client)

    def _pose(self) -> tuple[float, float, float, float, float, float]:
        """Position, yaw and their rates of the axle's middle in Bullet's world."""
        (x, y, _), turn = bullet.getBasePositionAndOrientation(self._body, self._client)
        (vx, vy, _), (wx, wy, wz) = bullet.getBaseVelocity(self._body, self._client)
        matrix = bullet.getMatrixFromQuaternion(turn)
        ahead, lever = _rotate(matrix, self._ahead), _rotate(matrix, self._lever)
        return (
            x - lever[0],
            y - lever[1],
            math.atan2(ahead[1], ahead[0]),
            vx - wy * lever[2] + wz * lever[1],
            vy - wz * lever[0] + wx * lever[2],
            wz,
        )

    def _read(self) -> None:
        x, y, yaw, vx, vy, rate = self._pose()
        if not abs(vx) + abs(vy) < _LOST_M_S:
            raise FloatingPointError("the simulation has diverged")
        self._yaw += (yaw - self._yaw_in_bullet + math.pi) % (2.0 * math.pi) - math.pi
        self._yaw_in_bullet = yaw
        c, s = self._cos, self._sin
        at_x, at_y = self._origin
        self._q = np.array([at_x + c * x - s * y, at_y + s * x + c * y, self._yaw, *self._angle])
        self._v = np.array([c * vx - s * vy, s * vx + c * vy, rate, *self._rate])

    def _shift_load(self, moment: list[float]) -> None:
        """Bullet carries the load at its point p; this wrench is what it lacks, with the acceleration of the last step.

        For a mass m with the first moment s about p, seen from above: force -(w' x s + w x (w x s)), torque
        s x (g - a_p) - s x (w' x s) / m.
        """
        client, body = self._client, self._body
        position, orientation = bullet.getBasePositionAndOrientation(body, client)
        velocity, turning = bullet.getBaseVelocity(body, client)
        matrix = bullet.getMatrixFromQuaternion(orientation)
        x, y, z = _rotate(matrix, self._load_from_com)
        sx, sy, sz = _rotate(matrix, moment)
        rate = turning[2]
        speed = (velocity[0] - rate * y, velocity[1] + rate * x, rate)
        before, self._speed_before = self._speed_before or speed, speed
        ax, ay, spin = ((now - then) / self.step_s for now, then in zip(speed, before, strict=True))
        force = [spin * sy + rate * rate * sx, rate * rate * sy - spin * sx, 0.0]
        at = [position[0] + x, position[1] + y, position[2] + z]
        own = spin * (sx * sx + sy * sy) / self._payload_kg
        torque = [sz * ay - sy * GRAVITY_M_S2, sx * GRAVITY_M_S2 - sz * ax, sy * ax - sx * ay - own]
        bullet.applyExternalForce(body, -1, force, at, bullet.WORLD_FRAME, client)
        bullet.applyExternalTorque(body, -1, torque, bullet.WORLD_FRAME, client)


def _rotate(matrix: tuple[float, ...], vector: list[float]) -> tuple[float, float, float]:
    """`vector` turned by a row-major rotation matrix."""
    x, y, z = vector
    return (
        matrix[0] * x + matrix[1] * y + matrix[2] * z,
        matrix[3] * x + matrix[4] * y + matrix[5] * z,
        matrix[6] * x + matrix[7] * y + matrix[8] * z,
    )
