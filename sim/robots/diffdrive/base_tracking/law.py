"""Trajectory tracking of a base with two driven wheels: pose errors correct speed and yaw rate, torque follows a model.

Errors along and across the path and in heading become a speed and a yaw rate (Samson 1993), these wheel speeds. The
model of the base feeds the torque of the motion forward; wheel encoders and gyroscope close the loop. Load, wheel
radius, slip, friction, weak motors and sensor offsets have terms of their own; at their nominal values they vanish.
"""


def control(
    q, qd, q_ref, qd_ref, qdd_ref, k_along, k_across, k_heading, k_wheel, k_rate,
    mass, wheel_radius, slip, viscous, coulomb, gain, sensor_offset, rate_offset, side, tau
):
    # The base: mass [kg], first moment ahead of the axle [kg*m], yaw inertia about its middle [kg*m^2], half the track
    # [m], spin inertia of a wheel with its motor [kg*m^2]. The load stands 0.08 m behind the axle.
    total = 9.0 + mass
    moment = -0.375 - 0.08 * mass
    inertia = 0.2038 + 0.0064 * mass
    half = 0.1655
    spin = 0.0136

    yaw = q[2] - sensor_offset[2]
    away_x = q_ref[0] - (q[0] - sensor_offset[0])
    away_y = q_ref[1] - (q[1] - sensor_offset[1])
    along = cos(yaw) * away_x + sin(yaw) * away_y
    across = cos(yaw) * away_y - sin(yaw) * away_x
    heading = atan2(sin(q_ref[2] - yaw), cos(q_ref[2] - yaw))

    v_ref = cos(q_ref[2]) * qd_ref[0] + sin(q_ref[2]) * qd_ref[1]
    a_ref = cos(q_ref[2]) * qdd_ref[0] + sin(q_ref[2]) * qdd_ref[1]
    v = v_ref * cos(heading) + k_along * along
    w = qd_ref[2] + k_across * v_ref * across + k_heading * heading

    force = total * a_ref - moment * w * w
    turning = inertia * (qdd_ref[2] + k_rate * (w - (qd[2] - rate_offset[2]))) + moment * v * w
    side[0] = -1.0
    side[1] = 1.0
    for i in range(2):
        rolling = wheel_radius[i] * (1.0 - slip[i])
        speed = (v + side[i] * half * w) / rolling
        spinning = spin * (a_ref + side[i] * half * qdd_ref[2]) / rolling
        traction = 0.5 * wheel_radius[i] * (force + side[i] * turning / half)
        # 0.2 rad/s smooths the step of Coulomb friction, so that a standing wheel does not chatter
        friction = viscous[i] * speed + coulomb[i] * tanh(speed / 0.2)
        feedback = k_wheel * (speed - (qd[3 + i] - rate_offset[3 + i]))
        tau[i] = (traction + spinning + friction + feedback) / gain[i]
