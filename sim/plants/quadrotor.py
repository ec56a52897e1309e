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

import math
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
_STILL = _AT_CENTRE = (0.0, 0.0, 0.0)
_BODY_AXES = bullet.LINK_FRAME


class Quadrotor(Plant):
    """Coordinates x, y, z, roll, pitch, yaw; four rotors."""

    def _make_drive(self) -> Rotors:
        limits, lag_s = self.robot.limits, constant(self.robot, self.physics, "motor_lag", 1)
        high, low = np.array(limits.effort_high), np.array(limits.effort_low)
        self._rotors = Rotors(high, np.zeros(ROTORS), np.full(ROTORS, lag_s), self.step_s, low, asks_rated=True)
        return self._rotors

    def _load(self) -> None:
        client = self._client
        self._wrenches = rotor_wrenches(self.robot, self.physics)
        mass = loaded(self.robot, self.physics, Effect())
        self._hover: Array = allocation(self.robot, self.physics, mass)[:, 0] * mass.kg * GRAVITY_M_S2
        self._ahead_s = 0.5 * self.step_s
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
        self._drag = self.physics.viscous.tolist()
        self._wind: list[float] = [0.0, 0.0, 0.0]
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
        self._mass_kg = mass.kg
        self._centre: list[float] = mass.centre_m.tolist()
        self._axes: list[list[float]] = axes.T.tolist()  # row: axis of Bullet's frame
        self._off_centre = any(self._centre)
        is_turned = not np.array_equal(axes, np.eye(3))
        self._back: list[float] | None = pin.Quaternion(axes.T).coeffs().tolist() if is_turned else None
        self._principal = axes
        force, torque = self._wrenches[:, :3], self._wrenches[:, 3:]
        torque = (torque - np.cross(mass.centre_m, force)) @ axes
        self._up: list[float] = axes[2].tolist()  # the body's z in Bullet's frame
        # of 1 N of each rotor: thrust, and torque about each axis of Bullet's frame
        self._wrench: list[float] = [*force[:, 2].tolist(), *torque.T.ravel().tolist()]

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
        self._yaw = float(q[5])
        self._state: Array | None = None
        speed, wind = v[:3] @ matrix, np.array(self._wind) @ matrix
        self._feel_air(speed.tolist(), v[3:].tolist(), wind.tolist())

    def _holding(self, q: Array) -> Array:
        return self._hover

    def _take(self, effect: Effect) -> None:
        self._drag = (self.physics.viscous + effect.vector("viscous", self.robot.dof)).tolist()
        self._wind = effect.vector("wind_n", 3).tolist()
        if (effect.payload_kg, effect.moment_kgm) != self._carried:
            self._carry(effect)
        self._place(self._q, self._v)  # the centre of mass may have moved, the body has not
        x, y, z = (wind / self._mass_kg for wind in self._wind)
        bullet.setGravity(x, y, z - GRAVITY_M_S2, physicsClientId=self._client)

    def _feel_air(self, speed: Vector, rates: Vector, wind: Vector) -> None:
        """Drag at `speed` along and `rates` about the body's axes, and the torque of `wind` along them.

        Kept along the axes of Bullet's frame, and the rates too.
        """
        dx, dy, dz, da, db, dc = self._drag
        (x, y, z), (p, q, r) = speed, rates
        x, y, z, a, b, c = -dx * x, -dy * y, -dz * z, -da * p, -db * q, -dc * r
        if self._off_centre:
            (i, j, k), (u, v, w) = self._centre, wind
            u, v, w = x + u, y + v, z + w
            a, b, c = a - j * w + k * v, b - k * u + i * w, c - i * v + j * u
        if self._back is not None:  # Bullet's axes are not the body's
            (ix, iy, iz), (jx, jy, jz), (kx, ky, kz) = self._axes
            x, y, z = ix * x + iy * y + iz * z, jx * x + jy * y + jz * z, kx * x + ky * y + kz * z
            a, b, c = ix * a + iy * b + iz * c, jx * a + jy * b + jz * c, kx * a + ky * b + kz * c
            p, q, r = ix * p + iy * q + iz * r, jx * p + jy * q + jz * r, kx * p + ky * q + kz * r
        self._force, self._torque, self._rates = (x, y, z), (a, b, c), (p, q, r)

    def _advance(self, command: list[float], steps: int) -> None:
        if steps != self._together:
            self._take_together(steps)
        a, b, c, d = self._rotors.push(command, steps)
        wa, wb, wc, wd, xa, xb, xc, xd, ya, yb, yc, yd, za, zb, zc, zd = self._wrench
        (ux, uy, uz), (fx, fy, fz), (tx, ty, tz), (p, q, r) = self._up, self._force, self._torque, self._rates
        lift = wa * a + wb * b + wc * c + wd * d
        fx, fy, fz = fx + lift * ux, fy + lift * uy, fz + lift * uz
        tx += xa * a + xb * b + xc * c + xd * d
        ty += ya * a + yb * b + yc * c + yd * d
        tz += za * a + zb * b + zc * c + zd * d
        half_s = 0.5 * self._span_s
        p, q, r = half_s * p, half_s * q, half_s * r  # the turn until the middle of the time
        force = (fx + q * fz - r * fy, fy + r * fx - p * fz, fz + p * fy - q * fx)
        torque = (tx + q * tz - r * ty, ty + r * tx - p * tz, tz + p * ty - q * tx)
        client, body = self._client, self._body
        bullet.applyExternalForce(body, -1, force, _AT_CENTRE, _BODY_AXES, client)
        bullet.applyExternalTorque(body, -1, torque, _BODY_AXES, client)
        bullet.stepSimulation(client)
        self._read()

    def _read(self) -> None:
        position, turn = bullet.getBasePositionAndOrientation(self._body, self._client)
        velocity, (a, b, c) = bullet.getBaseVelocity(self._body, self._client)
        x, y, z, w = turn if self._back is None else _product(turn, self._back)
        xx, xy, xz = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)
        yx, yy, yz = 2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)
        zx, zy, zz = 2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)
        (px, py, pz), (vx, vy, vz), wind, ahead_s = position, velocity, _STILL, self._ahead_s
        px, py, pz = px - ahead_s * vx, py - ahead_s * vy, pz - ahead_s * vz
        if self._off_centre:
            i, j, k = self._centre
            rx, ry, rz = xx * i + xy * j + xz * k, yx * i + yy * j + yz * k, zx * i + zy * j + zz * k
            px, py, pz = px - rx, py - ry, pz - rz
            vx, vy, vz = vx - b * rz + c * ry, vy - c * rx + a * rz, vz - a * ry + b * rx
            i, j, k = self._wind
            wind = (xx * i + yx * j + zx * k, xy * i + yy * j + zy * k, xz * i + yz * j + zz * k)
        if not abs(vx) + abs(vy) + abs(vz) < _LOST_M_S:
            raise FloatingPointError("the simulation has diverged")
        p, q, r = rates = (xx * a + yx * b + zx * c, xy * a + yy * b + zy * c, xz * a + yz * b + zz * c)
        speed = (xx * vx + yx * vy + zx * vz, xy * vx + yy * vy + zy * vz, xz * vx + yz * vy + zz * vz)
        self._feel_air(speed, rates, wind)
        roll, pitch = math.atan2(zy, zz), math.asin(min(max(-zx, -1.0), 1.0))
        self._yaw += (math.atan2(yx, xx) - self._yaw + math.pi) % (2.0 * math.pi) - math.pi  # it may turn for ever
        state = np.array((px, py, pz, roll, pitch, self._yaw, vx, vy, vz, p, q, r, *self._rotors.said))
        self._q, self._v, self._rotors.measured, self._state = state[:6], state[6:12], state[12:], state

    def _truth(self) -> Array:
        return super()._truth() if self._state is None else self._state

    def _given(self) -> Vector:
        return self._rotors.given(self._rotors.turning)


def _product(p: Sequence[float], q: Sequence[float]) -> tuple[float, float, float, float]:
    """The quaternion (x, y, z, w) that turns by `q` and then by `p`."""
    (a, b, c, d), (x, y, z, w) = p, q
    return (
        d * x + a * w + b * z - c * y,
        d * y - a * z + b * w + c * x,
        d * z + a * y - b * x + c * w,
        d * w - a * x - b * y - c * z,
    )
