"""What passes between a robot and its controller in one control tick: a frame in, a command out.

A frame holds only what the hardware can say. Ground truth has no field here, so nothing downstream can read it.

Frame and reference are named tuples: one of each is made in every tick, for a third of what a frozen dataclass costs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple


class Frame(NamedTuple):
    """One measurement of a robot with n coordinates and m actuators, in the robot's order."""

    seq: int  # counts control ticks from the start of the robot, no gaps when healthy
    stamp_ns: int  # robot clock at the measurement
    q: list[float]  # n, position [rad or m]; of a joint from the link-side encoder
    qd: list[float]  # n, velocity [rad/s or m/s]; of a joint from the motor-side sensor
    tau_meas: list[float]  # m, effort [N*m or N], from motor current or rotor speed
    tau_cmd: list[float]  # m, command that the drive received last, before delay and saturation, in the mode's unit


class Reference(NamedTuple):
    """Where the n coordinates should be at one tick."""

    q_ref: list[float]  # [rad or m]
    qd_ref: list[float]  # [rad/s or m/s]
    qdd_ref: list[float]  # [rad/s^2 or m/s^2]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRow:
    """A frame with the reference that was in force: one row of telemetry."""

    frame: Frame
    reference: Reference


def pack_frame(frame: Frame) -> bytes:
    """A frame as bytes: two int64, then q, qd, tau_meas, tau_cmd as little-endian float64."""
    width = 2 * len(frame.q) + 2 * len(frame.tau_cmd)
    return struct.pack(f"<qq{width}d", frame.seq, frame.stamp_ns, *frame.q, *frame.qd, *frame.tau_meas, *frame.tau_cmd)


def unpack_frame(data: bytes, joints: int, actuators: int) -> Frame:
    """Inverse of `pack_frame` for a robot of `joints` coordinates and `actuators` actuators; bit for bit."""
    seq, stamp_ns, *values = struct.unpack(f"<qq{2 * joints + 2 * actuators}d", data)
    efforts = 2 * joints
    return Frame(
        seq=seq,
        stamp_ns=stamp_ns,
        q=values[:joints],
        qd=values[joints:efforts],
        tau_meas=values[efforts : efforts + actuators],
        tau_cmd=values[efforts + actuators :],
    )
