"""A stretch of telemetry as one matrix: what links send, detectors read and twins are fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.frames import Frame, Reference, TelemetryRow

Array = np.ndarray[Any, np.dtype[np.float64]]

_GROUPS = ("q", "qd", "tau_meas", "tau_cmd", "q_ref", "qd_ref", "qdd_ref")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """N rows of telemetry of an n-joint robot. Columns: seq, stamp [ns], then the groups of `_GROUPS`, n columns each.

    A float64 holds every integer up to 2^53 ns (104 days of robot clock) exactly.
    """

    data: Array  # (N, 2 + 7 n)

    @property
    def dof(self) -> int:
        return int(self.data.shape[1] - 2) // len(_GROUPS)

    @property
    def t_s(self) -> Array:
        """(N,) robot clock [s]."""
        return self.data[:, 1] * 1e-9

    def group(self, name: str) -> Array:
        """(N, n) view of one group, such as "q" [rad] or "tau_meas" [N*m]."""
        at = 2 + _GROUPS.index(name) * self.dof
        return self.data[:, at : at + self.dof]

    def __len__(self) -> int:
        return len(self.data)

    def between(self, start_s: float, end_s: float) -> Block:
        """Rows with start <= t < end on the robot clock."""
        t = self.t_s
        return Block(data=self.data[(t >= start_s - 1e-9) & (t < end_s - 1e-9)])

    def rows(self) -> list[TelemetryRow]:
        """The same as records."""
        return [_row(values, self.dof) for values in self.data.tolist()]

    def to_bytes(self) -> bytes:
        return self.data.tobytes()

    @staticmethod
    def from_bytes(data: bytes, dof: int) -> Block:
        return Block(data=np.frombuffer(data, dtype=np.float64).reshape(-1, 2 + len(_GROUPS) * dof))

    @staticmethod
    def join(blocks: Sequence[Block]) -> Block:
        """Blocks one after the other."""
        return Block(data=np.concatenate([block.data for block in blocks]))


def flat_row(frame: Frame, reference: Reference) -> list[float]:
    """One row of a `Block`."""
    return [
        float(frame.seq),
        float(frame.stamp_ns),
        *frame.q,
        *frame.qd,
        *frame.tau_meas,
        *frame.tau_cmd,
        *reference.q_ref,
        *reference.qd_ref,
        *reference.qdd_ref,
    ]


def _row(values: list[float], n: int) -> TelemetryRow:
    parts = {name: values[2 + k * n : 2 + (k + 1) * n] for k, name in enumerate(_GROUPS)}
    return TelemetryRow(
        frame=Frame(
            seq=int(values[0]),
            stamp_ns=int(values[1]),
            q=parts["q"],
            qd=parts["qd"],
            tau_meas=parts["tau_meas"],
            tau_cmd=parts["tau_cmd"],
        ),
        reference=Reference(q_ref=parts["q_ref"], qd_ref=parts["qd_ref"], qdd_ref=parts["qdd_ref"]),
    )
