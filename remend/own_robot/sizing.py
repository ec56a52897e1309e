"""From a URDF to the numbers that it does not say: drives, sensors, working range, limits, gains.

Every number follows from a stated rule. What a rule can only guess is marked in robot.toml, for the user to check.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.rigid_body import Array
from remend.own_robot.chain import Chain
from remend.own_robot.model import ArmModel, given_rotor_inertia
from remend.own_robot.working_range import HELD, WorkingRange

DELAY_S = 0.004  # bus and current loop of a servo drive; chosen
RUN_UP_S = 0.005  # a drive alone reaches full speed in this time (mechanical time constant of servo motors, 2 to 10 ms)
SPEED_FRACTION = 0.55  # of the speed limit at the fastest point of a task; chosen
BANDWIDTH_RAD_S = 25.0  # of the position loop at 500 Hz and 4 ms delay; chosen on the iiwa
_LAG_SHARE = 0.175  # bandwidth times delay and sampling that keeps the same phase margin at another rate
_PD_STIFFNESS = 0.4  # stiffness over damping of the safety law, in bandwidths; below 1/2 is overdamped
_MOVING_SHARE = 0.2  # of the effort limits that moving may need besides holding
TOLERANCE = 0.04  # of the load that counts as a fault: parts differ; chosen
_ENCODER_STEPS = 2**17  # over a joint's range, or one turn
_PEAK_PER_S2 = 5.77  # largest acceleration of a minimum-jerk move of 1 in 1 s
_PHYSICS_HZ = 1000.0  # the simulation steps at least this fast
_MOST_NOISE, _LEAST_POWER_W = 100.0, 0.1  # the ends of what robot.toml takes
_MADE_UP = 3.0  # a speed limit this many times `_FAST` is no data sheet's
_FAST = (2.0, 10.0)  # m/s and rad/s: faster drives of arms are made up
_MOST_ROTOR = 100.0  # a rule that asks for more than robot.toml takes has met a made-up limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What robot.toml and the laws say beyond the URDF. Lists have one entry per joint, in rad or m by its type."""

    home: Array
    low: Array
    high: Array
    held: float  # largest share of an effort limit that holding needs in the working range
    held_loaded: float  # the same with `load_kg`
    used: float  # largest share of an effort limit that holding the load and moving for a second need
    effort_fraction: float
    load_kg: float
    load_share: float  # largest share of an effort limit that the load alone asks for at rest
    carried_kg: float  # what the motors could hold at home by their limits alone, at most 5 kg
    shrunk: bool  # whether gravity made the working range smaller
    rotor_inertia: Array
    too_fast: tuple[str, ...]  # joints with a speed limit that no arm has
    rotors_given: tuple[bool, ...]  # whether the URDF says it
    position_noise: Array
    velocity_noise: Array
    effort_noise: Array
    command_rate: Array
    lost_error: Array
    power_w: float
    point_m: tuple[float, float, float]
    point_of: str  # frame at that point, "" for the centre of mass
    control_rate_hz: int
    physics_rate_hz: int
    bandwidth: float  # [rad/s]
    kp: Array  # of the safety law
    kd: Array


def size(chain: Chain, model: ArmModel, control_rate_hz: int) -> Sizing:
    """Derive the numbers for an arm at a control rate.

    Raises:
        BadInput: no pose in which the motors can hold the arm.
    """
    speed, effort, slides = chain.each("speed"), chain.each("effort"), chain.slides
    span = chain.each("upper") - chain.each("lower")
    given = given_rotor_inertia(chain)
    rule = np.minimum(RUN_UP_S * effort / np.minimum(speed, np.where(slides, *_FAST)), _MOST_ROTOR)
    rotor = np.array([given.get(joint.name, value) for joint, value in zip(chain.joints, rule, strict=True)])
    work = WorkingRange(chain, model, rotor)
    dt_s = 1.0 / control_rate_hz
    bandwidth = min(BANDWIDTH_RAD_S, _LAG_SHARE / (DELAY_S + 1.5 * dt_s))
    kp, kd = _safety_gains([model.inertia(q) + np.diag(rotor) for q in work.poses], bandwidth)
    inertia = np.max([np.diag(model.inertia(q)) for q in work.poses], axis=0)
    turn = np.minimum(span, 2 * np.pi)
    return Sizing(
        home=work.home,
        low=work.low,
        high=work.high,
        held=work.held,
        held_loaded=work.held_loaded,
        used=work.held_loaded + float(np.max(inertia * _PEAK_PER_S2 * (work.high - work.low) / effort)),
        effort_fraction=min(0.9, max(HELD, work.held) + _MOVING_SHARE),
        load_kg=work.load_kg,
        load_share=max(work.load_share(q) for q in work.poses),
        carried_kg=work.carried_kg,
        shrunk=work.shrunk,
        rotor_inertia=rotor,
        too_fast=tuple(joint.name for joint in chain.joints if joint.speed > _MADE_UP * _FAST[joint.unit != "m"]),
        rotors_given=tuple(joint.name in given for joint in chain.joints),
        position_noise=turn / _ENCODER_STEPS,
        velocity_noise=1e-3 * np.minimum(speed, 2.0),
        effort_noise=np.minimum(2e-3 * effort, _MOST_NOISE),
        command_rate=100.0 * effort,
        lost_error=np.minimum(1.0, 0.3 * span),
        power_w=max(float(0.3 * np.sum(effort * speed)), _LEAST_POWER_W),
        point_m=model.point_m,
        point_of=model.point_of,
        control_rate_hz=control_rate_hz,
        physics_rate_hz=control_rate_hz * max(1, int(np.ceil(_PHYSICS_HZ / control_rate_hz))),
        bandwidth=bandwidth,
        kp=kp,
        kd=kd,
    )


def _safety_gains(inertias: list[Array], bandwidth: float) -> tuple[Array, Array]:
    """Stiffness and damping of independent joint PD control that is stable in every pose.

    A joint whose neighbours give way answers with 1 / (M^-1)_ii, which nearly collinear axes make far smaller than
    M_ii; the smallest over the poses is safe. Coupling can still make one direction faster than any joint, so all are
    scaled by the fastest eigenvalue of M^-1 D over the poses.
    """
    inverses = [np.linalg.inv(M) for M in inertias]
    effective = np.min([1.0 / np.diag(inverse) for inverse in inverses], axis=0)
    rate = 2.0 * bandwidth  # critical damping
    fastest = max(float(np.max(np.abs(np.linalg.eigvals(inverse * effective)))) for inverse in inverses)
    kd = rate * effective / max(1.0, fastest)
    return _PD_STIFFNESS * bandwidth * kd, kd
