"""From the twin's posterior to a diagnosis in words."""

from __future__ import annotations

from core.records import Cause, Diagnosis
from core.robot import Robot
from sim.gates import thousandths
from sim.twin.twin import RankedCause, Twin

AUTHOR = "rules@1"
_SHOWN = 5  # rivals below this rank are noise

_REFUTED_BY = {
    "payload": "the arm held still at rest without extra torque",
    "friction": "the extra torque did not change sign with the speed",
    "actuator_loss": "the missing torque did not grow with the torque asked for",
    "sensor_bias": "the gravity torque fitted the measured position",
    "delay": "the measured torque followed the command as promptly as before",
    "none": "the torque residual left its healthy noise",
}


def diagnose(incident_id: str, twin: Twin, fidelity: float) -> Diagnosis:
    """Rank the causes and say what happened, how sure that is, and what would refute it."""
    causes = tuple(_cause(ranked) for ranked in twin.causes[:_SHOWN] if ranked.probability >= 0.001) or (
        _cause(twin.causes[0]),
    )
    top = twin.causes[0]
    summary = f"Most likely {_in_words(top, twin.robot)} ({100 * top.probability:.0f} %). It would be refuted if "
    return Diagnosis(
        incident_id=incident_id,
        causes=causes,
        fidelity=fidelity,
        summary=summary + _REFUTED_BY[top.cause] + ".",
        author=AUTHOR,
    )


def _cause(ranked: RankedCause) -> Cause:
    return Cause(
        cause=ranked.cause,
        probability=ranked.probability,
        estimate=ranked.describe(ranked.theta),
        interval=ranked.interval(),
        remark=ranked.label,
    )


def _in_words(ranked: RankedCause, robot: Robot) -> str:
    estimate = ranked.describe(ranked.theta)
    joint = f" in joint {estimate['joint']:.0f}" if "joint" in estimate else ""
    match ranked.cause:
        case "payload":
            return f"an unknown load of {estimate['mass']:.2f} kg at the tool"
        case "friction":
            grown = f"grown to {estimate['scale']:.1f} times its healthy value" if "scale" in estimate else "grown"
            return f"friction{joint or ' in all joints'} {grown}"
        case "actuator_loss":
            share = f"{100 * estimate['gain']:.0f} % of the torque asked for"
            return f"a motor{joint} that gives {share}" if joint else f"motors that on average give {share}"
        case "sensor_bias":
            who = f"an encoder{joint} that reads" if joint else "encoders that on average read"
            unit = robot.units[round(estimate["joint"]) - 1] if joint else robot.tracking_unit
            return f"{who} {1000 * estimate['rad']:.1f} {thousandths(unit)} too much"
        case "delay":
            return f"commands that arrive {estimate['ms']:.1f} ms later than they did"
    return "no fault that the catalogue knows"
