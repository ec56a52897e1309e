"""Friction slopes: constant, dry and sticking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.rigid_body import Array
from core.robot import Robot
from sim.effect import Effect
from sim.friction import Friction
from sim.kinds import nominal_physics
from sim.physics import Physics


def physics_of(robot: Robot, coulomb: float, stiction: float) -> Physics:
    n = robot.dof
    return replace(
        nominal_physics(robot), viscous=np.full(n, 0.5), coulomb=np.full(n, coulomb), stiction=np.full(n, stiction)
    )


def torque(friction: Friction, v: float) -> float:
    speed: Array = np.full(7, v)
    return float((friction.slope(speed) * speed)[0])


def test_a_joint_without_dry_friction_has_one_slope_at_every_speed(iiwa: Robot) -> None:
    friction = Friction(physics_of(iiwa, 0.0, 0.0))
    assert friction.is_constant
    assert friction.slope(np.zeros(7)).tolist() == friction.slope(np.full(7, 3.0)).tolist() == [0.5] * 7


def test_dry_friction_is_coulombs_level_in_motion_and_the_breakaway_level_near_rest(iiwa: Robot) -> None:
    friction = Friction(physics_of(iiwa, 2.0, 3.0))
    assert abs(torque(friction, 2.0) - (0.5 * 2.0 + 2.0)) < 1e-4
    peak = max(torque(friction, v) for v in np.geomspace(1e-3, 0.2, 300))
    assert 2.4 < peak < 3.0
    assert torque(friction, 0.0) == 0.0


def test_a_fault_adds_to_the_robots_own_friction(iiwa: Robot) -> None:
    friction = Friction(physics_of(iiwa, 2.0, 2.0))
    before = torque(friction, 1.0)
    friction.take(Effect(viscous=(1.5,) * 7, coulomb=(0.7,) * 7))
    assert abs(torque(friction, 1.0) - before - 2.2) < 1e-3
    friction.take(Effect())
    assert torque(friction, 1.0) == before


@given(v=st.floats(-20.0, 20.0), coulomb=st.floats(0.0, 50.0), excess=st.floats(0.0, 50.0))
def test_friction_always_brakes(iiwa: Robot, v: float, coulomb: float, excess: float) -> None:
    friction = Friction(physics_of(iiwa, coulomb, coulomb + excess))
    slope = friction.slope(np.full(7, v))
    assert np.all(np.isfinite(slope))
    assert np.all(slope >= 0.5)
