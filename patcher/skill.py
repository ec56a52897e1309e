"""Skills: structural remedies as data, one TOML file each in `patcher/skills`.

A skill says which causes it answers, on which robots, and what it adds to a law: lines, parameters with bounds, states.
It is no program: `patcher.graft` puts it into a law, and the checker of the law language judges what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import BadInput
from core.robot import Robot
from core.toml_file import read_toml
from sim.effect import FIELDS

SHIPPED = Path(__file__).parent / "skills"
RULES = ("add", "lose", "grow")  # how an amount changes a neutral value
_SIZES = ("n", "m", None)  # per coordinate, per actuator, one number


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillParam:
    """A parameter that a skill adds. Bounds may be in shares of each drive's largest effort."""

    name: str
    size: str | None  # "n", "m", or None for one number
    unit: str  # of `units_of`
    low: float
    high: float
    of_effort: bool  # low, high, neutral and start are shares of the drive's largest effort
    effect: str  # one sentence
    role: str
    answers: str | None
    field: str | None  # of the fault's effect, whose amount it starts from
    rule: str
    neutral: float  # at which the skill changes nothing
    start: float | None  # where no field says how much


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skill:
    """One structural remedy. In its lines `i` counts, `j` is the coordinate that actuator i drives."""

    name: str
    title: str
    sentence: str
    answers: tuple[str, ...]  # causes of the fault catalogue
    modes: tuple[str, ...]  # of robots; empty: all
    kinds: tuple[str, ...]  # of robots; empty: all
    signals: tuple[str, ...]  # that its lines read
    reads: Mapping[str, str]  # signal -> what each reading of an entry in the law becomes
    before: str  # lines for each coordinate, ahead of the law
    totals: Mapping[str, str]  # name -> what is summed up over the actuators, behind the law
    after: str  # lines for each actuator, behind the law; `command` is the law's output
    params: tuple[SkillParam, ...]
    states: Mapping[str, tuple[str, str]]  # name -> size, unit
    model_offset: str | None  # parameter that the model's position is corrected by
    replace: str | None  # law of the robot that takes the place of this one

    def suits(self, robot: Robot) -> bool:
        """Whether it was made for robots like this one."""
        return (not self.modes or robot.mode in self.modes) and (not self.kinds or robot.kind in self.kinds)


@cache
def shipped_skills() -> tuple[Skill, ...]:
    """All skills that come with Remend, by name."""
    return tuple(load_skill(file) for file in sorted(SHIPPED.glob("*.toml")))


def load_skill(file: Path) -> Skill:
    """The skill in a file.

    Raises:
        BadInput: it is none.
    """
    table = _Keys(read_toml(file, what="a skill"), file)
    params = tuple(_param(name, _Keys(value, file, name)) for name, value in table.take("params", dict, {}).items())
    states = {
        name: (_Keys(value, file, name).take("size", str), _Keys(value, file, name).take("unit", str))
        for name, value in table.take("states", dict, {}).items()
    }
    skill = Skill(
        name=file.stem,
        title=table.take("title", str),
        sentence=table.take("sentence", str),
        answers=tuple(table.take("answers", list)),
        modes=tuple(table.take("modes", list, [])),
        kinds=tuple(table.take("kinds", list, [])),
        signals=tuple(table.take("signals", list, [])),
        reads=table.take("reads", dict, {}),
        before=table.take("before", str, "").strip(),
        totals=table.take("totals", dict, {}),
        after=table.take("after", str, "").strip(),
        params=params,
        states=states,
        model_offset=table.take("model_offset", str, None),
        replace=table.take("replace", str, None),
    )
    table.finish()
    return skill


def _param(name: str, table: _Keys) -> SkillParam:
    size, field, rule = table.take("size", str, None), table.take("from", str, None), table.take("rule", str, "add")
    if size not in _SIZES:
        raise BadInput(f"{table.where}size: {size!r}; write n (coordinates) or m (actuators), or leave it out")
    if field is not None and field not in FIELDS:
        raise BadInput(f"{table.where}from: {field!r} is no part of an effect; use one of {', '.join(FIELDS)}")
    if rule not in RULES:
        raise BadInput(f"{table.where}rule: {rule!r}; use one of {', '.join(RULES)}")
    param = SkillParam(
        name=name,
        size=size,
        unit=table.take("unit", str),
        low=table.take("low", float),
        high=table.take("high", float),
        of_effort=table.take("times", str, "") == "effort",
        effect=table.take("effect", str),
        role=table.take("role", str, "feedforward"),
        answers=table.take("answers", str, None),
        field=field,
        rule=rule,
        neutral=table.take("neutral", float, 0.0),
        start=table.take("start", float, None),
    )
    if (param.field is None) == (param.start is None):
        raise BadInput(f"{table.where}from: a parameter starts from an effect's amount or at a start; give one of them")
    table.finish()
    return param


class _Keys:
    """A TOML table read key by key; what is left over is a typo."""

    def __init__(self, table: Any, file: Path, name: str = "") -> None:
        self.where = f"{file.name}: {name}." if name else f"{file.name}: "
        if not isinstance(table, dict):
            raise BadInput(f"{self.where.rstrip('. ')}: must be a table")
        self._left = dict(table)

    def take(self, key: str, kind: type, *default: Any) -> Any:
        if key not in self._left and default:
            return default[0]
        value = self._left.pop(key, None)
        if not isinstance(value, kind):
            raise BadInput(f"{self.where}{key}: give a {kind.__name__}")
        return value

    def finish(self) -> None:
        for key in self._left:
            raise BadInput(f"{self.where}{key}: no skill has this key; remove it or correct its name")
