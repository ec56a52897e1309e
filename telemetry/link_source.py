"""A robot's live link as a source: the blocks that it sends, with the roles and limits that the robot declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from core.block import Block
from core.clock import Clock as Timer
from core.robot import Robot
from telemetry.channels import robot_channels
from telemetry.sources import CHUNK_ROWS, Chunk, Clock, Source


class BlockLink(Protocol):
    """What a link must offer to be a source; a ROS 2 subscription that makes blocks fits as well."""

    robot_id: str

    def read(self, seconds: float) -> Iterator[Block]:
        """Telemetry of the next `seconds` on the robot's clock, in order, as it arrives."""
        ...

    def drain(self) -> list[Block]:
        """Telemetry that has arrived and was not read yet."""
        ...


class LinkSource(Source):
    """Telemetry of a robot as it arrives.

    Args:
        robot: its model.
        link: where its blocks come from.
        seconds: how long `chunks` reads, on the robot's clock.
        timer: gives the time of arrival; None in lockstep, where it would mean nothing.
    """

    clock = Clock.STAMP

    def __init__(self, robot: Robot, link: BlockLink, seconds: float, timer: Timer | None = None) -> None:
        super().__init__()
        self.where = link.robot_id
        self.channels = robot_channels(robot)
        self.rate_hz = float(robot.control_rate_hz)
        self._link, self._seconds, self._timer = link, seconds, timer

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        for block in self._link.read(self._seconds):
            yield from self._cut(block, rows)

    def drain(self) -> Iterator[Chunk]:
        """What has arrived since it was last asked, without waiting."""
        for block in self._link.drain():
            yield from self._cut(block, CHUNK_ROWS)

    def count(self) -> None:
        return None

    def _cut(self, block: Block, rows: int) -> Iterator[Chunk]:
        now_s = np.nan if self._timer is None else self._timer.monotonic_ns() * 1e-9
        chunk = chunk_of(block, now_s)
        for start in range(0, len(chunk), rows):
            yield chunk[start : start + rows]


def chunk_of(block: Block, received_s: float = np.nan) -> Chunk:
    """A block of a robot's telemetry as a chunk of its channels."""
    return Chunk(
        stamp_s=block.t_s,
        received_s=np.full(len(block), received_s),
        values=block.data[:, 2:],
        seq=block.data[:, 0].astype(np.int64),
    )
