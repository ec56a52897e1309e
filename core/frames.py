"""What passes between a robot and its controller in one control tick: a frame in, a command out.

A frame holds only what the hardware can say. Ground truth has no field here, so nothing downstream can read it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One measurement of an n-joint robot. Lists have n entries in the robot's joint order."""

    seq: int  # counts control ticks from the start of the robot, no gaps when healthy
    stamp_ns: int  # robot clock at the measurement
    q: list[float]  # joint position [rad], link-side encoder
    qd: list[float]  # joint velocity [rad/s], motor-side sensor
    tau_meas: list[float]  # torque [N*m] from motor current times the nominal torque constant
    tau_cmd: list[float]  # torque [N*m] that the drive received last, before delay and saturation


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where the joints should be at one tick."""

    q_ref: list[float]  # [rad]
    qd_ref: list[float]  # [rad/s]
    qdd_ref: list[float]  # [rad/s^2]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRow:
    """A frame with the reference that was in force: one row of telemetry."""

    frame: Frame
    reference: Reference


def pack_frame(frame: Frame) -> bytes:
    """A frame as bytes: two int64, then q, qd, tau_meas, tau_cmd as little-endian float64."""
    n = len(frame.q)
    return struct.pack(f"<qq{4 * n}d", frame.seq, frame.stamp_ns, *frame.q, *frame.qd, *frame.tau_meas, *frame.tau_cmd)


def unpack_frame(data: bytes, joints: int) -> Frame:
    """Inverse of `pack_frame` for a robot of `joints` joints; bit for bit."""
    seq, stamp_ns, *values = struct.unpack(f"<qq{4 * joints}d", data)
    q, qd, tau_meas, tau_cmd = (values[k * joints : (k + 1) * joints] for k in range(4))
    return Frame(seq=seq, stamp_ns=stamp_ns, q=q, qd=qd, tau_meas=tau_meas, tau_cmd=tau_cmd)
