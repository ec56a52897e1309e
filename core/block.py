"""A stretch of telemetry as one matrix: what links send, detectors read and twins are fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from core.frames import Frame, Reference, TelemetryRow

Array = np.ndarray[Any, np.dtype[np.float64]]

# Columns in this order, each group as wide as there are coordinates ("n") or actuators ("m").
_GROUPS = {"q": "n", "qd": "n", "tau_meas": "m", "tau_cmd": "m", "q_ref": "n", "qd_ref": "n", "qdd_ref": "n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """N rows of telemetry of a robot with n coordinates and m actuators.

    Columns: seq, stamp [ns], then the groups of `_GROUPS`. A float64 holds every integer up to 2^53 ns (104 days of
    robot clock) exactly.
    """

    data: Array  # (N, 2 + 5 n + 2 m)
    actuators: int  # m

    @property
    def dof(self) -> int:
        """Number of coordinates n."""
        return (int(self.data.shape[1]) - 2 - 2 * self.actuators) // 5

    @property
    def t_s(self) -> Array:
        """(N,) robot clock [s]."""
        return self.data[:, 1] * 1e-9

    def group(self, name: str) -> Array:
        """(N, n) or (N, m) view of one group, such as "q" [rad or m] or "tau_meas" [N*m or N]."""
        return self.data[:, _columns(self.dof, self.actuators)[name]]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: slice) -> Block:
        """Some of the rows; a view."""
        return Block(data=self.data[rows], actuators=self.actuators)

    def between(self, start_s: float, end_s: float) -> Block:
        """Rows with start <= t < end on the robot clock."""
        t = self.t_s
        return Block(data=self.data[(t >= start_s - 1e-9) & (t < end_s - 1e-9)], actuators=self.actuators)

    def rows(self) -> list[TelemetryRow]:
        """The same as records."""
        columns = _columns(self.dof, self.actuators)
        return [_row(values, columns) for values in self.data.tolist()]

    def to_bytes(self) -> bytes:
        return self.data.tobytes()

    @staticmethod
    def from_bytes(data: bytes, joints: int, actuators: int) -> Block:
        """Inverse of `to_bytes` for a robot of `joints` coordinates and `actuators` actuators."""
        width = 2 + 5 * joints + 2 * actuators
        return Block(data=np.frombuffer(data, dtype=np.float64).reshape(-1, width), actuators=actuators)

    @staticmethod
    def join(blocks: Sequence[Block]) -> Block:
        """Blocks one after the other."""
        return Block(data=np.concatenate([block.data for block in blocks]), actuators=blocks[0].actuators)


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


@lru_cache
def _columns(n: int, m: int) -> dict[str, slice]:
    """Where each group stands."""
    ends = list(accumulate((n if width == "n" else m for width in _GROUPS.values()), initial=2))
    return {name: slice(*ends[k : k + 2]) for k, name in enumerate(_GROUPS)}


def _row(values: list[float], columns: dict[str, slice]) -> TelemetryRow:
    parts = {name: values[where] for name, where in columns.items()}
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
