"""The text of a robot.toml: every derived number with its unit and where it comes from."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable

from core.robot import Uses
from remend.own_robot import sizing as rules
from remend.own_robot.chain import Chain
from remend.own_robot.laws import CONTROLLER, SAFETY
from remend.own_robot.sizing import Sizing
from remend.own_robot.working_range import BRAKING

CHECK = "TO CHECK"
_WIDTH = 118


def robot_toml(name: str, urdf_name: str, chain: Chain, sizing: Sizing) -> str:
    """robot.toml for an arm whose URDF lies beside it as `urdf_name`."""
    s, first, last = sizing, chain.joints[0].name, chain.joints[-1].name
    unit, force = _unit(chain, "rad", "m"), _unit(chain, "N*m", "N")
    rate = _unit(chain, "rad/s", "m/s")
    inertia = _unit(chain, "kg*m^2", "kg")
    point = f"the frame '{s.point_of}'" if s.point_of else "the centre of mass of what the last joint moves"
    rotors = [joint.name for joint, given in zip(chain.joints, s.rotors_given, strict=True) if given]
    from_urdf = f" From the URDF: {', '.join(rotors)}." if rotors else ""
    lines = [
        *_say(
            f"{name}: {chain.words()}, from {chain.tree.file.name}. Written by `remend init`. SI units; lists run from "
            f"{first} to {last}. Limits of position, speed and effort are the URDF's. {CHECK} marks what no URDF says "
            "and a rule had to choose."
        ),
        *[f"# locked: {joint} ({why})" for joint, why in chain.locked],
        *[f"# made revolute, within its limits: {joint} (continuous before)" for joint in chain.bounded],
        f"name = {json.dumps(name)}",
        f"title = {json.dumps(f'{name}, {chain.words()}')}",
        'kind = "fixed_base"',
        f"urdf = {json.dumps(urdf_name)} # shapes are not used: mesh files may be missing",
        *_say("Moving joints from base to tip, along the longest chain of the URDF."),
        f"joints = {json.dumps([joint.name for joint in chain.joints])}",
        f"control_rate_hz = {s.control_rate_hz} # Hz; 500 unless --control-rate says otherwise",
        f"physics_rate_hz = {s.physics_rate_hz} # Hz; the multiple of the control rate that reaches 1000",
        f'controller = "{CONTROLLER}" # folder beside this file',
        f'safety_controller = "{SAFETY}" # folder beside this file',
        *_say(
            f"[{unit}] {CHECK}. The pose nearest to all zeros that keeps a quarter of each range free and that the "
            "motors hold with ease."
        ),
        f"home = {_list(s.home)}",
        *_say(f"[{unit}] A joint this far off its reference has been lost: 1, at most 0.3 of its range."),
        f"lost_error = {_list(s.lost_error)}",
        "",
        "[payload]",
        f"link = {json.dumps(chain.link)} # the last link of the arm",
        *_say(f"[m] {CHECK}. Centre of mass of a carried load, in the frame of that link: {point}."),
        f"point_m = {_list(round(x, 4) for x in s.point_m)}",
        *_say(f"[kg] {CHECK}. Loads that differ by less are healthy: 4 % of what the motors hold, of at most 5 kg."),
        f"tolerance_kg = {_number(rules.TOLERANCE * s.carried_kg)}",
        "",
        "[drive]",
        *_say(
            f"[{inertia}] {CHECK}. Motor and gear, reflected to the joint. Rule: under its effort limit the drive "
            f"alone reaches its speed limit, or 10 rad/s or 2 m/s, in {1000 * rules.RUN_UP_S:g} ms, the order of servo "
            f"motors.{from_urdf}"
        ),
        f"rotor_inertia = {_list(s.rotor_inertia)}",
        f"command_delay_s = {rules.DELAY_S:g} # s; {CHECK}: from command to effort, bus and current loop; chosen",
        *_say(f"[{_unit(chain, 'N*m/s', 'N/s')}] The full effort limit in 10 ms."),
        f"command_rate = {_list(s.command_rate)}",
        "",
        "[sensors] # standard deviation of white noise",
        *_say(f"[{unit}] {CHECK}. A range, or one turn, in 2^17 steps."),
        f"position_noise = {_list(s.position_noise)}",
        *_say(f"[{rate}] {CHECK}. A thousandth of the speed limit, of at most 2."),
        f"velocity_noise = {_list(s.velocity_noise)}",
        *_say(f"[{force}] {CHECK}. 0.2 % of the effort limit."),
        f"effort_noise = {_list(s.effort_noise)}",
        "",
        "[tasks]",
        'kinds = ["reach", "weave", "pick"]',
        *_say(
            f"[{unit}] {CHECK}: the arm moves anywhere between these, and no obstacle is known. Home -+ 0.8 rad, 0.3 "
            "of the range, 0.3 s at the speed limit, or what leaves room to stop, whichever is least, and 10 % of the "
            "range off its ends"
            + (", then less where gravity asks too much." if s.shrunk else ".")
            + f" In it the motors need up to {100 * s.held:.0f} % of their effort limit to hold the arm, "
            f"{100 * s.held_loaded:.0f} % with a load of {_number(s.load_kg)} kg."
        ),
        f"low = {_list(s.low)}",
        f"high = {_list(s.high)}",
        f"speed_fraction = {rules.SPEED_FRACTION:g} # of the speed limit at the fastest point of a move; chosen",
        f"effort_fraction = {s.effort_fraction:.2g} # of the effort limit that a move may need; 0.2 beyond holding",
        "",
        "[envelope]",
        f"power_w = {_number(s.power_w)} # W; {CHECK}: 0.3 of the sum of effort limit x speed limit",
        "speed_fraction = 1.0 # of the speed limit; beyond it the command is replaced",
        f"braking_fraction = {BRAKING:g} # of the effort limit that is counted on before a joint limit; chosen",
        "reject_factor = 3.0 # a command this many times beyond its limit is not clipped but replaced; chosen",
        f"stale_after_s = {max(0.01, 5.0 / s.control_rate_hz):g} # s; five ticks, at least 10 ms",
        "",
        "[canary] # as for the shipped arm",
        "stages = [0.1, 0.3, 1.0] # share of the candidate's command",
        "hold_s = [0.05, 0.05, 3.0] # s; the first two guard against gross errors, the last is the judgement",
        "fade_s = 0.1 # s",
        "shadow_s = 0.5 # s",
        "",
    ]
    return "\n".join(lines)


def uses_toml(uses: Uses, chain: Chain) -> str:
    """The table of robot.toml that takes a simulation with the rest of it."""
    lines = [
        "[uses] # of the healthy arm in its tasks; measured in simulation",
        *_say(f"[{_unit(chain, 'N*m', 'N')}] Root mean square, and what the tasks go beyond a tenth of the time."),
        f"effort_typical = {_list(uses.effort_typical)}",
        f"effort_peak = {_list(uses.effort_peak)}",
        *_say(f"[{_unit(chain, 'rad', 'm')}] Root mean square."),
        f"position_typical = {_list(uses.position_typical)}",
        "",
    ]
    return "\n" + "\n".join(lines)


def _say(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)]


def _unit(chain: Chain, turning: str, sliding: str) -> str:
    """The unit of the list: one, or each with the joints that it is for."""
    slides = [joint.name for joint in chain.joints if joint.unit == "m"]
    if not slides:
        return turning
    return sliding if len(slides) == len(chain.joints) else f"{turning}; {sliding} for {', '.join(slides)}"


def _number(value: float) -> str:
    """Three figures: what the rules are good for."""
    return repr(float(f"{value:.3g}") + 0.0)


def _list(values: Iterable[float]) -> str:
    return f"[{', '.join(_number(value) for value in values)}]"
