"""Rollouts whose law is somewhere else: plants, control loops and score here, and over there nothing but the law.

What leads to a promotion must not be scored by a process that has met the candidate. So the law sits at the far end of
a wire. In each exchange it is shown what its sensors and references say in one tick of several rollouts, and answers
with a command for each; envelope, safety law, plant, sensors and metrics are on this side. What was shown and said is
kept, so that the law can be asked once more, run by run, whether these are its commands.

    exchange = number, places, and for each of these q, qd, tau_meas, q_ref, qd_ref, qdd_ref    ->  the law
    answer   = number, and for each of these m commands, all as doubles                         <-  the law

A place is that of a rollout in its job. Plants of equal physics are one world, and take their turns. What goes to the
law is written by this side, and `marshal` reads it; what comes back is bytes of one length.
"""

from __future__ import annotations

import marshal
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from controllers.artefact import Artefact
from controllers.library import find_law
from controllers.runtime import Runtime
from controllers.slot import Slot
from core.frames import Frame, Reference
from core.ids import sha256_of
from core.metrics import Array
from core.robot import Robot
from sim.rollout import Trace, placed, stepping
from sim.scenario import Scenario

_NUMBER = struct.Struct("<Q")  # of the exchange
_MARSHAL = 2  # format of `marshal`: numbers in binary, and no back references, which take time
Shown = tuple[list[float], list[float], list[float], list[float], list[float], list[float]]
Ask = Callable[[bytes], bytes]  # an exchange -> the answer to it


def split(robot: Robot, shown: Array) -> list[Array]:
    """The six parts of what was shown, in the order of `Slot.respond`."""
    n, m = robot.dof, len(robot.actuators)
    return np.split(shown, np.cumsum([n, n, m, n, n]), axis=1)


class Broken(Exception):  # noqa: N818 it is what the exchange is
    """The law's side answered with something that is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What a law was shown in N ticks of one rollout, and what it said."""

    shown: Array  # (N, 5 n + m): q, qd, tau_meas, q_ref, qd_ref, qdd_ref
    said: Array  # (N, m) commands, before the envelope [unit of the robot's commands]

    def signals(self, robot: Robot) -> dict[str, Array]:
        """What was shown, by the names of signals: (N, n) each, `tau_meas` (N, m)."""
        return dict(zip(("q", "qd", "tau_meas", "q_ref", "qd_ref", "qdd_ref"), split(robot, self.shown), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """One rollout in lockstep."""

    trace: Trace
    exchange: Exchange


class _Elsewhere:
    """In the place of a slot of the control loop: its law has answered already."""

    def __init__(self) -> None:
        self.said: list[float] = []

    def compute(self, frame: Frame, reference: Reference) -> list[float]:
        return self.said


class _Lane:
    """One rollout that is under way."""

    def __init__(self, robot: Robot, place: int, scenario: Scenario, safety: Artefact) -> None:
        task = scenario.task(robot)
        self.place = place
        self.trace: Trace | None = None  # once it is over
        self._law = _Elsewhere()
        self._tick = Runtime(robot, cast(Slot, self._law), Slot(robot, safety)).tick
        self._steps = stepping(placed(robot, scenario, task), task.references())
        self._asked = np.hstack([task.q, task.qd, task.qdd])
        self._measured: list[float] = []
        self._said: list[float] = []
        self._now = next(self._steps)

    def show(self) -> Shown:
        """What the law is shown in this tick."""
        (_, _, q, qd, tau_meas, _), (q_ref, qd_ref, qdd_ref) = self._now
        measured = self._measured
        measured += q
        measured += qd
        measured += tau_meas
        return q, qd, tau_meas, q_ref, qd_ref, qdd_ref

    def take(self, said: list[float]) -> bool:
        """The law's command for this tick; whether the run goes on."""
        frame, reference = self._now
        self._said += said
        self._law.said = said
        try:
            self._now = self._steps.send(self._tick(frame, reference, frame.stamp_ns))
        except StopIteration as end:
            self.trace = end.value
            return False
        return True

    def driven(self) -> Driven:
        """What became of it."""
        assert self.trace is not None
        ticks = len(self.trace.command)
        measured = np.array(self._measured).reshape(ticks, -1)
        exchange = Exchange(
            shown=np.hstack([measured, self._asked[:ticks]]), said=np.array(self._said).reshape(ticks, -1)
        )
        return Driven(trace=self.trace, exchange=exchange)


def drive_apart(
    robot: Robot, scenarios: Sequence[Scenario], ask: Ask, safety: Artefact | None = None
) -> tuple[Driven, ...]:
    """Run all `scenarios`, several at a time, with a law that answers when it is asked.

    Args:
        safety: the law behind it, by default the robot's own.

    Raises:
        Broken: an answer was none. What was run is lost.
    """
    safety = safety or find_law(robot, robot.safety_controller)
    m, number = len(robot.actuators), 0
    done: dict[int, Driven] = {}
    for turn in _turns(scenarios):
        lanes = [_Lane(robot, place, scenarios[place], safety) for place in turn]
        while lanes:
            places = [lane.place for lane in lanes]
            left = True
            while left:
                answer = ask(marshal.dumps((number, places, [lane.show() for lane in lanes]), _MARSHAL))
                said = read_answer(answer, number, m * len(lanes))
                number += 1
                for k, lane in enumerate(lanes):
                    left &= lane.take(said[m * k : m * (k + 1)])
            done |= {lane.place: lane.driven() for lane in lanes if lane.trace is not None}
            lanes = [lane for lane in lanes if lane.trace is None]
    return tuple(done[place] for place in range(len(scenarios)))


def _turns(scenarios: Sequence[Scenario]) -> Iterator[list[int]]:
    """Places of scenarios that can be run at a time: no two of them in one world."""
    left = list(range(len(scenarios)))
    while left:
        worlds: dict[str, int] = {}
        for place in left:
            worlds.setdefault(sha256_of(scenarios[place].physics), place)
        yield list(worlds.values())
        left = [place for place in left if place not in worlds.values()]


def read_answer(answer: bytes, number: int, values: int) -> list[float]:
    """The commands in an answer to exchange `number`, as bits: what is no number is the envelope's to see.

    Raises:
        Broken: it is no such answer.
    """
    if len(answer) != _NUMBER.size + 8 * values:
        raise Broken(f"an answer of {len(answer)} bytes, not {_NUMBER.size + 8 * values}")
    if _NUMBER.unpack_from(answer)[0] != number:
        raise Broken(f"an answer to exchange {_NUMBER.unpack_from(answer)[0]}, asked in exchange {number}")
    said: list[float] = np.frombuffer(answer, dtype="<f8", offset=_NUMBER.size).tolist()
    return said


def say(slot: Slot, shown: Shown) -> list[float]:
    """(m,) commands; no numbers from a law that fails or gives too few, which the control loop takes alike."""
    try:
        said = slot.respond(*shown)
    except Exception:  # the checker has proved that there is none
        said = []
    return said if len(said) == slot.width else [math.nan] * slot.width


class Laws:
    """The far end: one law in as many fresh slots as there are rollouts.

    Args:
        robot: the robot it is for.
        artefact: the law.
        lanes: how many rollouts there are.
    """

    def __init__(self, robot: Robot, artefact: Artefact, lanes: int) -> None:
        self._slots = [Slot(robot, artefact) for _ in range(lanes)]

    def answer(self, exchange: bytes) -> bytes:
        """What the law says in one exchange."""
        number, places, shown = marshal.loads(exchange)  # noqa: S302 from the service's side
        slots, said = self._slots, []
        for place, each in zip(places, shown, strict=True):
            said += say(slots[place], each)
        return _NUMBER.pack(number) + struct.pack(f"<{len(said)}d", *said)
