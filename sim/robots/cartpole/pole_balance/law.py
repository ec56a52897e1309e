"""Balance a pole on a cart while the cart follows its reference.

The pole leans to where the cart has to go, and the cart accelerates to where the pole has to lean: an outer loop from
cart to lean, an inner one from lean to acceleration. The model turns acceleration into force (collocated partial
feedback linearisation, Spong 1994). Load, friction, weak motor and crooked encoders have terms of their own.
"""


def control(
    dt, q, qd, q_ref, qd_ref, qdd_ref,
    cart_kp, cart_kd, cart_ki, pole_kp, pole_kd, rate_filter, lean_limit, windup,
    total_mass, pole_moment, pole_inertia, damping, load_height,
    mass, viscous, coulomb, gain, encoder_offset, integral, pole_rate, tau
):
    cart = q[0] - encoder_offset[0]
    pole = q[1] - encoder_offset[1]
    error = q_ref[0] - cart

    pole_rate[0] += (qd[1] - pole_rate[0]) * dt / (dt + rate_filter)

    # extra lean that brings the cart back; at its limit the integral may only unwind
    wish = cart_kp * error + cart_kd * (qd_ref[0] - qd[0]) + integral[0]
    lean = clip(wish, -lean_limit, lean_limit)
    if lean == wish or wish * error < 0.0:
        integral[0] = clip(integral[0] + cart_ki * error * dt, -windup, windup)

    moving = total_mass + mass
    moment = pole_moment + mass * load_height
    inertia = pole_inertia + mass * load_height * load_height

    # angular acceleration that the pole should have beyond its reference; the cart gives it by moving under the pole
    turn = pole_kp * (q_ref[1] + lean - pole) + pole_kd * (qd_ref[1] - pole_rate[0])
    turn += (viscous[1] * qd[1] + coulomb[1] * tanh(qd[1] / 0.05)) / inertia
    acceleration = qdd_ref[0] - turn * inertia / moment

    c = cos(pole)
    s = sin(pole)
    push = (moving - moment * moment * c * c / inertia) * acceleration
    push += moment * moment * 9.81 * s * c / inertia - moment * s * qd[1] * qd[1]
    # friction by the measured speed: what it takes away is the very feedback that keeps the pole up
    # 0.02 m/s smooths the step of Coulomb friction, so that a standing cart does not chatter
    push += (damping + viscous[0]) * qd[0] + coulomb[0] * tanh(qd[0] / 0.02)
    tau[0] = push / gain[0]
