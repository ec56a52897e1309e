"""How a command ends that went wrong: one sentence on standard error, and the exit code that scripts rely on."""

from __future__ import annotations

import sys
import traceback

from core.errors import RemendError
from remend.disk import no_room

_LEARNING = ("torch", "stable_baselines3", "sb3_contrib")  # what the extra `rl` brings
_OF_ROS = ("rclpy", "builtin_interfaces", "geometry_msgs", "nav_msgs", "sensor_msgs", "std_msgs")


def said(error: BaseException) -> int:
    """Say what went wrong; the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return _say("stopped", 130)
    known = no_room(error) if isinstance(error, OSError) else error
    if isinstance(known, RemendError):
        return _say(str(known), known.exit_code)
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").split(".")[0]
        extra = "rl" if missing in _LEARNING else "ros" if missing in _OF_ROS else "sim"
        return _say(f"{error.name} is not installed; run pip install 'remend[{extra}]'", 2)
    traceback.print_exception(error)
    return _say("internal fault; the lines above say where", 3)


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(f"remend: {sentence}\n")
    return code
