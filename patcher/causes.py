"""What Remend says of every cause: in words, what would refute it, and whether a controller can answer it at all.

A controller that hides a broken encoder or a dying motor does harm. For those the advice is a degraded mode or a
maintenance note instead of, or on top of, a patch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sim.gates.answer import thousandths

Estimate = Mapping[str, float]

_DYING = 0.4  # a motor that gives less than this share of its effort is on its way out
_BLIND = 0.6  # share of readings that may repeat before a position sensor counts as broken
_NOISY = 25.0  # factor on the noise from which a position sensor counts as broken
_DERATED = 0.5  # share of the effort limit below which the robot has to work less hard


def _always(_: Estimate) -> bool:
    return True


def _never(_: Estimate) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseWords:
    """One cause of the catalogue."""

    title: str  # two or three words
    told: Callable[[Estimate, str, str], str]  # estimate, place ("in joint 3"), unit of the coordinate -> what happened
    refuted_by: str  # what telemetry would show if it were not so; goes on from "It would be refuted if"
    check: str  # what a person can do at the robot, and what would speak against the cause there
    patchable: Callable[[Estimate], bool] = _always  # whether a controller should answer it
    advice: str = ""  # what to do if not


_ENCODER = "Replace the position sensor; until then run in a degraded mode, slowly and away from people and limits."

WORDS: Mapping[str, CauseWords] = {
    "none": CauseWords(
        title="no fault",
        told=lambda e, at, unit: "no fault that the catalogue knows",
        refuted_by="the residuals left their healthy noise",
        check="Refuted if the alarm comes back in a quiet, known situation.",
    ),
    "payload": CauseWords(
        title="unknown payload",
        told=lambda e, at, unit: f"an unknown load of {e['mass']:.2f} kg at the tool",
        refuted_by="the robot held still at rest without extra effort",
        check="Take the load off the tool: refuted if the test ratio stays above 1.",
    ),
    "com": CauseWords(
        title="off-centre load",
        told=lambda e, at, unit: (
            f"a load of {e['mass']:.2f} kg that hangs "
            f"({100 * e['x']:.1f}, {100 * e['y']:.1f}, {100 * e['z']:.1f}) cm off its point"
        ),
        refuted_by="the extra torque did not change as the tool is turned about its own axis",
        check="Take the load off the tool: refuted if the test ratio stays above 1.",
    ),
    "friction": CauseWords(
        title="joint friction",
        told=lambda e, at, unit: (
            f"friction {at} grown to {e['scale']:.1f} times its healthy value"
            if "scale" in e
            else f"viscous friction {at} grown"
        ),
        refuted_by="the extra torque did not change sign with the speed",
        check="Move the joint slowly back and forth by itself: refuted if its torque does not grow with speed.",
    ),
    "coulomb": CauseWords(
        title="dry friction",
        told=lambda e, at, unit: f"dry friction {at} of {100 * e['share']:.1f} % of the effort limit",
        refuted_by="the extra torque grew with the speed instead of keeping its size",
        check="Move the joint at two speeds: refuted if its torque differs between them.",
    ),
    "stiction": CauseWords(
        title="a sticking joint",
        told=lambda e, at, unit: f"breakaway friction {at} of {100 * e['share']:.1f} % of the effort limit",
        refuted_by="starting from rest took no more torque than moving on",
        check="Raise the torque of the resting joint slowly: refuted if it starts without a jerk.",
    ),
    "spring": CauseWords(
        title="elastic drag",
        told=lambda e, at, unit: (
            f"something elastic {at} that pulls towards home with {e['stiffness']:.1f} per unit of way"
        ),
        refuted_by="the extra torque did not grow with the distance from home",
        check="Look for a cable or hose under tension: refuted if the joint stays where it is left without torque.",
    ),
    "ripple": CauseWords(
        title="cogging",
        told=lambda e, at, unit: (
            f"torque {at} that repeats with the angle, {100 * e['share']:.1f} % of the effort limit"
        ),
        refuted_by="the extra torque did not repeat twelve times a turn",
        check="Turn the joint slowly by hand: refuted if it does not pull from notch to notch.",
    ),
    "stuck": CauseWords(
        title="a joint that is stuck",
        told=lambda e, at, unit: f"a brake or bearing {at} that does not let go",
        refuted_by="the joint moved",
        check="Release the brake and move the joint by hand: refuted if it turns.",
        patchable=_never,
        advice="Release or replace the brake; until then only tasks that leave this joint where it stands.",
    ),
    "actuator_loss": CauseWords(
        title="weak actuator",
        told=lambda e, at, unit: (
            f"a motor {at} that gives {100 * e['gain']:.0f} % of the effort asked for"
            if not at.startswith("in all")
            else f"motors that on average give {100 * e['gain']:.0f} % of the effort asked for"
        ),
        refuted_by="the missing torque did not grow with the torque asked for",
        check="Hold a known weight still: refuted if commanded torque and the weight's torque agree.",
        patchable=lambda e: e["gain"] >= _DYING,
        advice="The motor is failing: replace it, and until then run in a degraded mode that spares it.",
    ),
    "thrust_loss": CauseWords(
        title="weak rotor",
        told=lambda e, at, unit: f"a rotor {at} that gives {100 * e['gain']:.0f} % of its thrust",
        refuted_by="hovering took no more thrust from this rotor than from the others",
        check="Spin the rotor on a balance: refuted if thrust at a known speed is that of the data sheet.",
        patchable=lambda e: e["gain"] >= 0.6,
        advice="Land and replace rotor or motor: with less thrust the aircraft cannot hover.",
    ),
    "torque_limit": CauseWords(
        title="early saturation",
        told=lambda e, at, unit: f"a drive {at} that stops at {100 * e['share']:.0f} % of its effort limit",
        refuted_by="the drive went beyond that effort",
        check="Ask the drive for a growing torque against a stop: refuted if it passes this share of its limit.",
        patchable=lambda e: e["share"] >= _DERATED,
        advice="Let the drive cool and look for a current limit; until then run slower and with less load.",
    ),
    "backlash": CauseWords(
        title="play in a gear",
        told=lambda e, at, unit: f"play {at} of {1000 * e['rad']:.1f} {thousandths(unit)}",
        refuted_by="effort arrived at once after it changed sign",
        check="Hold the motor and rock the link: refuted if it does not move freely.",
    ),
    "deadband": CauseWords(
        title="lost small efforts",
        told=lambda e, at, unit: f"a drive {at} that loses the first {100 * e['share']:.1f} % of its effort",
        refuted_by="small efforts arrived in full",
        check="Ask the resting drive for a slowly growing torque: refuted if it answers from the start.",
    ),
    "motor_lag": CauseWords(
        title="a slow drive",
        told=lambda e, at, unit: f"a drive {at} that follows {e['ms']:.1f} ms more slowly",
        refuted_by="measured effort followed a step of the command at once",
        check="Command a small step and record the current: refuted if it rises as fast as on the healthy robot.",
    ),
    "sag": CauseWords(
        title="a supply that sags",
        told=lambda e, at, unit: f"a supply that leaves {100 * e['share']:.0f} % of the effort missing at full load",
        refuted_by="drives gave what was asked for while all of them worked hard",
        check="Measure the supply voltage while all joints move: refuted if it stays.",
    ),
    "delay": CauseWords(
        title="command delay",
        told=lambda e, at, unit: f"commands that arrive {e['ms']:.1f} ms later than they did",
        refuted_by="the measured effort followed the command as promptly as before",
        check="Command a small step and time the torque: refuted if the lag is as long as on the healthy robot.",
    ),
    "jitter": CauseWords(
        title="command jitter",
        told=lambda e, at, unit: f"commands that arrive up to {e['ms']:.1f} ms late, at random",
        refuted_by="every command took as long as the one before",
        check="Record arrival times on the bus: refuted if they keep their period.",
    ),
    "dropped": CauseWords(
        title="lost commands",
        told=lambda e, at, unit: f"{100 * e['share']:.0f} % of the commands that never arrive",
        refuted_by="the effort changed with every command",
        check="Compare the counters of both ends of the bus: refuted if as many arrive as are sent.",
        patchable=lambda e: e["share"] < 0.3,
        advice="Repair the bus: no controller makes up for commands that do not arrive.",
    ),
    "sensor_bias": CauseWords(
        title="encoder offset",
        told=lambda e, at, unit: (
            f"an encoder {at} that reads {1000 * e['rad']:.1f} {thousandths(unit)} too much"
            if not at.startswith("in all")
            else f"encoders that on average read {1000 * e['rad']:.1f} {thousandths(unit)} too much"
        ),
        refuted_by="the gravity torque fitted the measured position",
        check="Drive the joint to its mechanical reference mark: refuted if the reading agrees with the mark.",
    ),
    "sensor_scale": CauseWords(
        title="encoder scale",
        told=lambda e, at, unit: f"a position sensor {at} that reads {100 * e['share']:+.1f} % of the way too much",
        refuted_by="position and integrated velocity kept together",
        check="Drive between two marks of known distance: refuted if the readings differ by that distance.",
    ),
    "sensor_noise": CauseWords(
        title="a noisy encoder",
        told=lambda e, at, unit: f"a position sensor {at} with {e['factor']:.1f} times its healthy noise",
        refuted_by="readings of the resting joint scattered no more than they used to",
        check="Record the resting joint: refuted if the readings scatter as little as on the healthy robot.",
        patchable=lambda e: e["factor"] < _NOISY,
        advice=_ENCODER,
    ),
    "quantisation": CauseWords(
        title="a coarse encoder",
        told=lambda e, at, unit: (
            f"a position sensor {at} that counts in steps of {1000 * e['rad']:.2f} {thousandths(unit)}"
        ),
        refuted_by="readings fell between these steps",
        check="Turn the joint very slowly: refuted if the reading moves smoothly.",
    ),
    "freeze": CauseWords(
        title="a frozen encoder",
        told=lambda e, at, unit: f"a position reading {at} that stands still while the joint moves",
        refuted_by="the reading changed",
        check="Turn the joint by hand: refuted if the reading follows.",
        patchable=_never,
        advice=_ENCODER,
    ),
    "dropout": CauseWords(
        title="missing readings",
        told=lambda e, at, unit: f"a position sensor {at} that repeats {100 * e['share']:.0f} % of its readings",
        refuted_by="every reading of the moving joint differed from the last",
        check="Watch the sensor's bus for errors: refuted if every sample arrives.",
        patchable=lambda e: e["share"] < _BLIND,
        advice=_ENCODER,
    ),
    "velocity_bias": CauseWords(
        title="velocity offset",
        told=lambda e, at, unit: f"a velocity sensor {at} that reads {e['rate']:+.3f} {unit}/s too much",
        refuted_by="the velocity of the resting joint was zero",
        check="Hold the joint still: refuted if its velocity reads zero.",
    ),
    "imu_bias": CauseWords(
        title="gyroscope offset",
        told=lambda e, at, unit: f"a gyroscope {at} that reads {e['rate']:+.3f} {unit}/s too much",
        refuted_by="attitude and integrated rate kept together",
        check="Leave the robot on the ground: refuted if its rates read zero.",
    ),
    "wind": CauseWords(
        title="steady wind",
        told=lambda e, at, unit: f"a force of ({e['force']:.3f}, {e['side']:.3f}) N on the body",
        refuted_by="hovering on the spot took no tilt",
        check="Fly in still air: refuted if the robot still leans.",
    ),
    "wheel_radius": CauseWords(
        title="wheel radius",
        told=lambda e, at, unit: f"a wheel {at} whose radius has changed by {100 * e['share']:+.1f} %",
        refuted_by="the way over ground fitted the turns of the wheel",
        check="Roll ten turns along a tape measure: refuted if the way is that of the data sheet.",
    ),
    "slip": CauseWords(
        title="a slipping wheel",
        told=lambda e, at, unit: f"a wheel {at} that loses {100 * e['share']:.0f} % of its motion",
        refuted_by="the way over ground fitted the turns of the wheel",
        check="Drive on a dry, rough floor: refuted if the way still falls short.",
    ),
    "ground_friction": CauseWords(
        title="slippery ground",
        told=lambda e, at, unit: f"a ground with {100 * e['share']:.0f} % of its friction",
        refuted_by="feet and wheels held under the same forces as before",
        check="Go to a dry, rough floor: refuted if the robot still slips.",
    ),
}


def words_of(fault: str) -> CauseWords:
    """The words for `fault`; plain ones for a fault that an installed package has added."""
    if fault in WORDS:
        return WORDS[fault]
    name = fault.replace("_", " ")
    return CauseWords(
        title=name,
        told=lambda e, at, unit: f"{name} {at}".strip(),
        refuted_by=f"telemetry without {name} looked the same",
        check=f"Rule out {name} at the robot.",
    )
