"""Computed torque: the nominal model cancels the arm's dynamics, and the error behaves like a mass, spring and damper.

Payload, friction, weak actuators and encoder offsets have terms of their own; at their nominal values they vanish.
"""


def control(
    q, qd, q_ref, qd_ref, qdd_ref, inertia, bias, inertia_per_kg, bias_per_kg,
    kp, kd, mass, viscous, coulomb, gain, encoder_offset, acc, tau
):
    for i in range(2):
        error = q_ref[i] - (q[i] - encoder_offset[i])
        acc[i] = qdd_ref[i] + kd[i] * (qd_ref[i] - qd[i]) + kp[i] * error
    for i in range(2):
        # 0.02 rad/s smooths the step of Coulomb friction, so that a standing joint does not chatter
        torque = bias[i] + mass * bias_per_kg[i] + viscous[i] * qd_ref[i] + coulomb[i] * tanh(qd_ref[i] / 0.02)
        for j in range(2):
            torque += (inertia[i][j] + mass * inertia_per_kg[i][j]) * acc[j]
        tau[i] = torque / gain[i]
