"""The lines between bridge, loop and helper of one robot: cells to read from, bells to be woken by, and a lifeline.

bridge -- frames, requests --> loop -- commands, answers --> bridge
loop   -- orders, receipts --> helper -- pieces, done   --> loop
loop   -- state            --> helper
"""

from __future__ import annotations

import os
import select
import struct
from dataclasses import dataclass
from typing import NamedTuple

from controllers.cell import Cell, cells
from controllers.parcel import CAPACITY
from core.frames import Frame, Reference, pack_frame, unpack_frame
from core.ports import Ports

_MESSAGE = 64 * 1024  # bytes; a request, an answer, an order


class Bell:
    """Wakes one process. Rings that nobody heard yet count as one."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK)

    def ring(self) -> None:
        os.eventfd_write(self.descriptor, 1)

    def quieten(self) -> None:
        """Forget rings so far."""
        try:
            os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return


class Waiting:
    """Waits for a bell, or for the end of the bridge, whose end of the lifeline then closes."""

    def __init__(self, bell: Bell, lifeline: int) -> None:
        self._bell, self._lifeline = bell, lifeline
        self._poll = select.poll()
        self._poll.register(bell.descriptor, select.POLLIN)
        self._poll.register(lifeline, select.POLLIN | select.POLLHUP)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether the bell rang.

        Raises:
            EOFError: the bridge is gone.
        """
        ready = self._poll.poll(None if timeout_s is None else max(timeout_s, 0.0) * 1000)
        for descriptor, _ in ready:
            if descriptor == self._lifeline:
                raise EOFError
        self._bell.quieten()
        return bool(ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Made by the bridge before it forks the others."""

    frames: Cell  # a measurement with its reference
    commands: Cell
    requests: Cell  # what the bridge wants, pickled
    answers: Cell
    orders: Cell  # what the loop wants written
    done: Cell  # what became of it
    pieces: Cell  # of a prepared law
    receipts: Cell  # number of the last piece taken in, and what became of the whole
    state: Cell  # what runs, for the helper to verify against
    loop_bell: Bell
    bridge_bell: Bell
    helper_bell: Bell
    lifeline: tuple[int, int]  # only the bridge keeps the writing end


def make_lines(ports: Ports) -> Lines:
    """Lines for a robot with these ports."""
    width = 16 + 8 * (5 * ports.joints + 2 * ports.actuators)
    reply = 16 + 8 * (3 * ports.joints + ports.actuators)
    frames, commands, requests, answers, orders, done, pieces, receipts, state = cells(
        width, reply, _MESSAGE, _MESSAGE, _MESSAGE, _MESSAGE, CAPACITY, _MESSAGE, 1024
    )
    return Lines(
        frames=frames,
        commands=commands,
        requests=requests,
        answers=answers,
        orders=orders,
        done=done,
        pieces=pieces,
        receipts=receipts,
        state=state,
        loop_bell=Bell(),
        bridge_bell=Bell(),
        helper_bell=Bell(),
        lifeline=os.pipe(),
    )


class Reply(NamedTuple):
    """What the loop answers to a measurement."""

    seq: int  # of the measurement
    tau: list[float]  # m
    reference: Reference  # that this tick followed
    held: bool  # whether that is a hold's, and not the one that came with the measurement


class FrameCode:
    """Measurements and commands of one robot as bytes, bit for bit."""

    def __init__(self, ports: Ports) -> None:
        self._joints, self._actuators = ports.joints, ports.actuators
        self._reference = struct.Struct(f"<{3 * ports.joints}d")
        self._command = struct.Struct(f"<qq{ports.actuators + 3 * ports.joints}d")

    def pack(self, frame: Frame, reference: Reference) -> bytes:
        """A measurement and what it should have been."""
        return pack_frame(frame) + self._reference.pack(*reference.q_ref, *reference.qd_ref, *reference.qdd_ref)

    def unpack(self, data: bytes) -> tuple[Frame, Reference]:
        """Inverse of `pack`."""
        n, at = self._joints, len(data) - self._reference.size
        frame = unpack_frame(data[:at], n, self._actuators)
        values = list(self._reference.unpack_from(data, at))
        return frame, Reference(q_ref=values[:n], qd_ref=values[n : 2 * n], qdd_ref=values[2 * n :])

    def pack_reply(self, reply: Reply) -> bytes:
        """An answer to a measurement."""
        q_ref, qd_ref, qdd_ref = reply.reference
        return self._command.pack(reply.seq, reply.held, *reply.tau, *q_ref, *qd_ref, *qdd_ref)

    def unpack_reply(self, data: bytes) -> Reply:
        """Inverse of `pack_reply`."""
        seq, held, *values = self._command.unpack(data)
        m, n = self._actuators, self._joints
        reference = Reference(*(values[at : at + n] for at in range(m, m + 3 * n, n)))
        return Reply(seq, values[:m], reference, bool(held))
