"""Quadrotors in free flight: one rigid body under the wrench of four rotors, air drag and wind. Nothing can be hit.

Bullet holds the body by its centre of mass and principal axes, so a load that hangs off-centre is exact. The rotors'
wrench is applied in that frame once per physics step. Drag and wind act at the origin of the body, between the rotors.
Drag is that of the velocity at the start of the control period, in which it changes by a thousandth; wind is a share of
gravity, and a torque where the centre of mass lies elsewhere.

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
from sim.rotors import Rotors, four

Vector = Sequence[float]

_LOST_M_S = 1e3  # nothing that flies is this fast: the simulation has come apart
_AT_CENTRE, _BODY_AXES = (0.0, 0.0, 0.0), bullet.LINK_FRAME
apply_force, apply_torque, step = bullet.applyExternalForce, bullet.applyExternalTorque, bullet.stepSimulation


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
        bullet.resetBasePositionAndOrientation(body, (px + x, py + y, pz + z), turn, client)
        bullet.resetBaseVelocity(body, (vx + b * z - c * y, vy + c * x - a * z, vz + a * y - b * x), (a, b, c), client)
        self._yaw = float(q[5])
        self._feel_air((v[:3] @ matrix).tolist(), v[3:].tolist(), (np.array(self._wind) @ matrix).tolist())

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
        """Drag at `speed` along and `rates` about the body's axes, and the torque of `wind` along them."""
        dx, dy, dz, da, db, dc = self._drag
        (x, y, z), (a, b, c) = speed, rates
        x, y, z, a, b, c = -dx * x, -dy * y, -dz * z, -da * a, -db * b, -dc * c
        if self._off_centre:
            (i, j, k), (u, v, w) = self._centre, wind
            u, v, w = x + u, y + v, z + w
            a, b, c = a - j * w + k * v, b - k * u + i * w, c - i * v + j * u
        if self._back is not None:  # Bullet's axes are not the body's
            (ix, iy, iz), (jx, jy, jz), (kx, ky, kz) = self._axes
            x, y, z = ix * x + iy * y + iz * z, jx * x + jy * y + jz * z, kx * x + ky * y + kz * z
            a, b, c = ix * a + iy * b + iz * c, jx * a + jy * b + jz * c, kx * a + ky * b + kz * c
        self._force, self._torque = (x, y, z), (a, b, c)

    def _advance(self, command: Array) -> None:
        self._fly((command,))

    def _pass_period(self) -> None:
        due = self._path.due
        self._fly([due(substep) for substep in range(self.physics.substeps)])

    def _fly(self, commands: Sequence[Array]) -> None:
        """One physics step under each command; the state is read once, for reading costs more than stepping."""
        client, body, rotors = self._client, self._body, self._rotors
        (p, q, r, s), plain, push = rotors.rates, rotors.is_plain, rotors.push
        wa, wb, wc, wd, xa, xb, xc, xd, ya, yb, yc, yd, za, zb, zc, zd = self._wrench
        (ux, uy, uz), (fx, fy, fz), (tx, ty, tz) = self._up, self._force, self._torque
        command, (a, b, c, d) = None, rotors.turning
        for due in commands:
            if due is not command:  # mostly the same one
                command, asked = due, four(due)
                e, f, g, h = asked
            if plain:  # as `push` would; the call costs as much as its arithmetic
                a, b, c, d = a + p * (e - a), b + q * (f - b), c + r * (g - c), d + s * (h - d)
            else:
                a, b, c, d = push(asked)
            lift = wa * a + wb * b + wc * c + wd * d
            apply_force(body, -1, (lift * ux + fx, lift * uy + fy, lift * uz + fz), _AT_CENTRE, _BODY_AXES, client)
            torque = (
                xa * a + xb * b + xc * c + xd * d + tx,
                ya * a + yb * b + yc * c + yd * d + ty,
                za * a + zb * b + zc * c + zd * d + tz,
            )
            apply_torque(body, -1, torque, _BODY_AXES, client)
            step(client)
        self._applied = np.array((a, b, c, d))
        if plain:
            rotors.turning = rotors.said = (a, b, c, d)
        rotors.measured = np.array(rotors.said)
        self._read()

    def _read(self) -> None:
        position, turn = bullet.getBasePositionAndOrientation(self._body, self._client)
        velocity, (a, b, c) = bullet.getBaseVelocity(self._body, self._client)
        x, y, z, w = turn if self._back is None else _product(turn, self._back)
        xx, xy, xz = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)
        yx, yy, yz = 2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)
        zx, zy, zz = 2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)
        if self._off_centre:
            i, j, k = self._centre
            rx, ry, rz = xx * i + xy * j + xz * k, yx * i + yy * j + yz * k, zx * i + zy * j + zz * k
            (px, py, pz), (vx, vy, vz) = position, velocity
            position = (px - rx, py - ry, pz - rz)
            velocity = (vx - b * rz + c * ry, vy - c * rx + a * rz, vz - a * ry + b * rx)
        vx, vy, vz = velocity
        if not abs(vx) + abs(vy) + abs(vz) < _LOST_M_S:
            raise FloatingPointError("the simulation has diverged")
        rates = (xx * a + yx * b + zx * c, xy * a + yy * b + zy * c, xz * a + yz * b + zz * c)
        speed = (xx * vx + yx * vy + zx * vz, xy * vx + yy * vy + zy * vz, xz * vx + yz * vy + zz * vz)
        i, j, k = self._wind
        wind = (xx * i + yx * j + zx * k, xy * i + yy * j + zy * k, xz * i + yz * j + zz * k)
        self._feel_air(speed, rates, wind)
        pitch = math.asin(min(max(-zx, -1.0), 1.0))
        self._yaw += (math.atan2(yx, xx) - self._yaw + math.pi) % (2.0 * math.pi) - math.pi  # it may turn for ever
        self._q = np.array((*position, math.atan2(zy, zz), pitch, self._yaw))
        self._v = np.array((*velocity, *rates))


def _product(p: Sequence[float], q: Sequence[float]) -> tuple[float, float, float, float]:
    """The quaternion (x, y, z, w) that turns by `q` and then by `p`."""
    (a, b, c, d), (x, y, z, w) = p, q
    return (
        d * x + a * w + b * z - c * y,
        d * y - a * z + b * w + c * x,
        d * z + a * y - b * x + c * w,
        d * w - a * x - b * y - c * z,
    )
