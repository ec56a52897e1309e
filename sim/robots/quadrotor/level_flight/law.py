"""Brake to a standstill in the air: level attitude, held altitude, and no more tilt than it takes to stop drifting.

It never asks where the robot is in the plane, so it works when that is what went wrong.
"""


def control(
    q, qd, q_ref, kp, kd, brake, k_attitude, k_rate, tilt_limit, arm, drag_ratio, moments, body, torque, thrust
):
    # tilt against the drift, as seen from the body
    cy = cos(q[5])
    sy = sin(q[5])
    ahead = cy * qd[0] + sy * qd[1]
    left = cy * qd[1] - sy * qd[0]
    roll = clip(brake * left, -tilt_limit, tilt_limit)
    pitch = clip(-brake * ahead, -tilt_limit, tilt_limit)
    torque[0] = moments[0] * k_rate[0] * (k_attitude * (roll - q[3]) - qd[3])
    torque[1] = moments[1] * k_rate[1] * (k_attitude * (pitch - q[4]) - qd[4])
    torque[2] = -moments[2] * k_rate[2] * qd[5]
    acceleration = clip(kp * (q_ref[2] - q[2]) - kd * qd[2], -4.0, 4.0)
    lift = 0.25 * body * (9.81 + acceleration) / max(cos(q[3]) * cos(q[4]), 0.5)
    x = 0.25 * torque[0] / arm
    y = 0.25 * torque[1] / arm
    z = clip(0.25 * torque[2] / drag_ratio, -0.1 * lift, 0.1 * lift)
    thrust[0] = lift - x - y - z
    thrust[1] = lift - x + y + z
    thrust[2] = lift + x + y - z
    thrust[3] = lift + x - y + z
    for i in range(4):
        thrust[i] = max(thrust[i], 0.0)
