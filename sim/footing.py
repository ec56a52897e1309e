"""How a robot on legs stands: height and speed of its trunk, and its joint torques, in compiled loops over its legs.

A robot is put back to its start for every run of a search. With arrays of a few numbers this took a hundred times as
long, and far longer than all that Bullet has to do.
"""

from __future__ import annotations

import math

import numpy as np

from telemetry.kernels import compiled

Vector = tuple[float, float, float]

STANDS_M = 0.01  # a foot this far above the lowest one carries nothing
_IN_LINE = 1e-6  # share of its largest possible value below which the spread of the feet is that of a line


@compiled
def _leg(
    i: int,
    q: np.ndarray,
    up: Vector,
    leg: np.ndarray,
    weights: np.ndarray,
    centres: np.ndarray,
    work: np.ndarray,
    torque: np.ndarray,
) -> tuple[float, float, float, float]:
    """The lowest point of a foot, its velocity per joint speed and its height, to `work`; torques against gravity.

    A foot is a ball that rolls: it is its lowest point, and not its centre, that stands still. Returns weight times
    position, and weight, of the leg.
    """
    x, y, z, side, thigh, shank, radius = leg
    ux, uy, uz = up
    hip, upper, lower = q[3 * i], q[3 * i + 1], q[3 * i + 1] + q[3 * i + 2]
    sh, ch, su, cu, sl, cl = (
        math.sin(hip),
        math.cos(hip),
        math.sin(upper),
        math.cos(upper),
        math.sin(lower),
        math.cos(lower),
    )
    shin_ahead, shin_down = -shank * sl, shank * cl
    ahead, down = shin_ahead - thigh * su, shin_down + thigh * cu
    bx, by, bz = -radius * ux, -radius * uy, -radius * uz
    ax, ay, az = ch * bz - sh * by, sh * bx, -ch * bx
    px, py, pz = x + ahead + bx, y + side * ch + down * sh + by, z + side * sh - down * ch + bz
    work[0], work[1], work[2] = px, py, pz
    work[3], work[6], work[9] = 0.0, down * ch - side * sh - bz, down * sh + side * ch + by
    work[4], work[7], work[10] = -down + ax, ahead * sh + ay, -ahead * ch + az
    work[5], work[8], work[11] = -shin_down + ax, shin_ahead * sh + ay, -shin_ahead * ch + az
    work[12] = px * ux + py * uy + pz * uz
    vy, vz = ch * uy + sh * uz, ch * uz - sh * uy  # the vertical in the frame that turns with the hip
    mx, my, mz, total, at_hip, at_thigh, at_knee = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(3):
        body = 1 + 3 * i + j
        weight, cx, cy, cz = weights[body], centres[body, 0], centres[body, 1], centres[body, 2]
        if j == 1:
            cx, cz = cu * cx + su * cz, cu * cz - su * cx
        elif j == 2:
            cx, cz = cl * cx + sl * cz, cl * cz - sl * cx
            at_knee = weight * (cz * ux - cx * vz)
            cx, cz = cx - thigh * su, cz - thigh * cu
        if j > 0:
            at_thigh += weight * (cz * ux - cx * vz)
            cy += side
        at_hip += weight * (cy * vz - cz * vy)
        total += weight
        mx, my, mz = (
            mx + weight * (x + cx),
            my + weight * (y + ch * cy - sh * cz),
            mz + weight * (z + sh * cy + ch * cz),
        )
    torque[3 * i], torque[3 * i + 1], torque[3 * i + 2] = at_hip, at_thigh, at_knee
    return mx, my, mz, total


@compiled
def _set_down(
    attitude: Vector, rates: Vector, drift: Vector, lowest: float, frame: np.ndarray, base: np.ndarray
) -> None:
    """`base` for a trunk whose origin is at (0, 0, -lowest) and drifts with `drift`, in its own axes."""
    (roll, pitch, yaw), (p, r, w), (dx, dy, dz) = attitude, rates, drift
    sr, cr, sp, cp = math.sin(0.5 * roll), math.cos(0.5 * roll), math.sin(0.5 * pitch), math.cos(0.5 * pitch)
    sy, cy = math.sin(0.5 * yaw), math.cos(0.5 * yaw)
    a, b = sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy
    c, d = cr * cp * sy - sr * sp * cy, cr * cp * cy + sr * sp * sy
    fx, fy, fz, x, y, z, s = frame
    base[3], base[4] = d * x + a * s + b * z - c * y, d * y - a * z + b * s + c * x
    base[5], base[6] = d * z + a * y - b * x + c * s, d * s - a * x - b * y - c * z
    dx, dy, dz = dx + r * fz - w * fy, dy + w * fx - p * fz, dz + p * fy - r * fx
    for out, (i, j, k) in ((0, (fx, fy, fz)), (7, (dx, dy, dz)), (10, (p, r, w))):
        e, f, g = 2.0 * (b * k - c * j), 2.0 * (c * i - a * k), 2.0 * (a * j - b * i)  # turned by the quaternion
        base[out] = i + d * e + b * g - c * f
        base[out + 1] = j + d * f + c * e - a * g
        base[out + 2] = k + d * g + a * f - b * e
    base[2] -= lowest


@compiled
def _carry(up: Vector, part: float, middle: Vector, moment: Vector, work: np.ndarray, torque: np.ndarray) -> None:
    """Take from `torque` what the ground does: forces with the least sum of squares that hold weight and `moment`.

    Each foot gets an equal `part` of the weight and b x d, where d is its distance from the `middle` of the feet and
    sum d x (b x d) = moment. One foot, or feet in a line, do not hold what tips about that line.
    """
    (ux, uy, uz), (cx, cy, cz), (mx, my, mz) = up, middle, moment
    xx, xy, xz, yy, yz, zz, ax, ay, az = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for foot in work:
        if foot[13]:
            x, y, z = foot[0] - cx, foot[1] - cy, foot[2] - cz
            xx, xy, xz, yy, yz, zz = xx + x * x, xy + x * y, xz + x * z, yy + y * y, yz + y * z, zz + z * z
            ax, ay, az = x, y, z  # along the line, if the feet are in one
    square = xx + yy + zz
    a, b, c = square - xx, square - yy, square - zz  # the moments of inertia of the feet
    p, q, r = b * c - yz * yz, yz * xz + c * xy, xy * yz + b * xz  # cofactors
    size = a * p - xy * q - xz * r
    bx = by = bz = 0.0
    if size > _IN_LINE * square**3:
        s, t, u = a * c - xz * xz, a * yz + xy * xz, a * b - xy * xy
        bx, by, bz = (
            (p * mx + q * my + r * mz) / size,
            (q * mx + s * my + t * mz) / size,
            (r * mx + t * my + u * mz) / size,
        )
    elif square > 0.0:
        along = (ax * mx + ay * my + az * mz) / (ax * ax + ay * ay + az * az)
        bx, by, bz = (mx - along * ax) / square, (my - along * ay) / square, (mz - along * az) / square
    for i in range(len(work)):
        foot = work[i]
        if foot[13]:
            x, y, z = foot[0] - cx, foot[1] - cy, foot[2] - cz
            fx, fy, fz = part * ux + by * z - bz * y, part * uy + bz * x - bx * z, part * uz + bx * y - by * x
            for j in range(3):
                torque[3 * i + j] -= foot[3 + j] * fx + foot[6 + j] * fy + foot[9 + j] * fz


@compiled
def settle(
    q: np.ndarray,
    v: np.ndarray,
    legs: np.ndarray,
    weights: np.ndarray,
    centres: np.ndarray,
    frame: np.ndarray,
    work: np.ndarray,
    base: np.ndarray,
    torque: np.ndarray,
) -> None:
    """Stand the robot on its lowest foot, with the feet on the ground at rest and sharing its weight.

    Args:
        q, v: (n,) coordinates and their speeds, as in `core.legs`.
        legs: (k, 7) of each leg: hip x, y, z; offset of the thigh along y; lengths of thigh and shank; foot radius.
        weights: (1 + 3 k,) weight of trunk and leg bodies [N].
        centres: (1 + 3 k, 3) their centres of mass about their joints [m].
        frame: (7,) position and quaternion (x, y, z, w) in the trunk of the frame by which Bullet holds it.
        work: (k, 14) to work in; the last column says which feet stand.
        base: (13,) gets position, quaternion, velocity and rates of that frame in the world.
        torque: (3 k,) gets the joint torques that hold the robot there at rest [N*m].
    """
    k = len(legs)
    roll, pitch, yaw = q[3 * k], q[3 * k + 1], q[3 * k + 2]
    p, r, w = v[3 * k], v[3 * k + 1], v[3 * k + 2]
    ux, uy, uz = -math.sin(pitch), math.cos(pitch) * math.sin(roll), math.cos(pitch) * math.cos(roll)  # the vertical
    total = weights[0]
    mx, my, mz = total * centres[0, 0], total * centres[0, 1], total * centres[0, 2]
    lowest = math.inf
    for i in range(k):
        x, y, z, weight = _leg(i, q, (ux, uy, uz), legs[i], weights, centres, work[i], torque)
        mx, my, mz, total = mx + x, my + y, mz + z, total + weight
        lowest = min(lowest, work[i, 12])
    count, cx, cy, cz, dx, dy, dz = 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(k):
        stands = work[i, 12] < lowest + STANDS_M
        work[i, 13] = 1.0 if stands else 0.0
        if stands:
            x, y, z, a, b, c = work[i, 0], work[i, 1], work[i, 2], v[3 * i], v[3 * i + 1], v[3 * i + 2]
            count, cx, cy, cz = count + 1, cx + x, cy + y, cz + z
            dx -= r * z - w * y + work[i, 3] * a + work[i, 4] * b + work[i, 5] * c
            dy -= w * x - p * z + work[i, 6] * a + work[i, 7] * b + work[i, 8] * c
            dz -= p * y - r * x + work[i, 9] * a + work[i, 10] * b + work[i, 11] * c
    cx, cy, cz, dx, dy, dz = cx / count, cy / count, cz / count, dx / count, dy / count, dz / count
    _set_down((roll, pitch, yaw), (p, r, w), (dx, dy, dz), lowest, frame, base)
    mx, my, mz = mx - total * cx, my - total * cy, mz - total * cz  # about the middle of the feet
    moment = (my * uz - mz * uy, mz * ux - mx * uz, mx * uy - my * ux)
    _carry((ux, uy, uz), total / count, (cx, cy, cz), moment, work, torque)
