"""A job in lockstep: two confined workers and a wire. One has plants and score, the other the law and nothing else.

The plants' worker never loads the law, and takes nothing from the wire but commands of the length and number that it
asked for, in time. So figures are what commands earn; that the commands are the law's is asked afterwards
(`sim.workers.confirm`).

    answer = size of the first part; judgements and commands as in `sim.workers.answer`; of each rollout what the law
             was shown and what it said
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controllers.artefact import Artefact
from core.metrics import Array
from core.robot import Robot
from sim.judge import judge_trace
from sim.lockstep import Broken, Exchange, Laws, drive_apart
from sim.workers.answer import Malformed, Rolled, most_bytes, read_answer, write_answer
from sim.workers.job import ROLLOUTS, Job, hold_all
from sim.workers.wire import LONGEST, WIRE, Asking, Blamed

_SIZE = struct.Struct("<Q")


def run_lockstep(job: Job, safety: Artefact | None = None) -> tuple[Rolled, ...]:
    """Do a job in this process, with the law in the same one: the same bits, and nothing confined."""
    laws = Laws(job.robot, job.artefact, len(job.scenarios))
    return _rolled(job, laws.answer, safety)


def _rolled(job: Job, ask: Callable[[bytes], bytes], safety: Artefact | None) -> tuple[Rolled, ...]:
    return tuple(
        Rolled(judgement=judge_trace(job.robot, each.trace), command=each.trace.command, exchange=each.exchange)
        for each in drive_apart(job.robot, job.scenarios, ask, safety)
    )


def most_driven(robot: Robot, ticks: Sequence[int]) -> int:
    """Size of the longest answer about rollouts of so many ticks."""
    return _SIZE.size + most_bytes(robot, ticks) + 8 * sum(_widths(robot)) * sum(ticks)


def read_driven(data: bytes, robot: Robot, ticks: Sequence[int]) -> tuple[Rolled, ...]:
    """What `data` says about rollouts of at most so many ticks each.

    Raises:
        Malformed: it is not exactly such an answer.
    """
    if len(data) < _SIZE.size:
        raise Malformed("it has no beginning")
    end = _SIZE.size + _SIZE.unpack_from(data)[0]
    rolled = read_answer(data[_SIZE.size : end], robot, ticks)
    counts = [len(each.command) for each in rolled]
    if len(data) - end != 8 * sum(_widths(robot)) * sum(counts):
        raise Malformed(f"{len(data) - end} bytes of exchanges in {sum(counts)} ticks")
    found, at = [], end
    for each, count in zip(rolled, counts, strict=True):
        parts: list[Array] = []
        for width in _widths(robot):
            part = np.frombuffer(data, dtype="<f8", count=count * width, offset=at)
            parts.append(part.astype(float).reshape(count, width))
            at += 8 * count * width
        exchange = Exchange(shown=parts[0], said=parts[1])
        found.append(Rolled(judgement=each.judgement, command=each.command, exchange=exchange))
    return tuple(found)


def _widths(robot: Robot) -> tuple[int, int]:
    """How many numbers a law is shown in a tick, and how many it says."""
    return 5 * robot.dof + len(robot.actuators), len(robot.actuators)


class _Plants:
    """The work of the worker that has the plants (`sim.workers.zygote.Work`). A request is a job, which is only run."""

    def warm_up(self, data: bytes) -> None:
        """The rollouts have warmed up everything."""

    def prepare(self, request: bytes) -> tuple[Job, Artefact]:
        return ROLLOUTS.prepare(request)

    def perform(self, prepared: tuple[Job, Artefact]) -> bytes:
        job, safety = prepared
        try:
            rolled = _rolled(job, Asking().ask, safety)
        except Broken as error:
            raise Blamed(str(error)) from error
        judged = write_answer(rolled)
        parts = [_SIZE.pack(len(judged)), judged]
        for each in rolled:
            assert each.exchange is not None
            parts += [np.ascontiguousarray(a, "<f8").tobytes() for a in (each.exchange.shown, each.exchange.said)]
        return b"".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class LawJob:
    """All that the process of a law is told before the first exchange."""

    robot: Robot
    artefact: Artefact
    lanes: int  # rollouts

    def to_bytes(self) -> bytes:
        """For a zygote, which trusts the service."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)


class _Laws:
    """The work of the worker that has the law (`sim.workers.zygote.Work`). Its answer is empty."""

    def warm_up(self, data: bytes) -> None:
        """The rollouts have warmed up everything."""

    def prepare(self, request: bytes) -> LawJob:
        job: LawJob = pickle.loads(request)  # noqa: S301 from the service
        hold_all(job.robot)
        return job

    def perform(self, prepared: LawJob) -> bytes:
        laws = Laws(prepared.robot, prepared.artefact, prepared.lanes)
        while exchange := os.read(WIRE, LONGEST):
            os.write(WIRE, laws.answer(exchange))
        return b""


PLANTS, LAWS = _Plants(), _Laws()
PLANTS_NAME, LAWS_NAME = f"{__name__}:PLANTS", f"{__name__}:LAWS"
