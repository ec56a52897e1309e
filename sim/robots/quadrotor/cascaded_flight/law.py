"""Cascaded flight control: position asks for a force, force for an attitude, attitude for body rates, rates for a moment.

The attitude error is a rotation vector in the body frame, so nothing assumes small angles. Load, weak rotors, wind, a
shifted centre of mass, slow motors and sensor offsets have terms of their own; at their nominal values they vanish.
"""


def control(
    dt, q, qd, tau_meas, q_ref, qd_ref, qdd_ref,
    kp, kd, ki, k_attitude, k_rate, windup, tilt_limit, thrust_limit, response, arm, drag_ratio, moments, drag, body,
    mass, moment, gain, wind, motor_lag, sensor_offset, rate_offset,
    integral, x, v, force, turn, torque, rotor, thrust
):
    for i in range(6):
        x[i] = q[i] - sensor_offset[i]
        v[i] = qd[i] - rate_offset[i]
    # what the position needs: a force in the world frame
    total = body + mass
    for i in range(3):
        error = q_ref[i] - x[i]
        integral[i] = clip(integral[i] + error * dt, -windup[i], windup[i])
        acceleration = qdd_ref[i] + kd[i] * (qd_ref[i] - v[i]) + kp[i] * error + ki[i] * integral[i]
        force[i] = total * acceleration + drag[i] * qd_ref[i] - wind[i]
    up = clip(force[2] + 9.81 * total, 3.0 * total, 18.0 * total)
    # too large a tilt is scaled down in its own direction: height comes before place
    level = sqrt(force[0] * force[0] + force[1] * force[1])
    share = min(1.0, up * tan(tilt_limit) / max(level, 0.000001))
    # the same force in the body frame; roll, pitch and yaw turn about x, then y, then z
    cr = cos(x[3])
    sr = sin(x[3])
    cp = cos(x[4])
    sp = sin(x[4])
    cy = cos(x[5])
    sy = sin(x[5])
    ahead = share * (cy * force[0] + sy * force[1])
    left = share * (cy * force[1] - sy * force[0])
    rise = sp * ahead + cp * up
    bx = cp * ahead - sp * up
    by = cr * left + sr * rise
    bz = cr * rise - sr * left
    # the smallest turn that brings the thrust axis onto the force, and the turn in heading
    side = sqrt(bx * bx + by * by)
    angle = atan2(side, bz) / max(side, 0.000001)
    heading = atan2(sin(q_ref[5] - x[5]), cos(q_ref[5] - x[5]))
    integral[3] = clip(integral[3] + heading * dt, -windup[3], windup[3])
    turn[0] = -by * angle - sp * heading
    turn[1] = bx * angle + sr * cp * heading
    turn[2] = cr * cp * heading
    for i in range(3):
        rate = qd_ref[3 + i] + k_attitude[i] * turn[i]
        torque[i] = moments[i] * (qdd_ref[3 + i] + k_rate[i] * (rate - v[3 + i]))
    torque[2] += moments[2] * ki[3] * integral[3]
    torque[0] += (moments[2] - moments[1]) * v[4] * v[5]
    torque[1] += (moments[0] - moments[2]) * v[5] * v[3]
    torque[2] += (moments[1] - moments[0]) * v[3] * v[4]
    lift = max(0.25 * bz, 0.0)
    # thrust acts beside a centre of mass that has moved
    roll = 0.25 * torque[0] / arm + lift * moment[1] / (total * arm)
    pitch = 0.25 * torque[1] / arm - lift * moment[0] / (total * arm)
    # yaw is the weakest and least urgent: it gets the room that roll and pitch leave
    room = max(min(lift, thrust_limit - lift) - abs(roll) - abs(pitch), 0.0)
    yaw = clip(0.25 * torque[2] / drag_ratio, -room, room)
    rotor[0] = lift - roll - pitch - yaw
    rotor[1] = lift - roll + pitch + yaw
    rotor[2] = lift + roll + pitch - yaw
    rotor[3] = lift + roll - pitch + yaw
    for i in range(4):
        wanted = rotor[i] / gain[i]
        # a motor with a lag of `motor_lag` follows within `response` when the command overshoots in proportion
        thrust[i] = clip(wanted + (motor_lag[i] / response - 1.0) * (wanted - tau_meas[i]), 0.0, thrust_limit)
