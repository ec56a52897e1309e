"""Hold every joint where it is, with the sag that the weight of a standing robot causes in its drives."""


def control(q_ref, sag, q_cmd):
    for i in range(12):
        q_cmd[i] = q_ref[i] + sag[i]
