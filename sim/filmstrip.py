"""A rollout to look at: a few pictures of a robot along the way, the same moments for every controller.

Drawn from recorded commands, by a process that meets no controller, so a picture cannot be of another run than the
figures are.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.metrics import Array
from core.robot import Robot
from sim.replay import retrace
from sim.scenario import Scenario
from sim.sketch import Sketch

PICTURES = 6
_COLOURS = 32  # of a picture; more cannot be told apart in a line drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A moment of a rollout."""

    t_s: float
    error: float  # root mean square of the tracked coordinates' errors, each as a share of what counts as lost
    lost: bool  # the rollout had ended by then; the picture shows its last moment
    png: bytes


def filmstrip(robot: Robot, scenario: Scenario, command: Array, pictures: int = PICTURES) -> tuple[Picture, ...]:
    """The robot (dark) and its reference (pale) at moments that divide the scenario evenly, its end included.

    Args:
        command: (N, m) recorded commands of the rollout.
    """
    trace = retrace(robot, scenario, command)
    sketch = Sketch(robot)
    shares = trace.error[:, list(trace.tracked)] / np.array(robot.lost_error)[list(trace.tracked)]
    found = []
    for t_s in _moments(scenario.duration_s, pictures):
        tick = min(round(t_s * robot.control_rate_hz), round(scenario.duration_s * robot.control_rate_hz) - 1)
        last = min(tick, len(trace.error) - 1)
        q = trace.q_true[last]
        found.append(
            Picture(
                t_s=t_s,
                error=float(np.sqrt(np.mean(np.square(shares[last])))),
                lost=last < tick,
                png=_png(sketch.draw(q, q + trace.error[last])),
            )
        )
    return tuple(found)


def _moments(duration_s: float, pictures: int) -> Sequence[float]:
    return [duration_s * (k + 1) / pictures for k in range(pictures)]


def _png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).quantize(_COLOURS).save(out, format="PNG", optimize=True)
    return out.getvalue()
