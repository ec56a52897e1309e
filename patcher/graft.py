"""Grafts: a law with a skill in it, as text that a person would have written.

Lines are added and readings replaced in the source, so comments and names stay. Nothing here is trusted: the checker of
the law language judges the result, and a law that a skill does not fit is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.artefact import Artefact, artefact_from_files
from controllers.controller import Controller
from controllers.library import find_law
from controllers.manifest import parse_manifest
from controllers.params import Value, parse_params, render_params
from core.errors import BadInput
from core.robot import Robot
from core.toml_file import parse_toml, render_toml
from patcher.law_text import with_skill
from patcher.skill import Skill, SkillParam
from sim.effect import Effect

_DECIMALS = 12  # of bounds: enough for every unit, and no noise of multiplication


def graft(law: Artefact, robot: Robot, skill: Skill, effect: Effect) -> Artefact:
    """`law` with the skill in it, its parameters at what the effect says.

    Raises:
        BadInput: the skill does not fit this law or this robot.
    """
    if not skill.suits(robot):
        raise BadInput(f"{skill.name} is not for {robot.name}")
    if skill.replace is not None:
        return _replaced(law, robot, skill.replace)
    manifest = parse_toml(law.files["manifest.toml"], f"{law.name}/manifest.toml")
    taken = [name for name in (*(p.name for p in skill.params), *skill.states) if _declares(manifest, name)]
    if taken:
        raise BadInput(f"{law.name} has {', '.join(taken)} already")
    added = [name for name in (*skill.signals, *skill.reads) if name not in manifest["signals"]]
    added = list(dict.fromkeys(added))
    manifest["signals"] = [*manifest["signals"], *added]
    for param in skill.params:
        manifest.setdefault("params", {})[param.name] = _declaration(param, robot)
    for name, (size, unit) in skill.states.items():
        units = _units(unit, size, robot)
        entry: dict[str, Any] = {"unit": " or ".join(dict.fromkeys(units)), "size": len(units)}
        manifest.setdefault("states", {})[name] = entry
    if skill.model_offset is not None and _reads_model(law):
        if "model" in manifest:
            raise BadInput(f"{law.name} corrects the model's position already")
        manifest = {"model": {"position_offset": skill.model_offset}, **manifest}
    arguments = [*added, *(p.name for p in skill.params), *skill.states]
    source = with_skill(law.files["law.py"].decode(), robot, skill, arguments)
    data = render_toml(manifest).encode()
    parsed = parse_manifest(data, f"{law.name}/manifest.toml")
    old = parse_params(law.files["params.toml"], parse_manifest(law.files["manifest.toml"]))
    values = {**old, **{param.name: start(param, robot, effect) for param in skill.params}}
    files = {
        **law.files,
        "law.py": source.encode(),
        "manifest.toml": data,
        "params.toml": render_params(parsed, values),
    }
    grafted = artefact_from_files(law.name, files)
    Controller.from_artefact(grafted, robot.ports)
    return grafted


def neutral(skill: Skill, robot: Robot) -> dict[str, Value]:
    """Values of the skill's parameters at which it changes nothing."""
    return {p.name: _sized([p.neutral * s for s in _scales(p, robot)], p) for p in skill.params}


def start(param: SkillParam, robot: Robot, effect: Effect) -> Value:
    """Where a parameter starts: at the amount of the effect, inside its bounds."""
    scales = _scales(param, robot)
    if param.field is None:
        assert param.start is not None
        wanted = [param.start * scale for scale in scales]
    else:
        base = [param.neutral * scale for scale in scales]
        wanted = [_moved(b, a, param.rule) for b, a in zip(base, _amounts(param, robot, effect), strict=True)]
    pairs = zip(wanted, scales, strict=True)
    return _sized([min(max(value, param.low * scale), param.high * scale) for value, scale in pairs], param)


def _moved(base: float, amount: float, rule: str) -> float:
    if rule == "add":
        return base + amount
    return base * (1.0 - amount if rule == "lose" else 1.0 + amount)


def _amounts(param: SkillParam, robot: Robot, effect: Effect) -> list[float]:
    """The effect's amount for each entry; what sits at coordinates is handed to the actuators that drive them."""
    value = getattr(effect, str(param.field))
    if param.size is None:
        return [float(value if not isinstance(value, tuple) else 0.0)]
    count = robot.dof if param.size == "n" else len(robot.actuators)
    if not isinstance(value, tuple) or not value:
        return [0.0] * count
    if param.size == "m" and len(value) == robot.dof:
        return [0.0 if joint is None else value[joint] for joint in robot.drives]
    return list(value) if len(value) == count else [0.0] * count


def _scales(param: SkillParam, robot: Robot) -> list[float]:
    count = {None: 1, "n": robot.dof, "m": len(robot.actuators)}[param.size]
    return list(robot.limits.effort) if param.of_effort and param.size == "m" else [1.0] * count


def _sized(values: list[float], param: SkillParam) -> Value:
    values = [round(value, _DECIMALS) for value in values]
    return values[0] if param.size is None else values


def _declaration(param: SkillParam, robot: Robot) -> dict[str, Any]:
    scales, units = _scales(param, robot), _units(param.unit, param.size, robot)
    bounds = {key: [round(end * scale, _DECIMALS) for scale in scales] for key, end in _ends(param).items()}
    table: dict[str, Any] = {"unit": units[0] if len(set(units)) == 1 else units}
    if param.size is not None:
        table["size"] = len(units)
    table |= {key: values[0] if len(set(values)) == 1 else values for key, values in bounds.items()}
    table |= {"max_step": 1.0, "effect": param.effect, "role": param.role}
    return table | ({} if param.answers is None else {"answers": param.answers})


def _ends(param: SkillParam) -> dict[str, float]:
    return {"low": param.low, "high": param.high}


def _units(unit: str, size: str | None, robot: Robot) -> list[str]:
    """The unit of each entry: "coordinate", "effort" and "command" mean what they are there."""
    if size is None:
        return [unit]
    of = robot.drives if size == "m" else range(robot.dof)
    found = []
    for joint in of:
        slides = robot.mode == "thrust" if joint is None else robot.units[joint] == "m"
        words = unit.replace("command", "coordinate" if robot.mode == "position" else "effort")
        words = words.replace("coordinate", "m" if slides else "rad").replace("effort", "N" if slides else "N*m")
        found.append(words)
    return found


def _declares(manifest: Mapping[str, Any], name: str) -> bool:
    return any(name in manifest.get(group, {}) for group in ("params", "states", "scratch", "outputs", "weights"))


def _reads_model(law: Artefact) -> bool:
    signals = parse_manifest(law.files["manifest.toml"]).signals
    return any(name in signals for name in ("gravity", "bias", "inertia", "bias_per_kg", "inertia_per_kg"))


def _replaced(law: Artefact, robot: Robot, name: str) -> Artefact:
    other = find_law(robot, name)
    if other.files["law.py"] == law.files["law.py"]:
        raise BadInput(f"{law.name} is {name} already")
    Controller.from_artefact(other, robot.ports)
    return other
