"""The answer of a worker in bytes of one fixed form, and the reader that believes nothing.

An answer comes from a process that ran a candidate. It is never unpickled. Each number is checked for its place, its
shape and its range before anybody looks at it; even then it is a claim, which a trusted replay has to prove.

    answer = count of scenarios, then for each: ticks, actuators, flags, numbers of the judgement, ranges, commands
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.metrics import METRICS, Array
from core.robot import Robot
from sim.judge import Judgement
from sim.lockstep import Exchange
from sim.visited import Visited, quantities

_HEAD = struct.Struct("<4sI")
_SCENARIO = struct.Struct("<IIBB")
_MAGIC = b"RMA2"


class Malformed(ValueError):  # noqa: N818 it is what the answer is
    """An answer that is not one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """One rollout as a worker tells it: a claim, unless it was run in lockstep, apart from its law."""

    judgement: Judgement
    command: Array  # (N, m) commands of the ticks until its end [unit of the robot's commands]
    exchange: Exchange | None = None  # with the law, of a run in lockstep


def most_bytes(robot: Robot, ticks: Sequence[int]) -> int:
    """Size of the longest answer about rollouts of so many ticks."""
    m = len(robot.actuators)
    return _HEAD.size + sum(_SCENARIO.size + 8 * (_numbers(robot) + 2 * quantities(robot) + m * each) for each in ticks)


def write_answer(rolled: Sequence[Rolled]) -> bytes:
    """`rolled` in bytes."""
    parts = [_HEAD.pack(_MAGIC, len(rolled))]
    for each in rolled:
        judgement, (ticks, m) = each.judgement, each.command.shape
        parts.append(_SCENARIO.pack(ticks, m, judgement.diverged, judgement.limit_broken))
        numbers = [
            *(judgement.metrics[name] for name in METRICS),
            *judgement.peak_error,
            judgement.peak_variation_nm,
            judgement.safety_share,
            judgement.clipped_share,
            *judgement.visited.low,
            *judgement.visited.high,
        ]
        parts.append(np.array(numbers, dtype="<f8").tobytes())
        parts.append(np.ascontiguousarray(each.command, dtype="<f8").tobytes())
    return b"".join(parts)


def read_answer(data: bytes, robot: Robot, ticks: Sequence[int]) -> tuple[Rolled, ...]:
    """What `data` claims about rollouts of at most so many ticks each.

    Raises:
        Malformed: it is not exactly such an answer.
    """
    reader = _Reader(data)
    magic, count = reader.take(_HEAD)
    if magic != _MAGIC or count != len(ticks):
        raise Malformed(f"an answer about {len(ticks)} scenarios was asked for")
    rolled = tuple(_read_one(reader, robot, most) for most in ticks)
    if reader.left:
        raise Malformed(f"{reader.left} bytes too many")
    return rolled


def _read_one(reader: _Reader, robot: Robot, most: int) -> Rolled:
    ticks, m, diverged, broken = reader.take(_SCENARIO)
    if not 1 <= ticks <= most or m != len(robot.actuators):
        raise Malformed(f"{ticks} ticks of {m} actuators, of {most} ticks of {len(robot.actuators)}")
    if diverged > 1 or broken > 1 or (ticks < most and not diverged):
        raise Malformed("flags that no rollout has")
    numbers = reader.numbers(_numbers(robot)).tolist()
    if not all(0.0 <= number < math.inf for number in numbers):
        raise Malformed("a number of the judgement is negative or not finite")
    k, n = len(METRICS), robot.dof
    variation, safety_share, clipped_share = numbers[k + n :]
    if max(safety_share, clipped_share) > 1.0:
        raise Malformed("a share above 1")
    low, high = (reader.numbers(quantities(robot)) for _ in range(2))
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high)) and np.all(low <= high)):
        raise Malformed("a range that is none")
    command = reader.numbers(ticks * m).reshape(ticks, m)
    if not np.all(np.isfinite(command)):
        raise Malformed("a command that is not finite")
    judgement = Judgement(
        metrics=dict(zip(METRICS, numbers[:k], strict=True)),
        peak_error=tuple(numbers[k : k + n]),
        peak_variation_nm=variation,
        diverged=bool(diverged),
        safety_share=safety_share,
        clipped_share=clipped_share,
        limit_broken=bool(broken),
        visited=Visited(low=tuple(low.tolist()), high=tuple(high.tolist())),
    )
    return Rolled(judgement=judgement, command=command)


def _numbers(robot: Robot) -> int:
    """How many numbers a judgement has."""
    return len(METRICS) + robot.dof + 3


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self._bytes(form.size))

    def numbers(self, count: int) -> Array:
        return np.frombuffer(self._bytes(8 * count), dtype="<f8").astype(float)

    def _bytes(self, size: int) -> bytes:
        if size > self.left:
            raise Malformed(f"it ends {size - self.left} bytes too early")
        self._at += size
        return self._data[self._at - size : self._at]
