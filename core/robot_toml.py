"""`robot.toml`: read once, and checked key by key."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from core.errors import BadInput
from core.ports import OUTPUTS
from core.robot import (
    FIXED_BASE,
    CanaryPlan,
    Drive,
    EnvelopeLimits,
    JointLimits,
    Robot,
    Sensors,
    TaskSpace,
    Uses,
)
from core.toml_file import read_toml
from core.toml_table import Table
from core.urdf import read_base_link, read_joint_limits, read_joint_units

_UNITS = ("rad", "m")
_RUN_S = 2.0  # a few moves of an arm
_SETTLE_S = 0.25  # six time constants of a loop with 25 rad/s
_FROM_URDF = "comes from the URDF where the kind is fixed_base; remove it"


def load_robot(file: Path) -> Robot:
    """Read a `robot.toml` and what its URDF adds.

    Raises:
        BadInput: the file or a key is missing, mistyped, out of range or unknown.
    """
    top = Table(file, read_toml(file, what="a robot.toml"))
    kind = top.text("kind") if top.has("kind") else FIXED_BASE
    mode = top.choice("mode", list(OUTPUTS)) if top.has("mode") else "torque"
    urdf = file.parent / top.text("urdf")
    joints = top.names("joints")
    actuators = top.names("actuators") if top.has("actuators") else joints
    _check_actuators(top, kind, mode, joints, actuators)
    n, m = len(joints), len(actuators)
    control_rate_hz = top.whole("control_rate_hz", 10, 2000)
    payload_link, payload_point_m, payload_tolerance_kg = _payload(top, kind, urdf)
    robot = Robot(
        name=top.text("name"),
        title=top.text("title"),
        kind=kind,
        folder=file.parent,
        urdf=urdf,
        joints=joints,
        units=_units(top, kind, urdf, joints),
        tracked=_tracked(top, joints),
        actuators=actuators,
        mode=mode,
        control_rate_hz=control_rate_hz,
        physics_rate_hz=top.whole("physics_rate_hz", 10, 100_000) if top.has("physics_rate_hz") else control_rate_hz,
        controller=top.name("controller"),
        safety_controller=top.name("safety_controller"),
        home=top.numbers("home", n),
        lost_error=top.each("lost_error", n, 1e-6) if top.has("lost_error") else (1.0,) * n,
        payload_link=payload_link,
        payload_point_m=payload_point_m,
        payload_tolerance_kg=payload_tolerance_kg,
        constants=top.table("constants").free() if top.has("constants") else {},
        limits=_limits(top, kind, mode, urdf, joints, actuators),
        drive=_drive(top.table("drive"), kind, n, m),
        sensors=_sensors(top.table("sensors"), n, m),
        tasks=_tasks(top.table("tasks"), n),
        uses=_uses(top.table("uses"), n, m) if top.has("uses") else None,
        envelope=_envelope(top.table("envelope"), mode),
        canary=_canary(top.table("canary")),
    )
    top.close()
    _check(file, robot)
    return robot


def _check_actuators(top: Table, kind: str, mode: str, joints: tuple[str, ...], actuators: tuple[str, ...]) -> None:
    if kind == FIXED_BASE and mode == "thrust":
        raise top.fail("mode", "must be torque or position where the kind is fixed_base, not 'thrust'")
    for name in actuators:
        if name not in joints and (kind == FIXED_BASE or mode == "position"):
            raise top.fail("actuators", f"must be a list of joints that are driven; '{name}' is none of the joints")


def _units(top: Table, kind: str, urdf: Path, joints: tuple[str, ...]) -> tuple[str, ...]:
    if kind == FIXED_BASE:
        if top.has("units"):
            raise top.fail("units", _FROM_URDF)
        return read_joint_units(urdf, joints)
    units = top.texts("units")
    if len(units) != len(joints) or not set(units) <= set(_UNITS):
        raise top.fail("units", f"must be a list of {len(joints)} entries, each {' or '.join(_UNITS)}")
    return units


def _tracked(top: Table, joints: tuple[str, ...]) -> tuple[int, ...]:
    if not top.has("tracked"):
        return tuple(range(len(joints)))
    names = top.names("tracked")
    unknown = [name for name in names if name not in joints]
    if unknown:
        raise top.fail("tracked", f"must be a list of joints; '{unknown[0]}' is none of {', '.join(joints)}")
    return tuple(joints.index(name) for name in names)


def _payload(top: Table, kind: str, urdf: Path) -> tuple[str, tuple[float, float, float], float]:
    """Link and point of a load, and by how much it may differ; a robot that is no arm may leave it at its base."""
    if kind != FIXED_BASE and not top.has("payload"):
        return read_base_link(urdf), (0.0, 0.0, 0.0), 0.0
    payload = top.table("payload")
    link, (x, y, z) = payload.text("link"), payload.numbers("point_m", 3)
    tolerance_kg = payload.number("tolerance_kg", 0.0, 1e3) if payload.has("tolerance_kg") else 0.0
    payload.close()
    return link, (x, y, z), tolerance_kg


def _limits(
    top: Table, kind: str, mode: str, urdf: Path, joints: tuple[str, ...], actuators: tuple[str, ...]
) -> JointLimits:
    if kind == FIXED_BASE:
        if top.has("limits"):
            raise top.fail("limits", _FROM_URDF)
        limits = read_joint_limits(urdf, joints, actuators)
    else:
        n, m = len(joints), len(actuators)
        table = top.table("limits")
        low, high = table.numbers("effort_low", m), table.numbers("effort_high", m)
        if not all(a < b for a, b in zip(low, high, strict=True)):
            raise table.fail("effort_low", "must be a list of numbers below those of effort_high")
        limits = JointLimits(
            lower=table.numbers("low", n),
            upper=table.numbers("high", n),
            speed=table.numbers("speed", n, 1e-6),
            damping=table.each("damping", n, 0.0) if table.has("damping") else (0.0,) * n,
            effort_low=low,
            effort_high=high,
            effort=tuple(max(abs(a), abs(b)) for a, b in zip(low, high, strict=True)),
        )
        table.close()
    if mode != "position":
        return limits
    at = [joints.index(name) for name in actuators]  # a position drive takes every position of its joint
    return replace(
        limits, effort_low=tuple(limits.lower[i] for i in at), effort_high=tuple(limits.upper[i] for i in at)
    )


def _drive(table: Table, kind: str, n: int, m: int) -> Drive:
    given = kind == FIXED_BASE or table.has("rotor_inertia")
    drive = Drive(
        rotor_inertia=table.numbers("rotor_inertia", n, 0.0, 100.0) if given else (0.0,) * n,
        command_delay_s=table.number("command_delay_s", 0.0, 0.1),
        command_rate=table.numbers("command_rate", m, 0.0),
    )
    table.close()
    return drive


def _sensors(table: Table, n: int, m: int) -> Sensors:
    sensors = Sensors(
        position_noise=table.each("position_noise", n, 0.0, 0.1),
        velocity_noise=table.each("velocity_noise", n, 0.0, 10.0),
        effort_noise=table.each("effort_noise", m, 0.0, 100.0),
    )
    table.close()
    return sensors


def _tasks(table: Table, n: int) -> TaskSpace:
    tasks = TaskSpace(
        kinds=table.names("kinds"),
        low=table.numbers("low", n),
        high=table.numbers("high", n),
        speed_fraction=table.number("speed_fraction", 0.01, 1.0),
        effort_fraction=table.number("effort_fraction", 0.05, 1.0),
        run_s=table.number("run_s", 0.5, 60.0) if table.has("run_s") else _RUN_S,
    )
    table.close()
    return tasks


def _uses(table: Table, n: int, m: int) -> Uses:
    uses = Uses(
        effort_typical=table.numbers("effort_typical", m, 0.0),
        effort_peak=table.numbers("effort_peak", m, 0.0),
        position_typical=table.numbers("position_typical", n, 0.0),
    )
    table.close()
    return uses


def _envelope(table: Table, mode: str) -> EnvelopeLimits:
    envelope = EnvelopeLimits(
        power_w=table.number("power_w", 0.1) if mode == "torque" else math.inf,
        speed_fraction=table.number("speed_fraction", 0.1, 2.0),
        braking_fraction=table.number("braking_fraction", 0.05, 1.0) if mode == "torque" else 1.0,
        reject_factor=table.number("reject_factor", 1.0, 100.0),
        stale_after_s=table.number("stale_after_s", 1e-4, 1.0),
    )
    table.close()
    return envelope


def _canary(table: Table) -> CanaryPlan:
    stages = table.numbers("stages", None, 0.0, 1.0)
    if not stages or stages[-1] != 1.0 or list(stages) != sorted(stages):
        raise table.fail("stages", "must rise and end at 1.0")
    plan = CanaryPlan(
        stages=stages,
        hold_s=table.numbers("hold_s", len(stages), 0.0, 3600.0),
        fade_s=table.number("fade_s", 0.0, 60.0),
        shadow_s=table.number("shadow_s", 0.0, 3600.0),
        settle_s=table.number("settle_s", 0.0, 3600.0) if table.has("settle_s") else _SETTLE_S,
    )
    table.close()
    return plan


def _check(file: Path, robot: Robot) -> None:
    """Relations between keys that no single key can show."""
    limits, tasks = robot.limits, robot.tasks
    if robot.physics_rate_hz % robot.control_rate_hz:
        raise BadInput(f"{file}: physics_rate_hz must be a whole multiple of {robot.control_rate_hz}, the control rate")
    for i, joint in enumerate(robot.joints):
        if not limits.lower[i] <= tasks.low[i] <= tasks.high[i] <= limits.upper[i] or (
            i in robot.tracked and tasks.low[i] == tasks.high[i]
        ):
            raise BadInput(f"{file}: tasks.low and high of {joint} must be a range inside its joint limits")
        if not limits.lower[i] < robot.home[i] < limits.upper[i]:
            raise BadInput(f"{file}: home of {joint} must lie inside its joint limits")
