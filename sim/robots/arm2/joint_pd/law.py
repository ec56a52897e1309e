"""PD control of every joint, with the gravity torque of the nominal model fed forward."""


def control(q, qd, q_ref, qd_ref, gravity, kp, kd, tau):
    for i in range(2):
        tau[i] = kp[i] * (q_ref[i] - q[i]) + kd[i] * (qd_ref[i] - qd[i]) + gravity[i]
