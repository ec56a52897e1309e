"""The rigid-body model of a robot, computed with Pinocchio from its URDF.

    M(q) a + h(q, v) = tau        M = link inertia + rotor inertia,  h = Coriolis + gravity + joint damping

Featherstone, Rigid Body Dynamics Algorithms (2008), eq. 3.5; computed by CRBA and RNEA. The model is what a controller
*believes*; the simulated robot is built elsewhere and differs from it. Not thread safe: one instance per thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pinocchio as pin

from core.errors import BadInput

if TYPE_CHECKING:
    from core.robot import Robot

Array = np.ndarray[Any, np.dtype[np.float64]]

_held: dict[Robot, int] = {}  # robot -> when its URDF was written


def hold(robot: Robot) -> None:
    """From now on take the URDF of `robot` as it is at this moment, without a look at the file.

    For a process that will not be allowed to look any more; a model that it needs has to be made once before.
    """
    _held[robot] = robot.urdf.stat().st_mtime_ns


def _written_ns(robot: Robot) -> int:
    held = _held.get(robot)
    return robot.urdf.stat().st_mtime_ns if held is None else held


@lru_cache(maxsize=16)
def _parsed(robot: Robot, written_ns: int) -> pin.Model:
    """The model of a URDF, as of when it was written: parsing takes fifty times as long as copying."""
    full = pin.buildModelFromUrdf(str(robot.urdf))
    locked = [full.getJointId(name) for name in full.names[1:] if name not in robot.joints]
    model = pin.buildReducedModel(full, locked, pin.neutral(full)) if locked else full
    if list(model.names[1:]) != list(robot.joints):
        raise BadInput(f"{robot.urdf}: list joints from base to tip: {', '.join(model.names[1:])}")
    if not model.existFrame(robot.payload_link, pin.FrameType.BODY):
        raise BadInput(f"{robot.urdf}: has no link '{robot.payload_link}'; correct payload.link in robot.toml")
    return model


class RigidBodyModel:
    """Equations of motion of one robot, optionally with a load at its payload point.

    Args:
        robot: supplies URDF, joint order, rotor inertia, damping and the payload point.
        payload_kg: point mass at the payload point.
    """

    def __init__(self, robot: Robot, payload_kg: float = 0.0) -> None:
        self.model = _parsed(robot, _written_ns(robot)).copy()
        frame = self.model.frames[self.model.getFrameId(robot.payload_link, pin.FrameType.BODY)]
        self._payload_joint = frame.parentJoint
        self._payload_point = frame.placement.act(np.array(robot.payload_point_m))
        self._payload_axes = np.array(frame.placement.rotation)
        self.dof = robot.dof
        self.rotor_inertia = np.array(robot.drive.rotor_inertia)
        self.damping = np.array(robot.limits.damping)
        self._unloaded = self.model.inertias[self._payload_joint].copy()
        self.payload_kg = 0.0
        if payload_kg:
            self.set_payload(payload_kg)
        self.data = self.model.createData()

    def set_payload(self, mass_kg: float, shift_m: Array | None = None) -> None:
        """Replace the load by a point mass of `mass_kg`, `shift_m` (3,) away from the payload point in its link."""
        at = self._payload_point if shift_m is None else self._payload_point + self._payload_axes @ shift_m
        load = pin.Inertia(mass_kg, at, np.zeros((3, 3)))
        # From the bare link each time: a load added and taken off again would leave its rounding behind.
        self.model.inertias[self._payload_joint] = self._unloaded + load if mass_kg else self._unloaded
        self.payload_kg = mass_kg

    def link_inertia(self, q: Array) -> Array:
        """(n, n) joint-space inertia of the links alone [kg*m^2]. The array is reused by the next call."""
        result: Array = pin.crba(self.model, self.data, q)
        return result

    def gravity(self, q: Array) -> Array:
        """(n,) gravity torque [N*m]."""
        result: Array = pin.computeGeneralizedGravity(self.model, self.data, q)
        return result

    def inverse_dynamics(self, q: Array, v: Array, a: Array) -> Array:
        """(n,) torque [N*m] that produces acceleration `a` [rad/s^2] at (q, v), damping and rotors included."""
        result: Array = pin.rnea(self.model, self.data, q, v, a) + self.rotor_inertia * a + self.damping * v
        return result

    def momentum(self, q: Array, v: Array) -> Array:
        """(n,) generalised momentum M(q) v [N*m*s], rotors included."""
        result: Array = pin.crba(self.model, self.data, q) @ v + self.rotor_inertia * v
        return result

    def momentum_rate_bias(self, q: Array, v: Array) -> Array:
        """(n,) C(q, v)^T v - g(q) - damping v [N*m]: what momentum gains per second besides the motor torque.

        Source: De Luca et al., Collision detection and safe reaction with the DLR-III (2006), eq. 9.
        """
        coriolis = pin.computeCoriolisMatrix(self.model, self.data, q, v)
        gravity = pin.computeGeneralizedGravity(self.model, self.data, q)
        result: Array = coriolis.T @ v - gravity - self.damping * v
        return result

    def inertial_regressor(self, q: Array, v: Array, a: Array) -> Array:
        """(n, 10 n) Y with link torque = Y pi, pi the inertial parameters of all links (Atkeson et al. 1986)."""
        result: Array = pin.computeJointTorqueRegressor(self.model, self.data, q, v, a)
        return result

    def inertial_parameters(self) -> Array:
        """(10 n,) mass, first moments and inertia of all links about their joint frames."""
        return np.concatenate([inertia.toDynamicParameters() for inertia in list(self.model.inertias)[1:]])

    def set_inertial_parameters(self, pi: Array) -> None:
        """Replace the inertial parameters of all links, a payload included; masses must be positive."""
        for i in range(self.dof):
            self.model.inertias[i + 1] = pin.Inertia.FromDynamicParameters(pi[10 * i : 10 * (i + 1)])
        self._unloaded = self.model.inertias[self._payload_joint].copy()
        self.payload_kg = 0.0

    def set_weightless(self) -> None:
        """Take all mass off the links, a payload included."""
        for i in range(self.dof):
            self.model.inertias[i + 1] = pin.Inertia.Zero()
        self._unloaded = pin.Inertia.Zero()
        self.payload_kg = 0.0


@lru_cache(maxsize=8)
def load_held_at_home(robot: Robot) -> float:
    """Load [kg] at the payload point that the motors hold at home, at their limits; infinite if none has to hold it."""
    model, home = RigidBodyModel(robot), np.array(robot.home)
    bare = model.gravity(home).copy()
    model.set_payload(1.0)
    per_kg = np.abs(model.gravity(home) - bare)
    driven = [(k, joint) for k, joint in enumerate(robot.drives) if joint is not None and per_kg[joint] > 1e-6]
    held = [(robot.limits.effort[k] - abs(bare[joint])) / per_kg[joint] for k, joint in driven]
    return float(max(0.0, min(held, default=np.inf)))


@lru_cache(maxsize=32)
def weight_about(robot: Robot, joint: int) -> float:
    """The most that gravity asks of a joint while it goes through one turn, or one metre, with the others at home."""
    model, home = RigidBodyModel(robot), np.array(robot.home)
    along = np.eye(robot.dof)[joint]
    return max(abs(float(model.gravity(home + step * along)[joint])) for step in np.linspace(0.0, 2 * np.pi, 73))


class ModelTerms:
    """The model signals of the catalogue for one tick, as plain float lists.

    Only the terms in `names` are computed. The per-kilogram terms come from a second model, which weighs nothing but
    1 kg at its payload point: rigid-body torque is linear in the masses of bodies, so it is what each kilogram adds.
    """

    def __init__(self, robot: Robot, names: Sequence[str]) -> None:
        self._gravity = "gravity" in names
        self._inertia = "inertia" in names
        self._bias = "bias" in names
        self._per_kg = "inertia_per_kg" in names or "bias_per_kg" in names
        self._model = RigidBodyModel(robot)
        self._model.model.armature = self._model.rotor_inertia  # Pinocchio then adds the rotors to the diagonal itself
        self._kilogram = RigidBodyModel(robot)
        self._kilogram.set_weightless()
        self._kilogram.set_payload(1.0)
        self._damping = self._model.damping

    def compute(self, q: list[float], qd: list[float], out: dict[str, Any]) -> None:
        """Write the terms at position `q` [rad] and velocity `qd` [rad/s] into `out`."""
        position, velocity = np.array(q), np.array(qd)
        model, data = self._model.model, self._model.data
        if self._gravity:
            out["gravity"] = pin.computeGeneralizedGravity(model, data, position).tolist()
        if not (self._inertia or self._bias or self._per_kg):
            return
        inertia, bias = pin.crba(model, data, position), pin.nonLinearEffects(model, data, position, velocity)
        if self._per_kg:
            kilogram, its_data = self._kilogram.model, self._kilogram.data
            out["inertia_per_kg"] = pin.crba(kilogram, its_data, position).tolist()
            out["bias_per_kg"] = pin.nonLinearEffects(kilogram, its_data, position, velocity).tolist()
        if self._inertia:
            out["inertia"] = inertia.tolist()
        if self._bias:
            out["bias"] = (bias + self._damping * velocity).tolist()
