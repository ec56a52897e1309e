"""What a law remembered at one moment, found from the commands that it gave until then.

Telemetry holds no integrals, but it holds the commands, and the law that gave them is known. So its memory some time
before is chosen such that it gives the same commands again (Gauss-Newton; a command is linear in an integral).
"""

from __future__ import annotations

import numpy as np

from controllers.artefact import Artefact
from controllers.slot import Slot
from core.block import Array, Block
from core.frames import TelemetryRow
from core.robot import Robot

States = dict[str, list[float]]

_LOOK_BACK_S = 2.0
_MOST_ENTRIES = 16  # of a memory that is searched; more are a delay line, which is right once it has been filled
_ROUNDS = 3
_STEP = 1e-4  # of the derivative, in units of the memory


def recall(robot: Robot, artefact: Artefact, before: Block) -> States:
    """The states of `artefact` after it has read `before`, telemetry of a robot that it controlled."""
    rows = before[-round(_LOOK_BACK_S * robot.control_rate_hz) :].rows()
    slot = Slot(robot, artefact)
    memory = _flat(slot.controller.states)
    if not len(memory) or len(rows) < 2:
        return slot.controller.states
    given = np.array([row.frame.tau_cmd for row in rows[1:]])  # a frame carries the command of the tick before
    commands, states = _read(Slot(robot, artefact, slot), memory, rows)
    if len(memory) > _MOST_ENTRIES:
        return states
    for _ in range(_ROUNDS):
        nudged = [_read(Slot(robot, artefact, slot), memory + _STEP * axis, rows)[0] for axis in np.eye(len(memory))]
        slope = np.stack([(other - commands).reshape(-1) for other in nudged], axis=1) / _STEP
        better = memory + np.linalg.lstsq(slope, (given - commands).reshape(-1), rcond=1e-6)[0]
        again, after = _read(Slot(robot, artefact, slot), better, rows)
        if not np.square(given - again).sum() < np.square(given - commands).sum():
            break
        memory, commands, states = better, again, after
    return states


def _read(slot: Slot, memory: Array, rows: list[TelemetryRow]) -> tuple[Array, States]:
    """(N - 1, m) commands of a law that starts with `memory` and reads `rows`, and what it remembers then."""
    values = iter(memory.tolist())
    for entries in slot.controller.states.values():
        entries[:] = [next(values) for _ in entries]
    commands = [slot.compute(row.frame, row.reference) for row in rows]
    return np.array(commands[:-1]), slot.controller.export_state()


def _flat(states: States) -> Array:
    return np.array([value for entries in states.values() for value in entries])
