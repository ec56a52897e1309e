"""How fast this machine runs laws: the time of one counted operation, measured once in a process."""

from __future__ import annotations

from functools import cache

from controllers.artefact import load_artefact, shipped_laws
from controllers.check import call_us
from controllers.controller import Controller
from core.clock import SystemClock
from core.ports import Ports

_LAW, _JOINTS = "computed_torque", 7  # the shipped law with the most arithmetic, on an arm


@cache
def ns_per_operation() -> float:
    """Time of one counted operation of a shipped law, undisturbed [ns]. No candidate is run for it."""
    ports = Ports(joints=_JOINTS, actuators=_JOINTS, output="tau")
    controller = Controller.from_artefact(load_artefact(shipped_laws()[_LAW]), ports)
    return 1000.0 * call_us(controller, ports, SystemClock()) / controller.cost
