"""Brake to standstill: each wheel is damped, more gently than the ground can grip."""


def control(qd, damping, strongest, tau):
    for i in range(2):
        tau[i] = clip(-damping * qd[3 + i], -strongest, strongest)
