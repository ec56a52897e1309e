"""Keep a pole upright and the cart where it is: state feedback alone, no model, no memory."""


def control(q, qd, q_ref, cart_kp, cart_kd, pole_kp, pole_kd, lean_limit, tau):
    lean = clip(cart_kp * (q_ref[0] - q[0]) - cart_kd * qd[0], -lean_limit, lean_limit)
    tau[0] = pole_kp * (q[1] - lean) + pole_kd * qd[1]
