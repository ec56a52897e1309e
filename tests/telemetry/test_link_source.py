"""A live link is a source like a file: same chunks, roles and limits of the robot, and times of arrival."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.block import Block
from core.clock import ManualClock
from core.robot_toml import load_robot
from sim.catalogue import robot_file
from telemetry.channels import robot_channels
from telemetry.health import HealthKind, HealthMonitor
from telemetry.link_source import LinkSource

CARTPOLE = load_robot(robot_file("cartpole"))
WIDTH = 2 + len(robot_channels(CARTPOLE))


def _block(first: int, rows: int) -> Block:
    data = np.random.default_rng(first).standard_normal((rows, WIDTH)) * 1e-3
    data[:, 0] = np.arange(first, first + rows)
    data[:, 1] = data[:, 0] * CARTPOLE.dt_s * 1e9
    return Block(data=data, actuators=len(CARTPOLE.actuators))


class _Link:
    robot_id = "cart-1"

    def read(self, seconds: float) -> Iterator[Block]:
        for k in range(round(seconds / CARTPOLE.dt_s) // 10):
            yield _block(10 * k, 10)

    def drain(self) -> list[Block]:
        return [_block(1000, 3)]


def test_link_gives_the_robots_channels_in_chunks() -> None:
    source = LinkSource(CARTPOLE, _Link(), seconds=60 * CARTPOLE.dt_s)
    chunk = source.read()
    assert source.channels == robot_channels(CARTPOLE)
    assert source.count() is None
    assert len(chunk) == 60
    assert chunk.seq is not None
    assert chunk.seq.tolist() == list(range(60))
    assert np.allclose(source.times(chunk), chunk.seq * CARTPOLE.dt_s)
    assert np.isnan(chunk.received_s).all()
    assert max(len(part) for part in source.chunks(4)) == 4
    assert [len(part) for part in source.drain()] == [3]
    assert LinkSource(CARTPOLE, _Link(), 1.0, ManualClock(7_000_000_000)).read().received_s[0] == 7.0


def test_command_at_the_limit_of_the_drive_is_saturated() -> None:
    source = LinkSource(CARTPOLE, _Link(), seconds=100 * CARTPOLE.dt_s)
    chunk = source.read()
    column = source.names.index(f"{CARTPOLE.actuators[0]}.tau_cmd")
    chunk.values[20:35, column] = CARTPOLE.limits.effort_high[0]
    monitor = HealthMonitor(source.channels)
    monitor.update(chunk)
    (finding,) = monitor.findings()
    assert (finding.kind, finding.channel, finding.count, finding.first_row) == (
        HealthKind.SATURATED,
        source.names[column],
        15,
        21,
    )
