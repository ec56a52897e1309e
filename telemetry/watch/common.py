"""Balances that every robot keeps: drives follow their commands, positions follow their velocities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.block import Array, Block
from core.robot import Robot
from telemetry.watch.average import Average
from telemetry.watch.row import Row

LONGEST_S = 0.06  # oldest command that may be in force
_EVERY_TICK = 8  # lags that are looked at one by one


def command_lags(robot: Robot, ticks: int) -> tuple[int, ...]:
    """Lags [ticks] of the commands that a drive's effort is regressed on: each of the first, then one per row."""
    longest = round(LONGEST_S * robot.control_rate_hz)
    return tuple(sorted({*range(min(_EVERY_TICK, longest) + 1), *range(0, longest + 1, ticks)}))


def drive_rows(robot: Robot, block: Block, average: Average, history: int, late: int = 0) -> list[Row]:
    """Measured effort of each drive against the commands that may be in force, older ones for a drive that lags.

    In position mode the effort answers to where the joint is, too.

    Args:
        history: ticks of `block` before the first row's: at least the longest lag and `late`.
        late: ticks by which commands are known to arrive later than they did while the weights were learnt.
    """
    effort, command = block.group("tau_meas"), block.group("tau_cmd")
    low, high = np.array(robot.limits.effort_low), np.array(robot.limits.effort_high)
    command = np.minimum(np.maximum(command, low), high)
    begin, end = history - late, len(block) - late
    lagged = [average.mean(command[begin - lag : end - lag]) for lag in command_lags(robot, average.ticks)]
    rows = []
    still = np.zeros(len(lagged[0]))
    for k, name in enumerate(robot.actuators):
        features = [each[:, k] for each in lagged]
        joint, noise = robot.drives[k], np.zeros(len(lagged) + 3)
        if robot.mode == "position" and joint is not None:
            # A speed that is a mean over the tick before lags; with the one before that it can be carried on.
            features += [average.mean(block.group(group)[history:, joint]) for group in ("q", "qd")]
            features.append(average.mean(block.group("qd")[history - 1 : -1, joint]))
            position, speed = robot.sensors.position_noise[joint], robot.sensors.velocity_noise[joint]
            noise[len(lagged) :] = np.array([position, speed, speed]) / np.sqrt(average.ticks)
        rows.append(
            Row(
                channel=f"{name}.drive",
                target=average.mean(effort[history:])[:, k],
                features=np.stack(features, axis=1),
                rate=still,
                driven=len(lagged),
                noise=noise[: len(features)],
            )
        )
    return rows


def travel_rows(robot: Robot, q: Array, rates: Array, average: Average, late: float = 0.5) -> list[Row]:
    """Way by position against way by velocity, for every coordinate.

    Args:
        q, rates: (ticks, n) positions, and their rates of change by the velocity sensors.
        late: see `Average.under`.
    """
    way, by_rate, speed = average.increment(q), average.under(rates, late), average.mean(rates)
    return [
        Row(
            channel=f"{name}.travel",
            target=way[:, i],
            features=by_rate[:, i : i + 1],
            rate=np.zeros(len(way)),
            stir=speed[:, i],
            known=True,
            increment=True,
        )
        for i, name in enumerate(robot.joints)
    ]


def all_of(*groups: Sequence[Row]) -> list[Row]:
    """Rows of several balances, one after the other."""
    return [row for group in groups for row in group]
