"""Arms, cartpoles and other trees of joints on a fixed base, free of contact.

Rotor inertia and friction act with the acceleration of the *coming* step, so they cannot blow up however large friction
is against inertia:

    (M + B + dt D) a = tau - h - D v                 predicted by the articulated-body algorithm with armature B + dt D
    torque in Bullet = tau - D v - (B + dt D) a

with M, h of the links, B the rotor inertia and D the friction slope (`sim.friction`). Bullet integrates the links.
A joint that leans on its stop does not move, which the prediction for the others has to know.
The torque is found once for as many steps as the nominal robot takes in a control period, and dt is their length:
asking Bullet costs more than a step of it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pinocchio as pin

from core.rigid_body import Array, RigidBodyModel
from sim.body import NO_MASS_KG, PAYLOAD_LINK, write_body
from sim.bullet import bullet
from sim.effect import Effect
from sim.friction import Friction
from sim.plant import Plant

COGGING_PERIODS = 12.0  # of torque ripple, per turn of the joint
_STOP = 1e-5  # rad or m from its stop at which a joint stands on it
_HELD = 1e9  # armature of a joint that its stop holds [kg*m^2 or kg]
_LOST = 1e6  # a sum of joint speeds beyond this is a simulation that has come apart


class FixedBase(Plant):
    """A tree of revolute and prismatic joints, some of them possibly without a drive."""

    def _load(self) -> None:
        robot, client = self.robot, self._client
        self._model, self._bare = RigidBodyModel(robot), RigidBodyModel(robot)
        for model in (self._model, self._bare):  # the second one is Bullet's body, load and friction aside
            model.set_inertial_parameters(self.physics.inertials)
        self._pin, self._data = self._model.model, self._model.model.createData()
        self._rotor = self._model.rotor_inertia
        self._friction = Friction(self.physics)
        driven = [joint for joint in robot.drives if joint is not None]
        self._driven = None if driven == list(range(robot.dof)) else np.array(driven)
        self._home = np.array(robot.home)
        lower, upper = np.array(robot.limits.lower), np.array(robot.limits.upper)
        self._middle, self._reach = 0.5 * (lower + upper), 0.5 * (upper - lower) - _STOP
        with tempfile.TemporaryDirectory(prefix="remend-body-") as folder:
            urdf = write_body(Path(folder), robot, self.physics.inertials)
            # Without USE_INERTIA_FROM_FILE Bullet makes inertia up from collision shapes, of which there are none.
            self._body = bullet.loadURDF(
                str(urdf), useFixedBase=True, flags=bullet.URDF_USE_INERTIA_FROM_FILE, physicsClientId=client
            )
        names = {}
        for k in range(bullet.getNumJoints(self._body, physicsClientId=client)):
            names[bullet.getJointInfo(self._body, k, physicsClientId=client)[1].decode()] = k
        self._joints = [names[name] for name in robot.joints]
        self._payload = names[PAYLOAD_LINK]
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
        for name, k in zip(robot.joints, self._joints, strict=True):  # Bullet only prints a warning
            if not all(bullet.getDynamicsInfo(self._body, k, physicsClientId=client)[2]):
                raise ValueError(f"Bullet refused the inertia of the link behind {name}: no rigid body has it")
        # Bullet starts with velocity motors that brake every joint.
        bullet.setJointMotorControlArray(
            self._body, self._joints, bullet.VELOCITY_CONTROL, forces=[0.0] * robot.dof, physicsClientId=client
        )

    def _place(self, q: Array, v: Array) -> None:
        client, body, place = self._client, self._body, bullet.resetJointState
        for joint, position, velocity in zip(self._joints, q.tolist(), v.tolist(), strict=True):
            place(body, joint, position, velocity, client)

    def _holding(self, q: Array) -> Array:
        gravity = pin.computeGeneralizedGravity(self._pin, self._data, q)
        return np.array(gravity) if self._driven is None else np.array(gravity[self._driven])

    def _take(self, effect: Effect) -> None:
        n, before = self.robot.dof, self._effect
        moment = effect.vector("moment_kgm", 3)
        if before is None or (effect.payload_kg, effect.moment_kgm) != (before.payload_kg, before.moment_kgm):
            payload_kg = max(effect.payload_kg, NO_MASS_KG)
            self._model.set_payload(payload_kg, moment / payload_kg)
            self._bare.set_payload(payload_kg)
            bullet.changeDynamics(
                self._body,
                self._payload,
                mass=payload_kg,
                localInertiaDiagonal=[0.0, 0.0, 0.0],
                physicsClientId=self._client,
            )
        self._off_centre = bool(moment.any())
        self._friction.take(effect)
        self._stiffness, self._ripple = effect.vector("stiffness", n), effect.vector("ripple", n)
        self._drags = bool(self._stiffness.any() or self._ripple.any())
        self._most_together = self.robot.substeps if self._drive.is_prompt and not self._drags else 1
        self._set_armature(self._friction.slope(self._v))

    def _set_armature(self, slope: Array) -> None:
        self._armature = self._rotor + self._span_s * slope
        self._pin.armature = self._armature

    def _advance(self, command: list[float], steps: int) -> None:
        due = np.array(command)
        while steps:
            together = min(steps, self._most_together)
            if together != self._together:
                self._take_together(together)
                self._set_armature(self._friction.slope(self._v))
            self._move(due)
            steps -= together

    def _move(self, command: Array) -> None:
        """As many physics steps as are taken together, under one command (m,) and one torque."""
        q, v = self._q, self._v
        self._applied = effort = self._drive.step(command)
        if self._driven is not None:
            effort = np.zeros(len(q))
            effort[self._driven] = self._applied
        if self._drags:
            effort = effort - self._stiffness * (q - self._home) - self._ripple * np.sin(COGGING_PERIODS * q)
        slope = self._friction.slope(v)
        if not self._friction.is_constant:
            self._set_armature(slope)
        net = effort - slope * v
        acceleration = pin.aba(self._pin, self._data, q, v, net)
        if (abs(q - self._middle) > self._reach).any():
            acceleration = self._held(q, v, net, acceleration)
        torque = net - self._armature * acceleration
        if self._off_centre:  # Bullet carries the load at its point; the torque makes up the difference
            torque = pin.rnea(self._bare.model, self._bare.data, q, v, acceleration)
        client, body, joints = self._client, self._body, self._joints
        bullet.setJointMotorControlArray(
            body, joints, bullet.TORQUE_CONTROL, forces=torque.tolist(), physicsClientId=client
        )
        bullet.stepSimulation(client)
        position, velocity, _, _ = zip(*bullet.getJointStates(body, joints, client), strict=False)
        if not -_LOST < sum(velocity) < _LOST:
            raise FloatingPointError("the simulation has diverged")
        self._q, self._v = np.array(position), np.array(velocity)

    def _held(self, q: Array, v: Array, net: Array, free: Array) -> Array:
        """(n,) accelerations where stops hold the joints that would go beyond them with those of `free` (n,)."""
        away = q - self._middle
        pushed = (np.abs(away) > self._reach) & (away * free > 0)
        if not pushed.any():
            return free
        self._pin.armature = np.where(pushed, _HELD, self._armature)
        held = np.array(pin.aba(self._pin, self._data, q, v, net))
        self._pin.armature = self._armature
        return held
