"""A trunk on legs, free to move and to fall, on flat ground that only feet and trunk can touch.

Each drive is a position servo of its own: effort = stiffness * (command - reading) - damping * speed, at the physics
rate, inside its torque limit, and read by its own encoder, faults of which it cannot see. Friction is a velocity motor
of Bullet with a bounded force, solved together with the contacts, so that a joint can stick; the solver's iterations
leave it a creep of some milliradians in a second. Gravity acts on a load where it hangs; its inertia counts at the
payload point.

A contact remembers points and impulses of its last steps, and Bullet's `restoreState` does not forget those of contacts
that the saved state did not have. So every start puts the ground anew among the shapes that can collide, which ends all
contacts: equal starts then give equal bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pinocchio as pin

from core.legs import Legs
from core.rigid_body import Array
from sim.body import NO_MASS_KG, PAYLOAD_LINK
from sim.bullet import bullet
from sim.effect import Effect
from sim.friction import Friction
from sim.legged_body import body_urdf
from sim.plant import GRAVITY_M_S2, Plant

COGGING_PERIODS = 12.0  # of torque ripple, per turn of the joint
_BRAKE_NM = 1e3  # a closed brake holds more than any drive gives
_LOST = 1e6  # a sum of joint speeds beyond this is a simulation that has come apart
_STATIC = (2, -3)  # what the ground belongs to and what it collides with, as Bullet has it: all but itself
_IN_THE_AIR_M = 2.0  # far enough for no contact


class Legged(Plant):
    """A floating trunk with legs of three joints, in position mode."""

    def _load(self) -> None:
        from sim.footing import settle  # noqa: PLC0415 numba takes half a second to import, and only legs need it

        robot, client = self.robot, self._client
        self._settle, self._legs = settle, Legs(robot)
        legs = self._legs
        legs.set_inertials(self.physics.inertials)
        constants = self.physics.constants
        self._stiffness, self._damping = (np.array(constants[key]) for key in ("drive_stiffness", "drive_damping"))
        self._ground_friction = float(np.asarray(constants["ground_friction"]))
        self._friction = Friction(self.physics)
        self._rates = np.zeros(robot.dof)  # of all coordinates; only legs have friction
        self._home = np.array(robot.home[: legs.m])
        ground = bullet.createCollisionShape(bullet.GEOM_PLANE, physicsClientId=client)
        self._ground = bullet.createMultiBody(0, ground, physicsClientId=client)
        with tempfile.TemporaryDirectory(prefix="remend-body-") as folder:
            urdf = Path(folder) / "body.urdf"
            urdf.write_text(body_urdf(legs), encoding="utf-8")
            self._body = bullet.loadURDF(
                str(urdf),
                basePosition=[0.0, 0.0, _IN_THE_AIR_M],
                flags=bullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=client,
            )
        names = {}
        for k in range(bullet.getNumJoints(self._body, physicsClientId=client)):
            names[bullet.getJointInfo(self._body, k, physicsClientId=client)[1].decode()] = k
        self._joints, self._payload = [names[name] for name in legs.joints], names[PAYLOAD_LINK]
        for k in range(-1, len(names)):
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
            # In a call of its own: beside damping Bullet ignores it. It is multiplied with the ground's.
            bullet.changeDynamics(self._body, k, lateralFriction=1.0, physicsClientId=client)
        for k in range(-1, len(legs.joints)):  # Bullet only prints a warning
            if not all(bullet.getDynamicsInfo(self._body, k, physicsClientId=client)[2]):
                raise ValueError(f"Bullet refused the inertia of body {k + 1}: no rigid body has it")
        # Bullet moves a body by the principal axes of its inertia at its centre of mass.
        centre, axes = bullet.getDynamicsInfo(self._body, -1, physicsClientId=client)[3:5]
        self._principal = pin.SE3(np.array(bullet.getMatrixFromQuaternion(axes)).reshape(3, 3), np.array(centre))
        self._brake = np.zeros(legs.m)
        self._set_friction(np.zeros(legs.m))
        bodies = list(legs.model.inertias)[1:]
        self._weights = GRAVITY_M_S2 * np.array([body.mass for body in bodies])
        self._centres = np.array([body.lever for body in bodies])
        self._frame = np.array([*centre, *axes])
        self._still, self._work = np.zeros(robot.dof), np.zeros((legs.feet, 14))

    def _place(self, q: Array, v: Array) -> None:
        client, body, legs = self._client, self._body, self._legs
        bullet.setCollisionFilterGroupMask(self._ground, -1, *_STATIC, client)
        base, _ = self._stand(q, v)
        bullet.resetBasePositionAndOrientation(body, base[:3], base[3:7], client)
        bullet.resetBaseVelocity(body, base[7:10], base[10:], client)
        self._leg_q, self._leg_v = self._q[: legs.m], self._v[: legs.m]
        angles, speeds = list(zip(self._leg_q.tolist())), list(zip(self._leg_v.tolist()))
        bullet.resetJointStatesMultiDof(body, self._joints, angles, speeds, client)
        self._last_q = self._leg_q
        self._stuck_at: Array | None = None

    def _stand(self, q: Array, v: Array) -> tuple[list[float], Array]:
        """Where Bullet's base is when the feet stand at coordinates `q` (n,), and the joint torques that hold it so."""
        base, torque = np.empty(13), np.empty(self._legs.m)
        self._settle(q, v, self._legs.geometry, self._weights, self._centres, self._frame, self._work, base, torque)
        self._stood = q, torque
        return base.tolist(), torque

    def _holding(self, q: Array) -> Array:
        stood, torque = self._stood
        if stood is not q:  # a start is looked at once
            _, torque = self._stand(q, self._still)
        command: Array = q[: self._legs.m] + torque / self._stiffness
        return command

    def _effort_of(self, command: Array) -> Array:
        effort: Array = self._stiffness * (command - self._encoder()) - self._damping * self._leg_v
        return effort

    def _take(self, effect: Effect) -> None:
        m, n, client, before = self._legs.m, self.robot.dof, self._client, self._effect
        if before is None or effect.payload_kg != before.payload_kg:
            bullet.changeDynamics(
                self._body,
                self._payload,
                mass=max(effect.payload_kg, NO_MASS_KG),
                localInertiaDiagonal=[0.0, 0.0, 0.0],
                physicsClientId=client,
            )
        if before is None or effect.ground_loss != before.ground_loss:
            left = self._ground_friction * max(1.0 - effect.ground_loss, 0.0)
            bullet.changeDynamics(self._ground, -1, lateralFriction=left, physicsClientId=client)
        moment = effect.vector("moment_kgm", 3)
        self._lever = None if not moment.any() else moment / max(effect.payload_kg, NO_MASS_KG)
        self._load_n = GRAVITY_M_S2 * max(effect.payload_kg, NO_MASS_KG)
        self._friction.take(effect)
        self._brake = _BRAKE_NM * effect.vector("brake", n)[:m]
        self._spring, self._ripple = effect.vector("stiffness", n)[:m], effect.vector("ripple", n)[:m]
        self._drags = bool(self._spring.any() or self._ripple.any())
        self._offset, self._factor = effect.vector("offset", n)[:m], 1.0 + effect.vector("scale", n)[:m]
        self._quantum = effect.vector("quantum", n)[:m]
        self._frozen = effect.vector("freeze", n)[:m] > 0.5
        self._reads_true = not any(x.any() for x in (self._offset, self._factor - 1.0, self._quantum, self._frozen))

    def _encoder(self) -> Array:
        """(m,) joint angles [rad] as the drives read them: with the faults of their encoders, at full rate."""
        if self._reads_true:
            return self._leg_q
        reading = self._leg_q * self._factor + self._offset
        if self._quantum.any():
            step = np.where(self._quantum > 0, self._quantum, 1.0)
            reading = np.where(self._quantum > 0, np.round(reading / step) * step, reading)
        if self._frozen.any():
            self._stuck_at = reading if self._stuck_at is None else np.where(self._frozen, self._stuck_at, reading)
            reading = self._stuck_at
        return np.asarray(reading)

    def apply(self, command: Sequence[float]) -> None:
        super().apply(command)
        self._read_trunk()

    def _advance(self, command: list[float], steps: int) -> None:
        due = np.array(command)
        for _ in range(steps):
            self._move(due)

    def _move(self, command: Array) -> None:
        """One physics step under a command (m,)."""
        client, body, joints = self._client, self._body, self._joints
        self._applied = effort = self._drive.step(self._effort_of(command))
        if self._drags:
            effort = effort - self._spring * (self._leg_q - self._home)
            effort -= self._ripple * np.sin(COGGING_PERIODS * self._leg_q)
        self._set_friction(self._leg_v)
        bullet.setJointMotorControlArray(
            body, joints, bullet.TORQUE_CONTROL, forces=effort.tolist(), physicsClientId=client
        )
        if self._lever is not None:
            self._hang_off_centre(self._lever)
        bullet.stepSimulation(client)
        position, velocity, _, _ = zip(*bullet.getJointStates(body, joints, client), strict=True)
        if not -_LOST < sum(velocity) < _LOST:
            raise FloatingPointError("the simulation has diverged")
        self._leg_q, self._leg_v = np.array(position), np.array(velocity)

    def _set_friction(self, v: Array) -> None:
        """Friction of the coming step: as much as it takes to stop, up to its level at speed `v` (m,)."""
        self._rates[: len(v)] = v
        level = self._friction.level(self._rates)[: len(v)] + self._brake
        bullet.setJointMotorControlArray(
            self._body, self._joints, bullet.VELOCITY_CONTROL, forces=level.tolist(), physicsClientId=self._client
        )

    def _hang_off_centre(self, lever: Array) -> None:
        """Move the weight of the load from the payload point to where it hangs, `lever` (3,) away in its link."""
        down = np.array([0.0, 0.0, -self._load_n])
        link = bullet.getLinkState(self._body, self._payload, physicsClientId=self._client)
        at = np.array(link[4])
        turn = np.array(bullet.getMatrixFromQuaternion(link[5])).reshape(3, 3)
        for force, point in ((down, at + turn @ lever), (-down, at)):
            bullet.applyExternalForce(
                self._body, self._payload, force.tolist(), point.tolist(), bullet.WORLD_FRAME, self._client
            )

    def _read_trunk(self) -> None:
        """Bring the state to this tick: angles, the speeds that encoders report, and the rates of a gyroscope.

        An encoder counts steps, so the speed that it reports is the mean over the last control period.
        """
        _, quaternion = bullet.getBasePositionAndOrientation(self._body, self._client)
        _, turn = bullet.getBaseVelocity(self._body, self._client)
        rotation = np.array(bullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3) @ self._principal.rotation.T
        self._q = np.concatenate([self._leg_q, pin.rpy.matrixToRpy(rotation)])
        mean_speed = (self._leg_q - self._last_q) / self.robot.dt_s
        self._v = np.concatenate([mean_speed, rotation.T @ np.array(turn)])
        self._last_q = self._leg_q

    def trunk_position(self) -> Array:
        """(3,) true position of the trunk's origin [m]. For the scorer; no controller or detector may call it."""
        position, quaternion = bullet.getBasePositionAndOrientation(self._body, self._client)
        rotation = np.array(bullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3) @ self._principal.rotation.T
        return np.asarray(np.array(position) - rotation @ self._principal.translation)
