"""Our own incident recordings as a source: one row per telemetry row, on the robot's clock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from core.block import flat_row
from core.errors import BadInput
from telemetry.channels import channels_by_name
from telemetry.recording import read_recording
from telemetry.sources import CHUNK_ROWS, Chunk, Clock, Source, origin_ns, rate_of

_JOINT, _ACTUATOR = ("q", "qd"), ("tau_meas", "tau_cmd")
_REFERENCE = ("q_ref", "qd_ref", "qdd_ref")


class RecordingSource(Source):
    """An incident recording; channels are `JOINT.q`, `ACTUATOR.tau_meas` and so on, as `robot_channels` names them.

    A recording is seconds to minutes long and is read whole.

    Raises:
        BadInput: damaged, or without rows.
    """

    clock = Clock.STAMP

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.where = str(path)
        recording = read_recording(path)
        if not recording.rows:
            raise BadInput(f"{path}: the recording holds no rows; record some seconds before the incident.")
        self._rows = recording.rows
        groups = [(_JOINT, recording.joint_names), (_ACTUATOR, recording.actuator_names)]
        names = [
            f"{name}.{field}"
            for fields, of in [*groups, (_REFERENCE, recording.joint_names)]
            for field in fields
            for name in of
        ]
        self.channels = channels_by_name(names)
        self._origin_ns = origin_ns(self._rows[0].frame.stamp_ns)
        self.rate_hz = rate_of(self.read().stamp_s)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        remaining = iter(self._rows)
        while batch := list(islice(remaining, rows)):
            yield Chunk(
                stamp_s=np.array([(row.frame.stamp_ns - self._origin_ns) * 1e-9 for row in batch]),
                received_s=np.full(len(batch), np.nan),
                values=np.array([flat_row(row.frame, row.reference)[2:] for row in batch]),
                seq=np.array([row.frame.seq for row in batch], dtype=np.int64),
            )

    def count(self) -> int:
        return len(self._rows)
