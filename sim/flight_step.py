"""What a quadrotor feels in a control period and where Bullet says that it is, in compiled arithmetic.

Two hundred operations in Python take longer than all the calls of Bullet in a period. The numbers that they need are
in two arrays, in the order given below: an argument less is a tenth of a microsecond less.
"""

from __future__ import annotations

import math

import numpy as np

from telemetry.kernels import compiled

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]  # x, y, z, w

CRAFT = 45  # numbers of a flyer; "Bullet's axes" are the principal ones, with the centre of mass in their middle
WRENCH = slice(0, 16)  # of 1 N of each rotor: thrust, and torque about each of Bullet's axes
UP = slice(16, 19)  # the body's z along Bullet's axes
CENTRE = slice(19, 22)  # of mass, in the body's frame [m]
AXES = slice(22, 31)  # rows: Bullet's axes along the body's
BACK = slice(31, 35)  # quaternion from the body's axes to Bullet's
DRAG = slice(35, 41)  # along and about the body's axes [N*s/m, N*m*s/rad]
WIND = slice(41, 44)  # force in the world [N]
AHEAD = 44  # time that Bullet's place is ahead of the robot's [s]
BANK = 21  # numbers of the rotors, four of each
TURNING = slice(0, 4)  # thrust that the speed of the rotor would give on a full supply [N]
SAID = slice(4, 8)  # thrust by the speed of the rotor [N]
MOST = slice(8, 12)  # largest thrust that a command gets [N]
LEFT = slice(12, 16)  # share of its thrust that a rotor gives
LOST = slice(16, 20)  # dead band [N]
SAG = 20  # share of the supply lost per newton of all rotors [1/N]
AIR = 9  # force and torque of the air, and the body's rates, along Bullet's axes


@compiled
def push(a: float, b: float, c: float, d: float, shares: np.ndarray, bank: np.ndarray) -> Quaternion:
    """Mean thrust of rotors that are asked for a, b, c and d [N] (`sim.rotors`); `bank` is then as after that time.

    Supply and dead band are taken at the mean rotor speed, which changes by a few per cent meanwhile.
    """
    asked, mean, sum_now, sum_mean = np.array((a, b, c, d)), np.empty(4), 0.0, 0.0
    for i in range(4):
        aim = asked[i]
        if aim > bank[8 + i]:  # noqa: PLR1730 commands are inside a range that may have shrunk; a NaN stays one
            aim = bank[8 + i]
        gap = bank[i] - aim
        bank[i], mean[i] = aim + shares[i] * gap, aim + shares[4 + i] * gap
        sum_now, sum_mean = sum_now + bank[i], sum_mean + mean[i]
    supply_now, supply_mean = max(1.0 - bank[20] * sum_now, 0.0), max(1.0 - bank[20] * sum_mean, 0.0)
    for i in range(4):
        bank[4 + i] = supply_now * bank[i]
        mean[i] = supply_mean * mean[i] * bank[12 + i] - bank[16 + i]
        if mean[i] < 0.0:  # noqa: PLR1730
            mean[i] = 0.0
    return mean[0], mean[1], mean[2], mean[3]


@compiled
def press(
    a: float,
    b: float,
    c: float,
    d: float,
    half_s: float,
    shares: np.ndarray,
    bank: np.ndarray,
    craft: np.ndarray,
    air: np.ndarray,
) -> tuple[Vector, Vector]:
    """Force and torque along Bullet's axes, in twice `half_s`, of the air and of rotors asked for a, b, c and d [N]."""
    a, b, c, d = push(a, b, c, d, shares, bank)
    lift = craft[0] * a + craft[1] * b + craft[2] * c + craft[3] * d
    fx, fy, fz = air[0] + lift * craft[16], air[1] + lift * craft[17], air[2] + lift * craft[18]
    tx = air[3] + craft[4] * a + craft[5] * b + craft[6] * c + craft[7] * d
    ty = air[4] + craft[8] * a + craft[9] * b + craft[10] * c + craft[11] * d
    tz = air[5] + craft[12] * a + craft[13] * b + craft[14] * c + craft[15] * d
    p, q, r = half_s * air[6], half_s * air[7], half_s * air[8]
    return (
        (fx + q * fz - r * fy, fy + r * fx - p * fz, fz + p * fy - q * fx),
        (tx + q * tz - r * ty, ty + r * tx - p * tz, tz + p * ty - q * tx),
    )


@compiled
def feel_air(speed: Vector, rates: Vector, wind: Vector, craft: np.ndarray, air: np.ndarray) -> None:
    """`air` gets drag at `speed` along and `rates` about the body's axes and the torque of `wind` along them."""
    (vx, vy, vz), (p, q, r), (u, v, w) = speed, rates, wind
    i, j, k = craft[19], craft[20], craft[21]
    x, y, z = -craft[35] * vx, -craft[36] * vy, -craft[37] * vz
    u, v, w = x + u, y + v, z + w  # wind is a share of gravity: it only turns, and only an off-centre body
    a, b, c = -craft[38] * p - j * w + k * v, -craft[39] * q - k * u + i * w, -craft[40] * r - i * v + j * u
    for n in range(3):
        ex, ey, ez = craft[22 + 3 * n], craft[23 + 3 * n], craft[24 + 3 * n]
        air[n] = ex * x + ey * y + ez * z
        air[3 + n] = ex * a + ey * b + ez * c
        air[6 + n] = ex * p + ey * q + ez * r


@compiled
def read(
    place: Vector,
    turn: Quaternion,
    velocity: Vector,
    spin: Vector,
    bank: np.ndarray,
    craft: np.ndarray,
    air: np.ndarray,
    before: np.ndarray,
    state: np.ndarray,
) -> None:
    """From place, velocity (of the centre of mass) and turn (of its axes) in Bullet to what sensors would see.

    Args:
        air: (9,) gets what the air does to the body at this speed.
        before: (16,) state of the last period; yaw goes on from there.
        state: (16,) gets place, roll, pitch, yaw, velocity, rates about the body's axes, and what the rotors say.
    """
    (x, y, z, w), (a, b, c, d) = (craft[31], craft[32], craft[33], craft[34]), turn
    x, y, z, w = (
        d * x + a * w + b * z - c * y,
        d * y - a * z + b * w + c * x,
        d * z + a * y - b * x + c * w,
        d * w - a * x - b * y - c * z,
    )
    xx, xy, xz = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)
    yx, yy, yz = 2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)
    zx, zy, zz = 2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)
    (px, py, pz), (vx, vy, vz), (a, b, c), ahead_s = place, velocity, spin, craft[44]
    i, j, k = craft[19], craft[20], craft[21]
    rx, ry, rz = xx * i + xy * j + xz * k, yx * i + yy * j + yz * k, zx * i + zy * j + zz * k
    px, py, pz = px - ahead_s * vx - rx, py - ahead_s * vy - ry, pz - ahead_s * vz - rz
    vx, vy, vz = vx - b * rz + c * ry, vy - c * rx + a * rz, vz - a * ry + b * rx
    rates = (xx * a + yx * b + zx * c, xy * a + yy * b + zy * c, xz * a + yz * b + zz * c)
    speed = (xx * vx + yx * vy + zx * vz, xy * vx + yy * vy + zy * vz, xz * vx + yz * vy + zz * vz)
    i, j, k = craft[41], craft[42], craft[43]
    feel_air(speed, rates, (xx * i + yx * j + zx * k, xy * i + yy * j + zy * k, xz * i + yz * j + zz * k), craft, air)
    pitch = math.asin(min(max(-zx, -1.0), 1.0))
    turned = (math.atan2(yx, xx) - before[5] + math.pi) % (2.0 * math.pi) - math.pi  # it may turn for ever
    state[0], state[1], state[2], state[3], state[4], state[5] = (
        px,
        py,
        pz,
        math.atan2(zy, zz),
        pitch,
        before[5] + turned,
    )
    state[6], state[7], state[8], state[9], state[10], state[11] = vx, vy, vz, rates[0], rates[1], rates[2]
    state[12], state[13], state[14], state[15] = bank[4], bank[5], bank[6], bank[7]
