"""Legs that carry: position drives get the reference plus the sag that the weight on each foot would cause.

The feet that stand are the lowest ones of the reference. They share the weight so that its moments about the centre of
mass vanish, or turn the trunk back to its reference attitude; each leg's share becomes joint torque (transposed
Jacobian), and torque becomes angle through the stiffness of the drives. Load, friction, weak motors and sensor offsets
have terms of their own; at their nominal values they vanish. Legs run FL, FR, RL, RR.
"""


def control(
    q, qd, q_ref, qd_ref, qdd_ref,
    kp, kd, attitude_kp, attitude_kd, lead, drive_kp, drive_kd, hip_inertia,
    mass, moment, viscous, coulomb, gain, encoder_offset,
    lateral, height, thigh_x, thigh_w, calf_x, calf_w, shank_x, shank_w, share, foot_x, foot_y, tau, q_cmd
):
    # axes of the level world in the trunk's frame
    sr = sin(q_ref[12])
    cr = cos(q_ref[12])
    sp = sin(q_ref[13])
    cp = cos(q_ref[13])
    up_x = -sp
    up_y = cp * sr
    up_z = cp * cr
    # first moments of all masses about the trunk's origin; those of the four hips cancel
    weight = 4.713 + mass + 4.0 * (0.696 + 1.013 + 0.226)
    mx = 4.713 * 0.012731 + moment[0]
    my = 4.713 * 0.002186 + moment[1]
    mz = 4.713 * 0.000515 + mass * 0.08 + moment[2]
    for f in range(2):
        for s in range(2):
            front = 1.0 if f < 1 else -1.0
            left = 1.0 if s < 1 else -1.0
            sh = sin(q_ref[6 * f + 3 * s])
            ch = cos(q_ref[6 * f + 3 * s])
            st = sin(q_ref[6 * f + 3 * s + 1])
            ct = cos(q_ref[6 * f + 3 * s + 1])
            sk = sin(q_ref[6 * f + 3 * s + 1] + q_ref[6 * f + 3 * s + 2])
            ck = cos(q_ref[6 * f + 3 * s + 1] + q_ref[6 * f + 3 * s + 2])
            # forward and downward from the hip, in the plane of the leg: mass centres of thigh and calf, knee to foot
            thigh_x[2 * f + s] = -0.003237 * ct - 0.027326 * st
            thigh_w[2 * f + s] = -0.003237 * st + 0.027326 * ct
            calf_x[2 * f + s] = 0.0047267 * ck - 0.1319752 * sk
            calf_w[2 * f + s] = 0.0047267 * sk + 0.1319752 * ck
            shank_x[2 * f + s] = -0.2 * sk
            shank_w[2 * f + s] = 0.2 * ck
            x = -0.2 * st + shank_x[2 * f + s]
            w = 0.2 * ct + shank_w[2 * f + s]
            lateral[2 * f + s] = 0.08505 * left
            foot_x[2 * f + s] = 0.183 * front + x
            foot_y[2 * f + s] = 0.047 * left + lateral[2 * f + s] * ch + w * sh
            foot_z = lateral[2 * f + s] * sh - w * ch
            height[2 * f + s] = up_x * foot_x[2 * f + s] + up_y * foot_y[2 * f + s] + up_z * foot_z
            thigh_lateral = 0.062723 * left
            cx = -0.2 * st + calf_x[2 * f + s]
            cw = 0.2 * ct + calf_w[2 * f + s]
            mx += 1.013 * (0.183 * front + thigh_x[2 * f + s]) + 0.226 * (0.183 * front + cx)
            my += 1.013 * (0.047 * left + thigh_lateral * ch + thigh_w[2 * f + s] * sh)
            my += 0.226 * (0.047 * left + lateral[2 * f + s] * ch + cw * sh)
            mz += 1.013 * (thigh_lateral * sh - thigh_w[2 * f + s] * ch)
            mz += 0.226 * (lateral[2 * f + s] * sh - cw * ch)
            # level coordinates of the foot
            level_x = cp * foot_x[2 * f + s] + sp * sr * foot_y[2 * f + s] + sp * cr * foot_z
            foot_y[2 * f + s] = cr * foot_y[2 * f + s] - sr * foot_z
            foot_x[2 * f + s] = level_x
    com_x = (cp * mx + sp * sr * my + sp * cr * mz) / weight
    com_y = (cr * my - sr * mz) / weight
    # how far a foot stands: 1 on the ground, 0 from a centimetre above it
    ground = min(height[0], height[1], height[2], height[3])
    n = 0.0
    nx = 0.0
    ny = 0.0
    nxx = 0.000001
    nyy = 0.000001
    nxy = 0.0
    for k in range(4):
        share[k] = clip(1.0 - (height[k] - ground) / 0.01, 0.0, 1.0)
        foot_x[k] -= com_x
        foot_y[k] -= com_y
        n += share[k]
        nx += share[k] * foot_x[k]
        ny += share[k] * foot_y[k]
        nxx += share[k] * foot_x[k] * foot_x[k]
        nyy += share[k] * foot_y[k] * foot_y[k]
        nxy += share[k] * foot_x[k] * foot_y[k]
    # moments that turn the trunk back
    roll = attitude_kp[0] * (q_ref[12] - q[12] + encoder_offset[12]) + attitude_kd[0] * (qd_ref[12] - qd[12])
    pitch = attitude_kp[1] * (q_ref[13] - q[13] + encoder_offset[13]) + attitude_kd[1] * (qd_ref[13] - qd[13])
    # force on foot k = share[k] * (a + b x + c y), least squares under sum = weight and both moments (Cramer's rule)
    total = 9.81 * weight
    det = n * (nxx * nyy - nxy * nxy) - nx * (nx * nyy - nxy * ny) + ny * (nx * nxy - nxx * ny)
    a = total * (nxx * nyy - nxy * nxy) - nx * (-pitch * nyy - nxy * roll) + ny * (-pitch * nxy - nxx * roll)
    b = n * (-pitch * nyy - nxy * roll) - total * (nx * nyy - nxy * ny) + ny * (nx * roll + pitch * ny)
    c = n * (nxx * roll + pitch * nxy) - nx * (nx * roll + pitch * ny) + total * (nx * nxy - nxx * ny)
    for k in range(4):
        force = max(share[k] * (a + b * foot_x[k] + c * foot_y[k]) / det, 0.0)
        sh = sin(q_ref[3 * k])
        ch = cos(q_ref[3 * k])
        thigh = 9.81 * 1.013
        calf = 9.81 * 0.226
        knee_x = -0.2 * sin(q_ref[3 * k + 1])
        knee_w = 0.2 * cos(q_ref[3 * k + 1])
        # weights pull down, the ground pushes up: (force * depth) of all three, forward, down and sideways
        down = force * (knee_w + shank_w[k]) - thigh * thigh_w[k] - calf * (knee_w + calf_w[k])
        ahead = force * (knee_x + shank_x[k]) - thigh * thigh_x[k] - calf * (knee_x + calf_x[k])
        aside = (force - calf) * lateral[k] - thigh * lateral[k] * 0.737484
        tau[3 * k] = up_y * (aside * sh - down * ch) - up_z * (aside * ch + down * sh)
        tau[3 * k + 1] = up_x * down - (sh * up_y - ch * up_z) * ahead
        down = force * shank_w[k] - calf * calf_w[k]
        ahead = force * shank_x[k] - calf * calf_x[k]
        tau[3 * k + 2] = up_x * down - (sh * up_y - ch * up_z) * ahead
        tau[3 * k] += hip_inertia * qdd_ref[3 * k]
    for k in range(4):
        for j in range(3):
            error = q_ref[3 * k + j] - q[3 * k + j] + encoder_offset[3 * k + j]
            slip = qd_ref[3 * k + j] - qd[3 * k + j]
            ask = tau[3 * k + j] + kp[j] * error + kd[j] * slip + drive_kd * qd_ref[3 * k + j]
            ask += viscous[3 * k + j] * qd_ref[3 * k + j] + coulomb[3 * k + j] * tanh(qd_ref[3 * k + j] / 0.05)
            # what the drive would give if it were whole, and as much more as it falls short
            whole = drive_kp * error + ask - drive_kd * qd[3 * k + j]
            ask += (1.0 / gain[3 * k + j] - 1.0) * whole
            q_cmd[3 * k + j] = q_ref[3 * k + j] + encoder_offset[3 * k + j] + lead * qd_ref[3 * k + j] + ask / drive_kp
