"""Quadrotors in free flight: one rigid body under the wrench of four rotors, air drag and wind. Nothing can be hit.

Bullet holds the body by its centre of mass and principal axes, so a load that hangs off-centre is exact. Drag and wind
act at the origin of the body, between the rotors. Drag is that of the velocity at the start of the control period, in
which it changes by a thousandth; wind is a share of gravity, and a torque where the centre of mass lies elsewhere.

All physics steps under one command are taken in one call of Bullet, with one force and one torque: those of the rotors'
mean thrust, along the body's axes as they are half-way, which is of second order. Bullet moves a body with the velocity
at the end of each physics step, so its place is kept half a step ahead (leapfrog; Hairer, Lubich, Wanner, Geometric
Numerical Integration, 2006, I.1.4). What is left is of first order in the physics step: how Bullet turns a body.

Coordinates are those of the body's frame (`sim.airframe`), which is where markers sit, not of the centre of mass. Their
velocities are the velocity in the world and the rates about the body's axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pinocchio as pin

from core.rigid_body import Array
from sim.airframe import ROTORS, allocation, constant, loaded, rotor_wrenches
from sim.bullet import bullet
from sim.effect import Effect
from sim.plant import GRAVITY_M_S2, Plant
from sim.rotors import Rotors

Vector = Sequence[float]

_LOST_M_S = 1e3  # nothing that flies is this fast: the simulation has come apart
_AT_CENTRE = (0.0, 0.0, 0.0)
_BODY_AXES = bullet.LINK_FRAME


class Quadrotor(Plant):
    """Coordinates x, y, z, roll, pitch, yaw; four rotors."""

    def _make_drive(self) -> Rotors:
        limits, lag_s = self.robot.limits, constant(self.robot, self.physics, "motor_lag", 1)
        high, low = np.array(limits.effort_high), np.array(limits.effort_low)
        self._rotors = Rotors(high, np.zeros(ROTORS), np.full(ROTORS, lag_s), self.step_s, low, asks_rated=True)
        return self._rotors

    def _load(self) -> None:
        from sim import flight_step  # noqa: PLC0415 numba takes half a second to import, and only this kind needs it

        client, self._layout = self._client, flight_step
        self._press, self._look, self._feel = flight_step.press, flight_step.read, flight_step.feel_air
        self._craft, self._air = np.zeros(flight_step.CRAFT), np.zeros(flight_step.AIR)
        self._wrenches = rotor_wrenches(self.robot, self.physics)
        mass = loaded(self.robot, self.physics, Effect())
        self._hover: Array = allocation(self.robot, self.physics, mass)[:, 0] * mass.kg * GRAVITY_M_S2
        self._craft[flight_step.AHEAD] = self._ahead_s = 0.5 * self.step_s
        self._body = bullet.createMultiBody(1.0, -1, -1, physicsClientId=client)
        bullet.changeDynamics(
            self._body,
            -1,
            linearDamping=0.0,
            angularDamping=0.0,
            maxJointVelocity=1e4,  # Bullet clamps at 100 rad/s in silence; a divergence should be seen as one
            activationState=bullet.ACTIVATION_STATE_DISABLE_SLEEPING,
            physicsClientId=client,
        )
        self._carry(Effect())

    def _carry(self, effect: Effect) -> None:
        """Make the body in Bullet the robot with the load of `effect`."""
        mass = loaded(self.robot, self.physics, effect)
        moments, axes = np.linalg.eigh(mass.inertia)  # principal axes, in the body's frame
        if np.linalg.det(axes) < 0:
            axes[:, 2] *= -1.0
        bullet.changeDynamics(
            self._body, -1, mass=mass.kg, localInertiaDiagonal=moments.tolist(), physicsClientId=self._client
        )
        if not all(bullet.getDynamicsInfo(self._body, -1, self._client)[2]):  # Bullet only prints a warning
            raise ValueError(f"Bullet refused the inertia of {self.robot.name}: no rigid body has it")
        self._carried = (effect.payload_kg, effect.moment_kgm)
        self._mass_kg, self._centre, self._principal = mass.kg, mass.centre_m, axes
        force, torque = self._wrenches[:, :3], self._wrenches[:, 3:]
        torque = (torque - np.cross(mass.centre_m, force)) @ axes
        craft, at = self._craft, self._layout
        craft[at.WRENCH] = [*force[:, 2], *torque.T.ravel()]
        craft[at.UP], craft[at.CENTRE], craft[at.AXES] = axes[2], mass.centre_m, axes.T.ravel()
        craft[at.BACK] = pin.Quaternion(axes.T).coeffs()

    def _place(self, q: Array, v: Array) -> None:
        matrix = pin.rpy.rpyToMatrix(q[3:])
        turn = pin.Quaternion(matrix @ self._principal).coeffs().tolist()
        arm, (a, b, c) = (matrix @ self._centre).tolist(), (matrix @ v[3:]).tolist()
        (px, py, pz), (vx, vy, vz) = q[:3].tolist(), v[:3].tolist()
        x, y, z = arm
        client, body = self._client, self._body
        vx, vy, vz, ahead_s = vx + b * z - c * y, vy + c * x - a * z, vz + a * y - b * x, self._ahead_s
        centre = (px + x + ahead_s * vx, py + y + ahead_s * vy, pz + z + ahead_s * vz)
        bullet.resetBasePositionAndOrientation(body, centre, turn, client)
        bullet.resetBaseVelocity(body, (vx, vy, vz), (a, b, c), client)
        self._state = np.array([*q, *v, *self._rotors.said])
        speed, wind = v[:3] @ matrix, self._craft[self._layout.WIND] @ matrix
        self._feel(_three(speed), _three(v[3:]), _three(wind), self._craft, self._air)

    def reset(self, q: Array, v: Array | None = None, command: Array | None = None) -> None:
        super().reset(q, v, command)
        self._state[2 * self._n :] = self._rotors.said

    def _holding(self, q: Array) -> Array:
        return self._hover

    def _take(self, effect: Effect) -> None:
        craft, at, wind = self._craft, self._layout, effect.vector("wind_n", 3)
        craft[at.DRAG], craft[at.WIND] = self.physics.viscous + effect.vector("viscous", self._n), wind
        if (effect.payload_kg, effect.moment_kgm) != self._carried:
            self._carry(effect)
        self._place(self._q, self._v)  # the centre of mass may have moved, the body has not
        x, y, z = (wind / self._mass_kg).tolist()
        bullet.setGravity(x, y, z - GRAVITY_M_S2, physicsClientId=self._client)

    def _advance(self, command: list[float], steps: int) -> None:
        if steps != self._together:
            self._take_together(steps)
        client, body = self._client, self._body
        shares, bank = self._rotors.shares(steps), self._rotors.bank
        a, b, c, d = command
        force, torque = self._press(a, b, c, d, 0.5 * self._span_s, shares, bank, self._craft, self._air)
        bullet.applyExternalForce(body, -1, force, _AT_CENTRE, _BODY_AXES, client)
        bullet.applyExternalTorque(body, -1, torque, _BODY_AXES, client)
        bullet.stepSimulation(client)
        self._read()

    def _read(self) -> None:
        place, turn = bullet.getBasePositionAndOrientation(self._body, self._client)
        velocity, spin = bullet.getBaseVelocity(self._body, self._client)
        if not -_LOST_M_S < sum(velocity) < _LOST_M_S:
            raise FloatingPointError("the simulation has diverged")
        state = np.empty(16)
        self._look(place, turn, velocity, spin, self._rotors.bank, self._craft, self._air, self._state, state)
        self._q, self._v, self._state = state[:6], state[6:12], state

    def _truth(self) -> Array:
        return self._state

    def _given(self) -> Vector:
        return self._rotors.given


def _three(vector: Array) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z
